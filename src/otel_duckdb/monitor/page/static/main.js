// The frame of the page: navigation, state, live updates.

import { read } from "./address.js";
import { get, Live } from "./api.js";
import { recolour } from "./chart.js";
import { announce, h, notice, setText, skeleton } from "./dom.js";
import { create as about } from "./views/about.js";
import { create as actions } from "./views/actions.js";
import { create as alerts } from "./views/alerts.js";
import { create as overview } from "./views/overview.js";
import { create as running } from "./views/running.js";
import { create as statements } from "./views/statements.js";
import { create as storage } from "./views/storage.js";
import { create as sync } from "./views/sync.js";
import { create as traces } from "./views/traces.js";

const VIEWS = {
  overview: ["Overview", overview], statements: ["Statements", statements], running: ["Running", running], traces: ["Traces", traces], alerts: ["Alerts", alerts],
  sync: ["Sync", sync], storage: ["Storage", storage], actions: ["Actions", actions], about: ["About", about],
};
const INTERVAL_MS = 4000; // fifteen a minute; the API grants 150 to a browser that reads its stream
const PAGES = 6; // more of them ask less often
const LONGEST_MS = 15_000;
const STALE_MS = 3000;
const THEMES = ["auto", "light", "dark"];
const main = document.getElementById("main");
const state = document.getElementById("state");
const pause = document.getElementById("pause");
const theme = document.getElementById("theme");
const links = {};
let present = null;
let status = null;
let paused = false;
let timer = 0;
let faults = 0;
let round = 0;
let before = "";
let sampled = 0;

const live = new Live({
  sample: (told) => {
    status = told;
    sampled = performance.now();
    tell();
    if (shown()) present.view.live?.(status);
  },
  running: (told) => {
    if (shown()) present.view.running?.(told);
  },
  alert: () => {
    if (present?.name === "alerts") tick();
  },
});
const shown = () => present && !present.view.element.hidden;

for (const [name, [title]] of Object.entries(VIEWS)) {
  links[name] = h("a", { href: `#/${name}` }, title);
  document.getElementById("views").append(links[name]);
}

function show(focus) {
  const { view: wanted, parameters } = read();
  const name = Object.hasOwn(VIEWS, wanted) ? wanted : "overview";
  for (const [each, element] of Object.entries(links)) {
    if (each === name) element.setAttribute("aria-current", "page");
    else element.removeAttribute("aria-current");
  }
  if (present?.name === name && present.view.navigate) {
    present.view.navigate(parameters);
    tick();
    return;
  }
  present?.view.destroy?.();
  const [title, create] = VIEWS[name];
  document.title = `${title} · DuckDB monitor`;
  const fault = h("div", { hidden: true });
  const waiting = h("div", { class: "card" }, skeleton(8));
  const view = create(parameters);
  view.element.hidden = true;
  present = { name, view, fault, waiting };
  const controls = view.controls ?? null;
  main.replaceChildren(h("div", { class: "heading" }, h("h1", {}, title), ...(controls ? [controls] : [])), fault, waiting, view.element);
  links[name].scrollIntoView({ block: "nearest", inline: "nearest" });
  if (focus) main.focus({ preventScroll: true });
  window.scrollTo(0, 0);
  tick();
}

async function tick() {
  clearTimeout(timer);
  round += 1;
  const mine = round;
  const asking = present;
  try {
    // What the stream told is as new as an answer, also where a sample is taken only now and then.
    const told = live.open && status && performance.now() - sampled < STALE_MS + 2e3 * (status.monitor?.interval_seconds ?? 1);
    if (!told) {
      if (live.open && status) live.start("again"); // it died without a word: the laptop slept
      status = await get("status");
    }
    if (mine !== round) return;
    tell();
    await asking.view.refresh(status, told ? live.latest : {});
    if (mine !== round) return;
    faults = 0;
    asking.waiting.remove();
    asking.view.element.hidden = false;
    asking.fault.hidden = true;
  } catch (error) {
    if (mine !== round) return;
    faults += 1;
    lost(asking, error);
  }
  if (!paused && !document.hidden) timer = setTimeout(tick, Math.min(LONGEST_MS, INTERVAL_MS * Math.max(1, live.pages / PAGES) * (live.open ? 1 : 2) * 2 ** Math.min(faults, 3)));
}

function tell() {
  const word = status.summary.status;
  setText(state, paused ? `${title(word)}, paused` : title(word));
  state.className = `state ${word}`;
  if (before && before !== word) announce(`The status is now ${word}`);
  before = word;
  setText(document.getElementById("program"), status.process ? `process ${status.process.pid}` : "");
}

const title = (word) => word.charAt(0).toUpperCase() + word.slice(1);

function lost(asking, error) {
  const advice = {
    0: "Is the program still running? The page goes on asking and shows the last figures until then.",
    401: "This monitor asks for a key. Enter it under About.",
    403: "This monitor asks for a key. Enter it under About.",
    404: "This version of the monitor does not serve it.",
    429: "Too many requests came from this address; the page asks less often for a moment.",
  }[error.status] ?? "The page tries again by itself.";
  if (error.status === undefined) console.error(error);
  asking.fault.replaceChildren(notice(error.status === undefined ? "This view has a fault." : error.message, advice, "error"));
  asking.fault.hidden = false;
  asking.waiting.remove();
  if (error.status === 0) {
    setText(state, "No answer");
    state.className = "state lost";
    before = "";
  }
  if (!asking.view.lost) return;
  asking.view.element.hidden = false;
  asking.view.lost();
}

function setPaused(wanted) {
  paused = wanted;
  pause.setAttribute("aria-pressed", String(paused));
  setText(pause, paused ? "Resume" : "Pause");
  announce(paused ? "Live updates are paused" : "Live updates go on");
  if (status) tell();
  follow();
}

// The stream and the questions go on while somebody looks, and wants news.
function follow() {
  clearTimeout(timer);
  if (paused || document.hidden) live.stop();
  else {
    live.start();
    tick();
  }
}

function stored() {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null;
  }
}

function setTheme(wanted) {
  const name = THEMES.includes(wanted) ? wanted : "auto";
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  setText(theme, `Theme: ${name}`);
  try {
    localStorage.setItem("theme", name);
  } catch {
    // then it holds for this tab alone
  }
  recolour();
}

pause.addEventListener("click", () => setPaused(!paused));
theme.addEventListener("click", () => setTheme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme ?? "auto") + 1) % THEMES.length]));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
document.addEventListener("visibilitychange", follow);
document.addEventListener("updatenow", () => tick());
document.addEventListener("keychanged", () => {
  live.start("again");
  tick();
});
window.addEventListener("pagehide", () => live.stop());
window.addEventListener("pageshow", ({ persisted }) => persisted && follow());
window.addEventListener("storage", ({ key, newValue }) => key === "theme" && setTheme(newValue));
window.addEventListener("hashchange", () => show(true));
setTheme(stored());
live.start();
show(false);
