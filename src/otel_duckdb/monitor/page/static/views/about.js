// About: the program, the monitor and its settings, and the key for acting.

import { setKey } from "../api.js";
import { announce, card, h } from "../dom.js";
import { count, moment, seconds, UNKNOWN } from "../format.js";

const KEYS = [["← →", "move the cursor of a chart, with Shift by ten"], ["Home, End", "first or last point, or row"], ["↑ ↓, k j", "row before or after"], ["Enter, → ←, l h", "open or close a row"], ["Drag", "zoom into a part of a chart"]];

export function create() {
  const facts = h("dl", { class: "facts" });
  const settings = h("dl", { class: "facts" });
  const configured = card("Settings", settings);
  const input = h("input", { type: "password", autocomplete: "off", id: "key" });
  const form = h("form", { class: "controls", onsubmit: (event) => {
    event.preventDefault();
    setKey(input.value);
    input.value = "";
    announce("The key is used from now on");
    document.dispatchEvent(new Event("updatenow"));
  } }, h("label", { for: "key" }, "Key"), input, h("button", { type: "submit" }, "Use it"));
  const element = h("div", { class: "sections" },
    card("Monitor", facts), configured,
    card("Key", h("p", { class: "quiet" }, "Only where the monitor asks for one. It stays in this tab, until the page is loaded again."), form),
    card("Keys of the keyboard", h("dl", { class: "facts" }, KEYS.flatMap(([key, what]) => [h("dt", {}, key), h("dd", {}, what)]))),
    card("Made with", h("p", {}, "uPlot 1.6.32, © Leon Sorokin, ", h("a", { href: "vendor/uPlot.LICENSE" }, "MIT licence"))));

  function fill(list, entries) {
    const next = entries.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value === null || value === undefined ? UNKNOWN : String(value))]);
    list.replaceChildren(...next);
  }

  async function refresh({ process = {}, monitor = {}, metrics, settings: told }) {
    fill(facts, [
      ["Version", process.version], ["Process", process.pid], ["Running since", moment(monitor.started)], ["Last sample", moment(metrics.timestamp)],
      ["Time between samples", seconds(monitor.interval_seconds)], ["Series left out", count(monitor.series_left_out)], ["Events dropped", count(monitor.events_dropped)],
    ]);
    configured.hidden = !told;
    if (told) fill(settings, Object.entries(told));
  }

  return { element, refresh };
}
