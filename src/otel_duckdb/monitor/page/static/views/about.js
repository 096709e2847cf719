// About: the program, the monitor and its settings, and the key for acting.

import { get, post } from "../api.js";
import { announce, card, fact, h, notice, setText } from "../dom.js";
import { bytes, count, moment, percent, seconds, UNKNOWN } from "../format.js";

const KEYS = [["← →", "move the cursor of a chart, with Shift by ten"], ["Home, End", "first or last point, or row"], ["↑ ↓, k j", "row before or after"], ["Enter, → ←, l h", "open or close a row"], ["Drag", "zoom into a part of a chart"]];

export function create() {
  const facts = h("dl", { class: "facts" });
  const settings = h("dl", { class: "facts" });
  const configured = card("Settings", settings);
  const spent = h("dl", { class: "facts" });
  const costs = card("Its own cost", spent);
  const input = h("input", { type: "password", autocomplete: "off", id: "key" });
  const may = h("p", { class: "quiet" });
  const said = h("div", { class: "results" });
  const form = h("form", { class: "controls", onsubmit: (event) => {
    event.preventDefault();
    session("login", { key: input.value });
    input.value = "";
  } }, h("label", { for: "key" }, "Key"), input, h("button", { type: "submit" }, "Use it"));
  const leave = h("button", { type: "button", hidden: true, onclick: () => session("logout") }, "Forget it");

  async function session(path, body) {
    try {
      rights(await post(path, body));
      said.replaceChildren();
      announce(may.textContent);
      document.dispatchEvent(new Event("keychanged"));
    } catch (error) {
      said.replaceChildren(notice(error.message, "The key is in OTEL_DUCKDB_MONITOR_API_KEY of the program; `otel-duckdb status --token` prints one that acts.", "error"));
    }
  }

  // It is answered also where all else asks for a key; another page may have entered or forgotten it.
  const ask = async () => rights(await get("session"));

  function rights({ reads, acts }) {
    setText(may, acts ? "This browser may act." : reads ? "This browser may read. Who acts enters the monitor's key, or what `otel-duckdb status --token` prints." : "This monitor asks for a key.");
    form.hidden = acts;
    leave.hidden = !acts;
  }

  const element = h("div", { class: "sections" },
    card("Monitor", facts), costs, configured,
    card("Key", may, form, leave, said),
    card("Keys of the keyboard", h("dl", { class: "facts" }, KEYS.flatMap((each) => fact(...each)))),
    card("Made with", h("p", {}, "uPlot 1.6.32, © Leon Sorokin, ", h("a", { href: "vendor/uPlot.LICENSE" }, "MIT licence"))));

  function fill(list, entries) {
    list.replaceChildren(...entries.flatMap(([name, value]) => fact(name, String((value === "" ? null : value) ?? UNKNOWN))));
  }

  async function refresh({ process = {}, monitor = {}, metrics }) {
    await ask();
    fill(facts, [
      ["Version", process.version], ["Process", process.pid], ["Running since", moment(monitor.started)], ["Last sample", moment(metrics.timestamp)],
      ["Time between samples", seconds(monitor.interval_seconds)], ["Series left out", count(monitor.series_left_out)], ["Events dropped", count(monitor.events_dropped)],
    ]);
    const { settings: told, cost } = await get("about");
    fill(spent, [
      ["Processor", cost.processor_percent === null ? UNKNOWN : `${percent(cost.processor_percent)} of one core, by its own threads`],
      ["Kept", `${count(cost.series)} series, ${count(cost.statements)} statement shapes, traces of ${bytes(cost.trace_bytes)}`],
      ["Each query", "about a microsecond in the program's own thread (docs/performance.md)"],
    ]);
    fill(settings, Object.entries(told).map(([name, value]) => [name, typeof value === "object" && value !== null ? JSON.stringify(value) : value]));
  }

  return { element, refresh, lost: () => ask().catch(() => {}) };
}
