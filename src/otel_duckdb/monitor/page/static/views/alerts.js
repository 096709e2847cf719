// Alerts: open ones, resolved ones with their peak and what was done, silences.

import { change } from "../address.js";
import { get } from "../api.js";
import { badge, card, h, notice } from "../dom.js";
import { bytes, count, moment, percent, seconds, UNKNOWN } from "../format.js";
import { Table } from "../table.js";

const LEVELS = ["", "warning", "critical", "emergency"];
const UNITS = { By: bytes, "%": percent, s: seconds };
const figure = (value, unit) => (UNITS[unit] ?? count)(value);
const told = (each) => (typeof each === "string" ? each : [each.action ?? each.name ?? each.target ?? each.channel, each.outcome ?? each.result ?? each.status].filter(Boolean).join(": ") || JSON.stringify(each));
const list = (all) => (all?.length ? all.map(told).join("; ") : UNKNOWN);

function columns(last) {
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
  ];
}

export function create(parameters) {
  let level = "";
  const select = h("select", { onchange: () => change({ level: select.value || null }) }, LEVELS.map((value) => h("option", { value }, value || "all levels")));
  const controls = h("div", { class: "controls" }, h("label", {}, "Level", select));
  const tables = {
    open: [new Table({ label: "Open alerts", id: (row) => row.id, columns: columns(false) }), notice("No alert is open.", "Thresholds are looked at with every sample.")],
    resolved: [new Table({ label: "Resolved alerts", id: (row) => row.id, columns: columns(true) }), notice("No alert has ended yet.", "Ended alerts stay here with their peak, what was done and who was told.")],
    silences: [new Table({ label: "Silences", id: (row) => row.id, columns: [
      { label: "Alert", cell: (row) => row.name }, { label: "Database", cell: (row) => row.database }, { label: "Until", number: true, cell: (row) => moment(row.ends) }, { label: "Reason", kind: "words", cell: (row) => row.reason || UNKNOWN },
    ] }), notice("Nothing is silenced.", "A silence keeps an alert from being sent until it ends.")],
  };
  const titles = { open: "Open", resolved: "Resolved", silences: "Silences" };
  const element = h("div", { class: "sections" }, Object.entries(tables).map(([name, [table, empty]]) => card(titles[name], empty, table.element)));

  function navigate(next) {
    level = LEVELS.includes(next.get("level")) ? next.get("level") : "";
    select.value = level;
  }

  async function refresh() {
    const answer = await get("alerts");
    for (const [name, [table, empty]] of Object.entries(tables)) {
      const rows = (answer[name] ?? []).filter((row) => !level || name === "silences" || row.level === level);
      table.update(rows);
      table.element.hidden = !rows.length;
      empty.hidden = rows.length > 0;
    }
  }

  navigate(parameters);
  return { element, controls, navigate, refresh };
}
