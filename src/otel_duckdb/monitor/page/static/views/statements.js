// Statements: which of them cost the most.

import { change, link } from "../address.js";
import { get } from "../api.js";
import { badge, bar, fact, h, notice, search, setText } from "../dom.js";
import { ago, bytes, count, milliseconds, moment, percent } from "../format.js";
import { Table } from "../table.js";

const SORTS = ["total", "mean", "max", "calls", "errors", "rows", "spilled", "memory", "last"];

export function create(parameters) {
  let sort = "total";
  let filter = "";
  let rows = [];
  const input = search("Part of a statement", "Filter by text or database", () => {
    filter = input.value;
    change({ q: filter }, true);
    draw();
  });
  const controls = h("div", { class: "controls" }, input);
  const empty = h("div", { hidden: true });
  const table = new Table({
    empty,
    label: "Statements",
    id: (row) => row.id ?? `${row.database} ${row.text}`,
    sort,
    onsort: (wanted) => change({ sort: wanted }),
    onopen: (id) => change({ open: id }, true),
    opened: parameters.get("open"),
    open: details,
    columns: [
      { label: "Statement", opens: true, kind: "wide", cell: (row) => row.text || "(empty)" },
      { label: "Total time", number: true, sort: "total", cell: (row) => bar(row.share ?? 0, milliseconds(row.total_ms)) },
      { label: "Last 5 min", cell: (row) => sparkline(row.lately_ms ?? []) },
      { label: "Calls", number: true, sort: "calls", cell: (row) => count(row.calls) },
      { label: "Mean", number: true, sort: "mean", cell: (row) => milliseconds(row.mean_ms) },
      { label: "p95", number: true, cell: (row) => milliseconds(row.p95_ms) },
      { label: "Longest", number: true, sort: "max", cell: (row) => milliseconds(row.max_ms) },
      { label: "Memory", number: true, sort: "memory", cell: (row) => bytes(row.profiled_calls === 0 ? null : row.mean_peak_memory_bytes) },
      { label: "Spilled", number: true, sort: "spilled", cell: (row) => bytes(row.profiled_calls === 0 ? null : row.spilled_bytes) },
      { label: "Rows", number: true, sort: "rows", cell: (row) => count(row.rows) },
      { label: "Errors", number: true, sort: "errors", cell: (row) => (row.errors ? badge(count(row.errors), "critical") : "0") },
      { label: "Last", number: true, sort: "last", cell: (row) => ago(row.last_seen) },
    ],
  });
  const note = h("p", { class: "quiet" });
  const element = h("div", { class: "card" }, note, table.element);

  function navigate(next) {
    sort = SORTS.includes(next.get("sort")) ? next.get("sort") : "total";
    table.sort = sort;
    table.mark();
    table.reopen(next.get("open"));
    filter = next.get("q") ?? "";
    if (input.value !== filter) input.value = filter;
  }

  function draw() {
    const words = filter.toLowerCase();
    const shown = rows.filter((row) => !words || `${row.text} ${row.database}`.toLowerCase().includes(words));
    table.update(shown);
    if (!shown.length) {
      empty.replaceChildren(rows.length ? notice("No statement has that text.", "Shorten the filter; it looks at the text and the database of the statements that are listed.")
        : notice("No statement has been seen yet.", "Statements appear as soon as the program runs one on an instrumented connection."));
    }
  }

  async function refresh() {
    const answer = await get("statements", { sort, limit: 200 });
    rows = answer.statements;
    const kept = answer.shapes > rows.length ? `The first ${count(rows.length)} of ${count(answer.shapes)}` : `${count(rows.length)}`;
    setText(note, !rows.length ? "" : `${kept} statement shapes since ${moment(answer.since)}; values are replaced by ?.${answer.dropped ? ` ${count(answer.dropped)} shapes of little time were added up.` : ""} Memory is the mean, over the profiled calls, of the peak that the database held meanwhile.`);
    draw();
  }

  navigate(parameters);
  return { element, controls, navigate, refresh };
}

function sparkline(points) {
  const space = "http://www.w3.org/2000/svg";
  const drawing = document.createElementNS(space, "svg");
  drawing.setAttribute("class", "spark");
  drawing.setAttribute("viewBox", "0 0 72 20");
  drawing.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(space, "polyline");
  const most = Math.max(...points, 1e-9);
  line.setAttribute("points", points.map((point, index) => `${((index * 72) / Math.max(1, points.length - 1)).toFixed(1)},${(18.5 - (point / most) * 17).toFixed(1)}`).join(" "));
  drawing.append(line);
  return drawing;
}

function details(row) {
  const regression = row.plan_regression;
  return h("div", {},
    h("pre", { tabindex: "0", "aria-label": "Statement" }, row.text),
    regression ? h("p", {}, badge("slower plan", "warning"), ` Since ${moment(regression.changed)} it runs with another plan, which takes ${count(regression.times)} times as long.`) : null,
    h("dl", { class: "facts" },
      fact("Database", row.database),
      fact("Share of all time", percent((row.share ?? 0) * 100)),
      fact("Time", `execute ${milliseconds(row.execute_ms)}, fetch ${milliseconds(row.fetch_ms)}`),
      fact("p50, p95, p99", `${milliseconds(row.p50_ms)}, ${milliseconds(row.p95_ms)}, ${milliseconds(row.p99_ms)}`),
      fact("Peak memory", row.profiled_calls === 0 ? "not profiled" : `${bytes(row.mean_peak_memory_bytes)} on average, ${bytes(row.peak_memory_bytes)} at most, over ${count(row.profiled_calls)} profiled calls; statements beside it count, too`),
      fact("Processor time", row.profiled_calls === 0 ? "not profiled" : milliseconds(row.cpu_ms)),
      fact("Seen", `${moment(row.first_seen)} to ${moment(row.last_seen)}`),
      fact("Slowest call", row.slowest_trace_id ? h("a", { href: link("traces", { trace: row.slowest_trace_id }) }, `trace ${row.slowest_trace_id.slice(0, 8)}…`) : h("a", { href: link("traces", { kind: "slow", q: row.text.slice(0, 60) }) }, "find its slow traces")),
      fact("Called from", row.callers?.length ? row.callers.map((caller) => `${caller.place} (${count(caller.calls)})`).join(", ") : "not known")),
    h("p", { class: "label" }, "Plans"),
    row.plans?.length ? h("div", { class: "plans" }, row.plans.map((plan) => h("div", {}, h("p", {}, `${plan.id}: ${count(plan.calls)} profiled calls, ${milliseconds(plan.mean_ms)} each, since ${moment(plan.first_seen)}`), h("pre", { tabindex: "0", "aria-label": `Plan ${plan.id}` }, plan.shape))))
      : h("p", { class: "quiet" }, "No call of it was profiled. OTEL_DUCKDB_PROFILE says which calls are."));
}
