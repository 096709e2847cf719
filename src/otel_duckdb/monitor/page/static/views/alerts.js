// Alerts: open ones, resolved ones with their peak and what was done, silences.

import { change } from "../address.js";
import { get, post } from "../api.js";
import { announce, badge, card, choice, h, notice, once, refusal, tell } from "../dom.js";
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
    { label: "Alert", kind: "words", cell: (row) => row.name },
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
  const select = choice(LEVELS.map((value) => [value, value || "all levels"]), (name) => change({ level: name }));
  const controls = h("div", { class: "controls" }, h("label", {}, "Level", select));
  const said = h("div", { hidden: true });
  const button = (label, path, name, body, done) => h("button", { type: "button", class: "small", "aria-label": name, onclick: async ({ currentTarget }) => {
    currentTarget.disabled = true;
    try {
      await post(path, body);
      said.hidden = true;
      announce(done);
      document.dispatchEvent(new Event("updatenow"));
    } catch (error) {
      tell(said, refusal(error));
    }
    currentTarget.disabled = false;
  } }, label);
  const silence = once((row) => button("For 1 h", "silences", `Silence ${row.name} for an hour`, { name: plain(row.name), database: plain(row.database ?? ""), seconds: SILENCE_SECONDS }, `${row.name} is silent for an hour`));
  const end = once((row) => button("End", "silences/end", `End the silence of ${row.name}`, { id: row.id }, "The silence is over"));
  const none = h("div");
  const tables = {
    open: new Table({ label: "Open alerts", id: (row) => row.id, columns: columns(false, (row) => (row.silenced ? "" : silence(row.id, row))), empty: none }),
    resolved: new Table({ label: "Resolved alerts", id: (row) => row.id, columns: columns(true), empty: notice("No alert has ended yet.", "Ended alerts stay here with their peak, what was done and who was told.") }),
    silences: new Table({ label: "Silences", id: (row) => row.id, empty: notice("Nothing is silenced.", "A silence keeps an alert from being sent until it ends."), columns: [
      { label: "Alert", cell: (row) => row.name }, { label: "Database", cell: (row) => row.database }, { label: "Until", number: true, cell: (row) => moment(row.ends) }, { label: "Reason", kind: "words", cell: (row) => row.reason || UNKNOWN }, { label: "End it", cell: (row) => end(row.id, row) },
    ] }),
  };
  const titles = { open: "Open", resolved: "Resolved", silences: "Silences" };
  const element = h("div", { class: "sections" }, said, Object.entries(tables).map(([name, table]) => card(titles[name], table.element)));

  function navigate(next) {
    level = LEVELS.includes(next.get("level")) ? next.get("level") : "";
    select.value = level;
  }

  async function refresh({ monitor }) {
    none.replaceChildren(monitor.alerting ? notice("No alert is open.", "Thresholds are looked at with every sample.") : notice("Alerting is off.", "OTEL_DUCKDB_MONITOR_ALERTING=true switches it on."));
    const answer = await get("alerts");
    for (const [name, table] of Object.entries(tables)) table.update((answer[name] ?? []).filter((row) => !level || name === "silences" || row.level === level));
  }

  navigate(parameters);
  return { element, controls, navigate, refresh };
}
