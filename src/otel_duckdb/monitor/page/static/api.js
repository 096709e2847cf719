// Requests to the monitor that served this page; addresses are relative, so a path prefix of a proxy works.

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const PATIENCE_MS = 10_000;
const AGAIN_MS = 15_000;

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
    this.latest = {};
    this.source = null;
    this.timer = 0;
  }

  get open() {
    return this.source?.readyState === EventSource.OPEN;
  }

  start() {
    this.stop();
    this.source = new EventSource("api/events");
    for (const [name, tell] of Object.entries(this.told)) this.source.addEventListener(name, (event) => tell(this.latest[name] = JSON.parse(event.data)));
    this.source.addEventListener("error", () => {
      this.latest = {};
      // The browser tries again by itself, unless it was refused: for want of a key, or of room.
      if (this.source?.readyState === EventSource.CLOSED) this.timer = setTimeout(() => this.start(), AGAIN_MS);
    });
  }

  stop() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
    this.latest = {};
  }
}
