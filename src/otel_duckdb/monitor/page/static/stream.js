// What the monitor tells as it happens, heard once for all pages of a browser: it opens six connections to a server, and a
// stream holds one. So this runs in a shared worker; where there is none, in the page itself.

const NAMES = ["sample", "running", "alert"];
const AGAIN_MS = 15_000;
const pages = new Set();
let latest = {};
let source = null;
let timer = 0;

const tell = (told) => pages.forEach((page) => page(told));
const state = () => tell({ open: source?.readyState === EventSource.OPEN, pages: pages.size });

function stop() {
  clearTimeout(timer);
  source?.close();
  source = null;
  latest = {};
}

function start() {
  stop();
  source = new EventSource("api/events");
  for (const name of NAMES) source.addEventListener(name, ({ data }) => tell(latest[name] = { name, data }));
  source.addEventListener("open", state);
  source.addEventListener("error", () => {
    latest = {};
    // The browser tries again by itself, unless it was refused: for want of a key, or of room.
    if (source.readyState === EventSource.CLOSED) timer = setTimeout(start, AGAIN_MS);
    state();
  });
}

// page: a function that is told; asked: "join", "leave", or "again" where the key is another one.
export function hear(page, asked) {
  if (asked === "leave") pages.delete(page);
  else pages.add(page);
  if (!pages.size) stop();
  else if (!source || asked === "again") start();
  else if (asked === "join") Object.values(latest).forEach(page);
  state();
}

self.onconnect = ({ ports: [port] }) => {
  const page = (told) => port.postMessage(told);
  port.onmessage = ({ data }) => hear(page, data);
  port.onclose = () => hear(page, "leave");
};
