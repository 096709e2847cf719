// Actions: the clean-up, tried or done, and what was done about alerts.

import { get, post } from "../api.js";
import { announce, badge, card, h, notice, setText } from "../dom.js";
import { bytes, moment, seconds, UNKNOWN } from "../format.js";
import { Table } from "../table.js";

const KINDS = { done: "good", failed: "critical", refused: "warning" };
const REFLECTION_MS = 5000;

function results(label, ...more) {
  return new Table({
    label,
    id: (row) => row.key,
    columns: [
      { label: "Action", cell: (row) => row.action ?? UNKNOWN },
      { label: "Database", cell: (row) => row.database || "all" },
      { label: "Outcome", cell: (row) => badge(row.outcome ?? UNKNOWN, KINDS[row.outcome] ?? "") },
      { label: "Freed", number: true, cell: (row) => bytes(row.freed_bytes) },
      { label: "Took", number: true, cell: (row) => seconds(row.seconds) },
      { label: "When", number: true, cell: (row) => moment(row.started) },
      ...more,
      { label: "What it says", kind: "words", cell: (row) => row.detail ?? "" },
    ],
  });
}

export function create() {
  const now = results("Results of the clean-up");
  const past = results("Actions about alerts", { label: "Alert", cell: (row) => row.alert });
  const said = h("div", {}, notice("Nothing was tried yet.", "The dry run does nothing; it says what each action would do."));
  const none = notice("Nothing was done about an alert yet.", "Actions run by themselves only where they are switched on, each by its name in OTEL_DUCKDB_MONITOR_ACTIONS.");
  now.element.hidden = true;
  let sure = false;
  const dry = h("button", { type: "button", onclick: () => run(true) }, "Dry run");
  const real = h("button", { type: "button", class: "danger", onclick: () => {
    if (sure) run(false);
    ask(!sure);
  } }, "Clean up");
  const element = h("div", { class: "sections" }, card("Clean-up", h("div", { class: "controls" }, dry, real), said, now.element), card("Done about alerts", none, past.element));

  function ask(wanted) {
    sure = wanted;
    setText(real, sure ? "Press again to clean up" : "Clean up");
    if (sure) setTimeout(() => ask(false), REFLECTION_MS);
  }

  async function run(pretend) {
    for (const button of [dry, real]) button.disabled = true;
    try {
      const answer = await post("cleanup", { emergency: false, dry_run: pretend });
      const rows = answer.results.map((row, index) => ({ ...row, key: index }));
      now.update(rows);
      now.element.hidden = !rows.length;
      said.replaceChildren(...(rows.length ? [] : [notice("No action is switched on.", "OTEL_DUCKDB_MONITOR_ACTIONS names those that may run.")]));
      announce(`${pretend ? "Dry run" : "Clean-up"}: ${rows.map((row) => `${row.action} ${row.outcome}`).join(", ") || "no action is switched on"}`);
    } catch (error) {
      now.element.hidden = true;
      said.replaceChildren(notice(error.message, [401, 403].includes(error.status) ? "Acting needs the monitor's key; enter it under About." : "Try again in a moment.", "error"));
    }
    for (const button of [dry, real]) button.disabled = false;
  }

  async function refresh() {
    const answer = await get("alerts");
    const rows = [...(answer.open ?? []), ...(answer.resolved ?? [])].flatMap((alert) => (alert.actions ?? []).map((action, index) => ({ ...action, alert: alert.name, key: `${alert.id} ${index}` })));
    past.update(rows);
    past.element.hidden = !rows.length;
    none.hidden = rows.length > 0;
  }

  return { element, refresh };
}
