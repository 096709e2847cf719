// One trace: its spans on a common axis of time, and for each its attributes and the operators of its plan.

import { announce, badge, card, fact, h, notice, once, search, setText } from "./dom.js";
import { bytes, count, milliseconds, moment, percent, UNKNOWN } from "./format.js";
import { Table } from "./table.js";

const LONGEST = 20; // a span of the program that lasts so many times what its operations do is cut off

export class Waterfall {
  // template: an address of another tool, with {trace_id}, {span_id}, {start_ms}, {end_ms}
  // folded: the ids of spans whose subtrees are not shown; onfold(ids)
  constructor(trace, { template, opened, onopen, folded, onfold } = {}) {
    this.trace = trace;
    this.folded = new Set(folded);
    this.onfold = onfold;
    this.words = "";
    this.lead = once((row) => this.folder(row));
    this.rows = flat(trace.spans);
    this.axis = axis(trace);
    this.table = new Table({
      label: "Spans",
      empty: notice("No span is like that.", "Ask for less of a name, or of a statement."),
      id: (row) => row.span_id,
      open: (row) => this.details(row),
      opened, onopen,
      columns: [
        { label: "Span", opens: true, kind: "span", lead: (row) => this.lead(row.span_id, row), cell: (row) => `${name(row)}${this.folded.has(row.span_id) ? ` (+${count(row.below)})` : ""}` },
        { label: this.scale(), kind: "time", cell: (row) => this.bar(row) },
        { label: "Took", number: true, cell: (row) => milliseconds(row.duration_ms) },
        { label: "In DuckDB", number: true, cell: (row) => milliseconds(row.duckdb_ms) },
        { label: "Rows", number: true, cell: (row) => count(row.attributes["db.response.returned_rows"]) },
      ],
    });
    this.find();
    const find = search("Part of a span", "Find spans", () => {
      this.words = find.value.toLowerCase();
      announce(`${this.find()} spans`);
    });
    this.element = h("div", { class: "sections" },
      card(trace.name, h("dl", { class: "facts inline" },
        fact("Began", moment(trace.start)), fact("Took", milliseconds(trace.duration_ms)), fact("In DuckDB", milliseconds(trace.duckdb_ms)),
        fact("Operations", count(trace.spans.filter((span) => span.kind === "operation").length + (trace.left_out ?? 0))), fact("Trace id", h("span", { class: "mono" }, trace.trace_id))),
      h("div", { class: "controls after" }, copier("Copy as text", () => this.text()), this.elsewhere(template), trace.spans.length > 10 ? find : null)),
      h("div", { class: "card" }, trace.left_out ? h("p", { class: "quiet" }, `${count(trace.left_out)} more operations are counted, but not kept.`) : null, this.table.element));
  }

  scale() {
    return h("span", { class: "scale" }, h("span", {}, "0"), h("span", {}, milliseconds(this.axis.length / 2)), h("span", {}, milliseconds(this.axis.length)));
  }

  elsewhere(template) {
    const { trace } = this;
    if (!template || !/^https?:/.test(template)) return null;
    if (!trace.sampled) return h("span", { class: "quiet" }, "This trace was not exported.");
    const start = Date.parse(trace.start);
    const values = { trace_id: trace.trace_id, span_id: trace.spans[0]?.span_id ?? "", start_ms: Math.floor(start - 60_000), end_ms: Math.ceil(start + trace.duration_ms + 60_000) };
    const href = template.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
    return h("a", { class: "button", href, target: "_blank", rel: "noopener noreferrer" }, `Open in ${new URL(template).hostname}`);
  }

  bar(row) {
    const { from, length } = this.axis;
    const start = Math.max(0, row.offset_ms - from);
    const end = Math.min(length, row.duration_ms === null ? length : row.offset_ms - from + row.duration_ms);
    const share = (value) => `${length ? Math.min(100, Math.max(0, (value / length) * 100)) : 0}%`;
    const fill = h("span", { class: `fill ${row.status.code === "ERROR" ? "failed" : row.kind}` });
    fill.style.left = share(start);
    fill.style.width = share(end - start);
    if (row.kind === "operation" && row.duration_ms > 0) {
      const worked = h("span", { class: "worked" });
      worked.style.width = `${Math.min(100, (row.duckdb_ms / row.duration_ms) * 100)}%`;
      fill.append(worked);
    }
    return h("span", { class: "lane", "aria-hidden": "true" }, fill);
  }

  // The space before a span, with the button that folds what was called in it.
  folder(row) {
    const space = h("span", { class: "lead" });
    space.style.marginLeft = `min(${row.depth * 14}px, 20vw)`;
    if (!row.below) return space;
    const button = h("button", { type: "button", "aria-label": `${count(row.below)} spans in ${name(row)}`, onclick: () => {
      if (!this.folded.delete(row.span_id)) this.folded.add(row.span_id);
      turn();
      this.find();
      this.onfold?.([...this.folded]);
    } });
    const turn = () => button.setAttribute("aria-expanded", String(!this.folded.has(row.span_id)));
    turn();
    space.append(button);
    return space;
  }

  // A match keeps what it was called in and what was called in it; what is folded is found, too. Returns how many.
  find() {
    const wanted = this.words;
    const kept = new Set();
    const keep = (row) => {
      for (let each = row; each && !kept.has(each.span_id); each = each.parent) kept.add(each.span_id);
    };
    for (const row of this.rows) {
      if (!wanted || `${row.name} ${row.attributes["db.query.text"] ?? ""}`.toLowerCase().includes(wanted) || (row.parent && row.parent.matched)) {
        row.matched = true;
        keep(row);
      } else row.matched = false;
    }
    const hidden = (row) => row && (this.folded.has(row.span_id) || hidden(row.parent));
    const shown = this.rows.filter((row) => kept.has(row.span_id) && (wanted || !hidden(row.parent)));
    this.table.update(shown);
    return shown.length;
  }

  details(row) {
    const { attributes, operators } = row;
    const text = attributes["db.query.text"];
    const shown = Object.entries(attributes).filter(([name]) => name !== "db.query.text");
    return h("div", {},
      row.status.message ? h("p", {}, badge(attributes["error.type"] ?? "error", "critical"), ` ${row.status.message}`) : null,
      text ? h("pre", { tabindex: "0", "aria-label": "Statement" }, text) : null,
      operators?.length ? plan(row) : row.kind === "operation" ? h("p", { class: "quiet" }, "This call was not profiled. OTEL_DUCKDB_PROFILE says which calls are.") : null,
      shown.length ? h("details", {}, h("summary", {}, `${count(shown.length)} attributes`), h("dl", { class: "facts" }, shown.map(([name, value]) => fact(name, written(name, value))))) : null);
  }

  text() {
    const lines = [`${this.trace.name}  ${milliseconds(this.trace.duration_ms)}, in DuckDB ${milliseconds(this.trace.duckdb_ms)}  trace ${this.trace.trace_id}`];
    for (const row of this.rows) {
      const indent = "  ".repeat(row.depth + 1);
      lines.push(`${indent}${row.name}  ${milliseconds(row.duration_ms)} at ${milliseconds(row.offset_ms)}${row.status.code === "ERROR" ? `  failed: ${row.status.message}` : ""}`);
      if (row.attributes["db.query.text"]) lines.push(`${indent}  ${row.attributes["db.query.text"]}`);
      if (row.plan) lines.push(...row.plan.split("\n").map((line) => `${indent}  ${line}`));
    }
    return lines.join("\n");
  }
}

const name = (row) => row.name || "span of another program";
const written = (name, value) => (name.endsWith("_bytes") ? bytes(value) : name.endsWith("_ms") ? milliseconds(value) : typeof value === "number" ? count(value) : String(value));

function copier(label, text) {
  const button = h("button", { type: "button", onclick: async () => {
    try {
      await navigator.clipboard.writeText(text());
      setText(button, "Copied");
      announce("Copied");
    } catch {
      setText(button, "The browser does not allow it");
    }
    setTimeout(() => setText(button, label), 2000);
  } }, label);
  return button;
}

// Thread time is not the time of the clock: each bar is a share of all operators, on an axis of their own.
function plan(row) {
  const depths = new Map();
  const lines = row.operators.map((each) => {
    const depth = each.parent === null ? 0 : (depths.get(each.parent) ?? 0) + 1;
    depths.set(each.id, depth);
    const fill = h("span", { class: each.hottest ? "hot" : null });
    fill.style.width = `${Math.min(100, each.share * 100)}%`;
    const name = h("td", { class: "mono" }, `${"  ".repeat(depth)}${each.kind}`, each.hottest ? h("span", { class: "badge warning" }, "hottest") : null);
    const told = [each.target, each.remark].filter(Boolean).join(", ");
    return h("tr", {}, name, h("td", { class: "num" }, milliseconds(each.milliseconds)),
      h("td", {}, h("span", { class: "lane" }, fill), h("span", { class: "unseen" }, percent(each.share * 100))),
      h("td", { class: "num" }, count(each.rows)), h("td", { class: "num" }, each.rows_scanned ? count(each.rows_scanned) : UNKNOWN), h("td", { class: "words mono" }, told));
  });
  const heads = [["Operator"], ["Thread time", "num"], ["Share"], ["Rows", "num"], ["Scanned", "num"], ["On"]];
  return h("div", { class: "operators" },
    h("div", { class: "controls" }, h("span", { class: "label" }, "Plan, by thread time"), copier("Copy the plan", () => row.plan || "")),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Operators" }, h("table", {}, h("thead", {}, h("tr", {}, heads.map(([label, kind]) => h("th", { scope: "col", class: kind ?? null }, label)))), h("tbody", {}, lines))));
}

// Depth first; a span whose parent is not kept is a root.
function flat(spans) {
  const known = new Map(spans.map((span) => [span.span_id, { ...span, children: [], parent: null, depth: 0, matched: false }]));
  const roots = [];
  for (const row of known.values()) {
    const parent = row.parent_id === row.span_id ? null : known.get(row.parent_id);
    if (parent) {
      row.parent = parent;
      parent.children.push(row);
    } else roots.push(row);
  }
  const found = [];
  const visit = (row, depth) => {
    row.depth = depth;
    const number = found.push(row);
    row.children.sort((one, other) => one.offset_ms - other.offset_ms).forEach((child) => visit(child, depth + 1));
    row.below = found.length - number;
  };
  roots.sort((one, other) => one.offset_ms - other.offset_ms).forEach((root) => visit(root, 0));
  return found;
}

function axis({ spans, duration_ms: lasted }) {
  let [from, to] = [0, lasted];
  for (const span of spans) {
    if (span.duration_ms === null || span.duration_ms > LONGEST * Math.max(lasted, 0.001)) continue;
    from = Math.min(from, span.offset_ms);
    to = Math.max(to, span.offset_ms + span.duration_ms);
  }
  return { from, length: to - from };
}
