// Alerts: open ones, resolved ones with their peak and what was done, silences.

import { change } from "../address.js";
import { get, post } from "../api.js";
import { announce, badge, card, h, notice, refusal } from "../dom.js";
import { bytes, count, moment, percent, seconds, UNKNOWN } from "../format.js";
import { Table } from "../table.js";

const LEVELS = ["", "warning", "critical", "emergency"];
const UNITS = { bytes, s: seconds, share: (value) => percent(value * 100), times: (value) => `${count(value)} ×` };
const figure = (value, unit) => (UNITS[unit] ?? count)(value);
const told = (each) => `${each.action ?? each.to}: ${each.outcome ?? each.result}`;
const plain = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"); // a silence takes regular expressions
const list = (all) => (all?.length ? all.map(told).join("; ") : UNKNOWN);

const SILENCE_SECONDS = 3600;

function columns(last, silence) {
  return [
    { label: "Level", cell: (row) => badge(row.level) },
    { label: "Alert", cell: (row) => row.name },
    { label: "What it says", kind: "words", cell: (row) => row.message + (row.silenced ? " (silenced)" : "") },
    { label: "Database", cell: (row) => row.database || "all" },
    { label: last ? "Peak" : "Value", number: true, cell: (row) => figure(last ? row.peak : row.value, row.unit) },
    { label: "Threshold", number: true, cell: (row) => figure(row.threshold, row.unit) },
    { label: "Began", number: true, cell: (row) => moment(row.started) },
    ...(last ? [{ label: "Ended", number: true, cell: (row) => moment(row.ended) }] : []),
    { label: "Done", kind: "words", cell: (row) => list(row.actions) },
    { label: "Told", kind: "words", cell: (row) => list(row.notifications) },
    ...(silence ? [{ label: "Silence", cell: silence }] : []),
  ];
}

export function create(parameters) {
  let level = "";
  const select = h("select", { onchange: () => change({ level: select.value || null }) }, LEVELS.map((value) => h("option", { value }, value || "all levels")));
  const controls = h("div", { class: "controls" }, h("label", {}, "Level", select));
  const said = h("div", { hidden: true });
  const buttons = new Map();
  const tables = {
    open: new Table({ label: "Open alerts", id: (row) => row.id, columns: columns(false, silence), empty: notice("No alert is open.", "Thresholds are looked at with every sample.") }),
    resolved: new Table({ label: "Resolved alerts", id: (row) => row.id, columns: columns(true), empty: notice("No alert has ended yet.", "Ended alerts stay here with their peak, what was done and who was told.") }),
    silences: new Table({ label: "Silences", id: (row) => row.id, empty: notice("Nothing is silenced.", "A silence keeps an alert from being sent until it ends."), columns: [
      { label: "Alert", cell: (row) => row.name }, { label: "Database", cell: (row) => row.database }, { label: "Until", number: true, cell: (row) => moment(row.ends) }, { label: "Reason", kind: "words", cell: (row) => row.reason || UNKNOWN },
    ] }),
  };
  const titles = { open: "Open", resolved: "Resolved", silences: "Silences" };
  const element = h("div", { class: "sections" }, said, Object.entries(tables).map(([name, table]) => card(titles[name], table.element)));

  function silence(row) {
    if (row.silenced) return "";
    if (!buttons.has(row.id)) {
      const button = h("button", { type: "button", class: "small", "aria-label": `Silence ${row.name} for an hour`, onclick: async () => {
        button.disabled = true;
        try {
          await post("silences", { name: plain(row.name), database: plain(row.database ?? ""), seconds: SILENCE_SECONDS });
          said.hidden = true;
          announce(`${row.name} is silent for an hour`);
          document.dispatchEvent(new Event("updatenow"));
        } catch (error) {
          said.replaceChildren(refusal(error));
          said.hidden = false;
        }
        button.disabled = false;
      } }, "For 1 h");
      buttons.set(row.id, button);
    }
    return buttons.get(row.id);
  }

  function navigate(next) {
    level = LEVELS.includes(next.get("level")) ? next.get("level") : "";
    select.value = level;
  }

  async function refresh() {
    const answer = await get("alerts");
    for (const [name, table] of Object.entries(tables)) table.update((answer[name] ?? []).filter((row) => !level || name === "silences" || row.level === level));
  }

  navigate(parameters);
  return { element, controls, navigate, refresh };
}
