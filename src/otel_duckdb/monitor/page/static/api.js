// Requests to the monitor that served this page; addresses are relative, so a path prefix of a proxy works.

import { hear } from "./stream.js";

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const PATIENCE_MS = 10_000;

async function request(path, options = {}) {
  const headers = { Accept: "application/json", ...options.headers };
  let response;
  try {
    response = await fetch(path, { ...options, headers, cache: "no-store", credentials: "same-origin", signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch (error) {
    throw new ApiError(0, error.name === "TimeoutError" ? "The monitor did not answer within 10 s." : "The monitor cannot be reached.");
  }
  const text = await response.text();
  let body = null;
  try {
    body = JSON.parse(text);
  } catch {
    // the answer is told as text below
  }
  if (!response.ok) throw new ApiError(response.status, body?.error ?? body?.message ?? (text.trim().slice(0, 300) || `HTTP ${response.status}`));
  if (body === null) throw new ApiError(response.status, `${path} did not answer with JSON.`);
  return body;
}

export function get(name, parameters = {}) {
  const given = Object.entries(parameters).flatMap(([key, value]) => [value].flat().map((each) => [key, each]));
  const query = new URLSearchParams(given.filter(([, value]) => (value ?? "") !== ""));
  return request(`api/${name}${query.size ? `?${query}` : ""}`);
}

export function post(name, body = {}) {
  return request(`api/${name}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

// What the monitor tells as it happens; where there is no stream, the page asks.
export class Live {
  // told: { sample(status), running(what), alert(alert) }
  constructor(told) {
    this.told = told;
    this.rest();
    const page = (message) => this.take(message);
    const alone = () => {
      this.ask = (what) => hear(page, what);
    };
    try {
      const worker = new SharedWorker("stream.js", { type: "module" });
      worker.port.onmessage = ({ data }) => page(data);
      this.ask = (what) => worker.port.postMessage(what);
      worker.onerror = () => {
        alone();
        if (this.wanted) this.start();
      };
    } catch {
      alone();
    }
  }

  rest() {
    Object.assign(this, { wanted: false, open: false, pages: 1, latest: {} });
  }

  take({ name, data, open, pages }) {
    if (!this.wanted) return;
    if (name) this.told[name](this.latest[name] = JSON.parse(data));
    else {
      Object.assign(this, { open, pages });
      if (!open) this.latest = {};
    }
  }

  // how: "again" where the key is another one
  start(how = "join") {
    this.wanted = true;
    this.ask(how);
  }

  stop() {
    this.ask("leave");
    this.rest();
  }
}
