// Traces: recent, slow and failed ones; one of them as a waterfall with the operators of its plans.

import { change, link } from "../address.js";
import { ApiError, get } from "../api.js";
import { badge, card, choice, group, h, notice, search, setText } from "../dom.js";
import { count, milliseconds, moment } from "../format.js";
import { Table } from "../table.js";
import { Waterfall } from "../waterfall.js";

const KINDS = { recent: "Recent", slow: "Slow", failed: "Failed" };
const ASKED = { recent: { sort: "start" }, slow: { sort: "duckdb" }, failed: { error: true } };
const LEAST = ["", "1", "10", "100", "1000"];
const LIMIT = 100;

export function create(parameters) {
  let kind = "recent";
  let asked = {};
  let wanted = null;
  let waterfall = null;
  let typing = 0;
  const kinds = group("Which traces", KINDS, (name) => change({ kind: name === "recent" ? null : name, trace: null }));
  const select = choice(LEAST.map((value) => [value, value ? milliseconds(Number(value)) : "any time"]), (min) => change({ min }));
  const input = search("Part of a name or a statement", "Filter by name or statement", () => {
    clearTimeout(typing);
    typing = setTimeout(() => change({ q: input.value }), 300);
  });
  const filters = h("div", { class: "controls" }, kinds.element, h("label", {}, "At least", select), input);
  const back = h("a", { class: "button" }, "All traces");
  const controls = h("div", {}, filters, back);
  const empty = h("div", { hidden: true });
  const table = new Table({
    empty,
    label: "Traces",
    id: (row) => row.trace_id,
    columns: [
      { label: "Trace", kind: "wide", cell: (row) => h("a", { class: "open", href: link("traces", { ...Object.fromEntries(parameters), trace: row.trace_id }) }, row.name) },
      { label: "Error", cell: (row) => (row.error ? badge(row.error, "critical") : "") },
      { label: "Began", number: true, cell: (row) => moment(row.start) },
      { label: "Took", number: true, cell: (row) => milliseconds(row.duration_ms) },
      { label: "In DuckDB", number: true, cell: (row) => milliseconds(row.duckdb_ms) },
      { label: "Operations", number: true, cell: (row) => count(row.spans) },
      { label: "Database", cell: (row) => row.database },
    ],
  });
  const note = h("p", { class: "quiet" });
  const list = h("div", { class: "card" }, note, table.element);
  const one = h("div", { hidden: true });
  const element = h("div", {}, list, one);

  function navigate(next) {
    parameters = next;
    kind = Object.hasOwn(KINDS, next.get("kind")) ? next.get("kind") : "recent";
    const min = next.get("min") ?? "";
    asked = { ...ASKED[kind], min_ms: Number(min) > 0 ? min : null, name: next.get("q"), limit: LIMIT };
    select.value = LEAST.includes(min) ? min : "";
    if (document.activeElement !== input) input.value = next.get("q") ?? "";
    kinds.press(kind);
    const trace = next.get("trace");
    if (trace !== wanted) {
      waterfall = null;
      one.replaceChildren();
    }
    wanted = trace;
    filters.hidden = Boolean(wanted);
    back.hidden = !wanted;
    const rest = Object.fromEntries(next);
    delete rest.trace;
    delete rest.open;
    delete rest.fold;
    back.setAttribute("href", link("traces", rest));
    list.hidden = Boolean(wanted);
    one.hidden = !wanted;
  }

  async function refresh(status) {
    if (wanted) await show(wanted, status);
    else await fill();
  }

  async function fill() {
    const answer = await get("traces", asked);
    const rows = answer.traces ?? answer;
    table.update(rows);
    setText(note, rows.length ? `${rows.length === LIMIT ? `The first ${LIMIT}` : count(rows.length)} of those kept: 200 recent ones, the 50 slowest of a day and the last 50 that failed.` : "");
    if (rows.length) return;
    const filtered = asked.name || asked.min_ms;
    empty.replaceChildren(filtered ? notice("No trace is like that.", "Ask for a shorter time, or for less of a name.")
      : kind === "failed" ? notice("Nothing failed.", "Operations that end with an error are kept here, the last 50 of them.")
        : notice("No trace has been seen yet.", "Traces appear as soon as the program runs a statement on an instrumented connection."));
  }

  async function show(identity, status) {
    if (waterfall) return; // what is over does not change
    let trace;
    try {
      trace = await get(`traces/${encodeURIComponent(identity)}`);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
      one.replaceChildren(card("Trace", notice("That trace is not kept any more.", "200 recent traces are kept, the 50 slowest of a day, and the last 50 that failed.")));
      return;
    }
    if (identity !== wanted) return;
    waterfall = new Waterfall(trace, { template: status.monitor?.trace_url, opened: parameters.get("open"), onopen: (id) => change({ open: id }, true), folded: parameters.get("fold")?.split("."), onfold: (ids) => change({ fold: ids.join(".") }, true) });
    one.replaceChildren(waterfall.element);
  }

  navigate(parameters);
  return { element, controls, navigate, refresh };
}
