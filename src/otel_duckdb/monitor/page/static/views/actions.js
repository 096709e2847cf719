// Actions: what may be done, tried or done by hand, and what was done.

import { get, post } from "../api.js";
import { announce, badge, card, deliberate, h, notice, once, refusal } from "../dom.js";
import { bytes, moment, seconds, UNKNOWN } from "../format.js";
import { Table } from "../table.js";

const KINDS = { done: "good", planned: "good", failed: "critical", refused: "warning" };

function results(label, empty, ...more) {
  return new Table({
    label, empty,
    id: (row) => row.key,
    columns: [
      { label: "Action", cell: (row) => row.action ?? UNKNOWN },
      { label: "Database", cell: (row) => row.database || "all" },
      { label: "Outcome", cell: (row) => badge(row.outcome ?? UNKNOWN, KINDS[row.outcome] ?? "") },
      { label: "What it says", kind: "words", cell: (row) => row.detail ?? "" },
      { label: "Freed", number: true, cell: (row) => bytes(row.freed_bytes) },
      { label: "Took", number: true, cell: (row) => seconds(row.seconds) },
      ...more,
    ],
  });
}

export function create() {
  const now = results("Results", null);
  const past = results("What was done", notice("Nothing was done yet.", "Actions run by themselves only where they are switched on, each by its name in OTEL_DUCKDB_MONITOR_ACTIONS."), { label: "For", cell: (row) => row.by ?? UNKNOWN }, { label: "When", number: true, cell: (row) => moment(row.started) });
  const said = h("div", { hidden: true });
  now.scroll.hidden = true;
  const all = new Table({
    label: "Actions",
    empty: notice("Actions are off.", "OTEL_DUCKDB_MONITOR_ALERTING=true switches alerts and actions on."),
    id: (row) => row.name,
    columns: [
      { label: "Action", kind: "words", cell: (row) => row.name },
      { label: "State", cell: (row) => badge(row.on ? "on" : "off", row.on ? "good" : "") },
      { label: "What it does", kind: "words", cell: (row) => row.meaning },
      { label: "Try", cell: (row) => (row.name === "interrupt" ? "under Running" : buttons(`${row.name} ${row.on}`, row)) },
    ],
  });
  const dry = h("button", { type: "button", onclick: () => run("cleanup", { emergency: false, dry_run: true }, "Dry run of the clean-up") }, "Dry run");
  const real = deliberate("Clean up", () => run("cleanup", { emergency: false, dry_run: false }, "Clean-up"));
  real.classList.remove("small");
  const element = h("div", { class: "sections" },
    card("Clean-up", h("p", { class: "quiet" }, "The dry run does nothing; it says what each action would do. The clean-up does what is switched on."), h("div", { class: "controls after" }, dry, real), h("div", { class: "results" }, said, now.element)),
    card("Actions", all.element), card("History", past.element));

  const buttons = once(({ name, on }) => h("span", { class: "group" },
    h("button", { type: "button", class: "small", "aria-label": `Dry run of ${name}`, onclick: () => run(`actions/${name}`, { dry_run: true }, `Dry run of ${name}`) }, "Dry run"),
    on ? deliberate("Run", () => run(`actions/${name}`, { dry_run: false }, name)) : null));

  async function run(path, body, title) {
    element.inert = true;
    try {
      const answer = await post(path, body);
      const rows = answer.results.map((row, index) => ({ ...row, key: index }));
      now.update(rows);
      said.replaceChildren(rows.length ? h("p", { class: "label" }, title) : notice("No database is open, or no action is switched on.", "OTEL_DUCKDB_MONITOR_ACTIONS names those that may run."));
      announce(`${title}: ${rows.map((row) => `${row.action} ${row.outcome}`).join(", ") || "nothing"}`);
    } catch (error) {
      now.update([]);
      said.replaceChildren(refusal(error));
    }
    said.hidden = false;
    element.inert = false;
    said.scrollIntoView({ block: "nearest" });
    document.dispatchEvent(new Event("updatenow"));
  }

  async function refresh() {
    const answer = await get("actions");
    all.update(answer.actions);
    past.update(answer.history.map((row) => ({ ...row, key: `${row.started} ${row.action} ${row.database}` })));
  }

  return { element, refresh };
}
