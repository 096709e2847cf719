// Overview: how it is, in words, figures and charts.

import { change, link } from "../address.js";
import { Chart, Series } from "../chart.js";
import { badge, bar, card, choice, group, h, setText } from "../dom.js";
import { bytes, count, milliseconds, moment, percent, rate, seconds, UNKNOWN } from "../format.js";

const RANGES = { "5m": 300, "15m": 900, "1h": 3600, "6h": 21_600, "24h": 86_400 };
const COMPARED = { "": "nothing", hour: "the hour before", day: "the day before" };
const MOVED = { hour: 3600, day: 86_400 };
const sum = (metric) => ({ metric });
const WANTED = {
  used: sum("duckdb_memory_used_bytes"), limit: sum("duckdb_memory_limit_bytes"), resident: sum("process.memory.usage"), cpu: sum("process.cpu.time"),
  disk: sum("duckdb_disk_usage_bytes"), wal: sum("duckdb_wal_size_bytes"), temporary: sum("duckdb_temporary_files_bytes"),
  connections: sum("duckdb_active_connections"), active: sum("duckdb_active_queries"), all: sum("duckdb_queries_per_sec"),
  ...Object.fromEntries(["select", "insert", "update", "delete"].map((name) => [name, { metric: "duckdb_queries_per_sec", labels: { query_type: name.toUpperCase() } }])),
  committed: sum("duckdb_transaction_success_count"), failed: sum("duckdb_transaction_failure_count"), oldest: { metric: "duckdb_oldest_query_seconds", join: "max" },
  ...Object.fromEntries(Object.entries({ p50: "0.5", p95: "0.95", p99: "0.99" }).map(([name, quantile]) => [name, { metric: "duckdb_query_latency_ms", labels: { quantile } }])),
};
const CHARTS = [
  { title: "Memory", write: bytes, more: ["by statement", link("statements", { sort: "memory" })], lines: [["used", "DuckDB", 1], ["resident", "Process, resident", 2]] },
  { title: "Latency", write: milliseconds, more: ["slow traces", link("traces", { kind: "slow" })], lines: [["p50", "p50", 3], ["p95", "p95", 1], ["p99", "p99", 2]] },
  { title: "Processor cores used", write: count, lines: [["cpu", "This process", 1]] },
  { title: "Queries per second", write: rate, more: ["by statement", link("statements", { sort: "calls" })], lines: [["select", "SELECT", 1], ["insert", "INSERT", 2], ["update", "UPDATE", 3], ["delete", "DELETE", 4], ["all", "All", 5]] },
  { title: "Active queries and connections", write: count, more: ["what runs", link("running")], lines: [["active", "Active queries", 1], ["connections", "Connections", 2]] },
  { title: "Oldest running query", write: seconds, lines: [["oldest", "Oldest", 1]] },
  { title: "Disk", write: bytes, more: ["by database", link("storage")], lines: [["disk", "In all", 1], ["wal", "Write-ahead log", 2], ["temporary", "Temporary files", 3]] },
  { title: "Transactions per second", write: rate, lines: [["committed", "Committed", 3], ["failed", "Failed", 2]] },
];

export function create(parameters) {
  let range = "15m";
  let zoom = null;
  let compare = "";
  const series = new Series(WANTED);
  const earlier = new Series(WANTED);
  const charts = [];

  const ranges = group("Time range", Object.fromEntries(Object.keys(RANGES).map((name) => [name, name])), (name) => change({ range: name, from: null, to: null }));
  const select = choice(Object.entries(COMPARED), (name) => change({ compare: name }));
  const reset = h("button", { type: "button", hidden: true, onclick: () => change({ from: null, to: null }) }, "Leave the zoom");
  const controls = h("div", { class: "controls" }, ranges.element, h("label", {}, "Compare with", select), reset);

  const tiles = {};
  const tile = (name, title) => {
    tiles[name] = { value: h("dd", { class: "value" }, UNKNOWN), detail: h("dd", { class: "detail" }) };
    return h("div", { class: "tile" }, h("dt", {}, title), tiles[name].value, tiles[name].detail);
  };
  const words = h("div", {});
  const grid = h("div", { class: "charts" });
  const element = h("div", { class: "sections" },
    card("State", words),
    h("dl", { class: "tiles" }, tile("memory", "DuckDB memory"), tile("resident", "Process memory"), tile("cpu", "Processors"), tile("queries", "Running"), tile("throughput", "Throughput"), tile("latency", "Latency, p95"), tile("disk", "Disk"), tile("connections", "Connections"), tile("alerts", "Open alerts"), tile("sync", "Sync waiting")),
    grid);

  function build() {
    charts.splice(0).forEach(({ chart }) => chart.destroy());
    for (const { title, write, lines, more } of CHARTS) {
      const shown = lines.map(([, label, color]) => ({ label, color }));
      if (compare) shown.push(...lines.map(([, label, color]) => ({ label: `${label}, ${compare} before`, color, dashed: true })));
      const chart = new Chart({ title, write, more, lines: shown, zoom: (from, to) => change({ from: Math.floor(from), to: Math.ceil(to) }) });
      charts.push({ chart, names: lines.map(([name]) => name) });
    }
    grid.replaceChildren(...charts.map(({ chart }) => chart.element));
  }

  function navigate(next) {
    const wanted = next.get("range");
    range = Object.hasOwn(RANGES, wanted) ? wanted : "15m";
    const [from, to] = [Number(next.get("from")), Number(next.get("to"))];
    zoom = from > 0 && to > from && to < 1e11 ? { from, to } : null;
    const compared = Object.hasOwn(MOVED, next.get("compare")) ? next.get("compare") : "";
    if (compared !== compare || !charts.length) {
      compare = compared;
      build();
    }
    select.value = compare;
    reset.hidden = !zoom;
    ranges.press(zoom ? null : range);
  }

  function tell(name, value, detail = "") {
    setText(tiles[name].value, value);
    if (detail instanceof Node) {
      if (!tiles[name].detail.firstChild?.isEqualNode?.(detail)) tiles[name].detail.replaceChildren(detail);
    } else setText(tiles[name].detail, detail);
  }

  function figures({ summary, metrics, monitor }) {
    const reasons = summary.reasons ?? [];
    const said = h("div", {}, reasons.length ? h("ul", { class: "reasons" }, reasons.map((reason) => h("li", {}, reason))) : h("p", {}, monitor.alerting ? "Nothing is out of the ordinary." : "Nothing is judged, for alerting is off."),
      reasons.length ? h("p", {}, h("a", { href: link("alerts") }, "See the alerts")) : null);
    if (!words.firstChild?.isEqualNode(said)) words.replaceChildren(said);
    const open = Object.entries(summary.open_alerts).filter(([, each]) => each).reverse();
    tell("alerts", monitor.alerting ? count(open.reduce((all, [, each]) => all + each, 0)) : "off", h("a", { href: link("alerts") }, open.length ? open.map(([level, each]) => badge(`${each} ${level}`, level)) : "see ended ones"));
    if (!metrics.memory) return;
    const { memory, system, queries, disk, connections, sync } = metrics;
    if (memory.duckdb_memory_limit_bytes) tell("memory", percent(memory.duckdb_memory_percent), bar(memory.duckdb_memory_percent / 100, `${bytes(memory.duckdb_memory_bytes)} of ${bytes(memory.duckdb_memory_limit_bytes)}`));
    else tell("memory", UNKNOWN, "no database is open");
    tell("resident", bytes(memory.resident_bytes), `of ${bytes(memory.machine_bytes)} here`);
    tell("cpu", percent(system.cpu_usage_percent), "all programs together");
    tell("queries", count(queries.active_queries), queries.oldest_seconds ? `oldest ${seconds(queries.oldest_seconds)}` : "");
    tell("throughput", rate(queries.per_second), `read every ${seconds(monitor?.interval_seconds)}`);
    tell("disk", bytes(disk.used_bytes), `log ${bytes(disk.wal_bytes ?? 0)}, temporary ${bytes(disk.temporary_bytes ?? 0)}`);
    tell("connections", count(connections.open), metrics.transactions ? `${count(metrics.transactions.failed)} failed transactions` : "");
    const tables = sync?.tables ?? [];
    tiles.sync.value.parentElement.hidden = !tables.length;
    tell("sync", tables.length ? count(tables.reduce((all, table) => all + (table.pending_rows ?? 0), 0)) : UNKNOWN, tables.length ? "rows" : "no sync runs");
  }

  async function refresh(status) {
    figures(status);
    const now = Date.parse(status.metrics.timestamp) / 1e3 || Date.now() / 1e3;
    const [from, to] = zoom ? [zoom.from, zoom.to] : [now - RANGES[range], now];
    const key = zoom ? `${from}-${to}` : range;
    await series.load(key, from, to, { live: !zoom });
    if (compare) await earlier.load(`${key} ${compare}`, from, to, { live: !zoom, moved: MOVED[compare] });
    for (const { chart, names } of charts) {
      const data = [series.times, ...names.map((name) => series.values[name])];
      if (compare) data.push(...names.map((name) => series.aligned(earlier, name)));
      chart.set(data, { min: from, max: to }, 2.5 * (status.monitor?.interval_seconds ?? 1));
    }
    const last = (name) => series.values[name].findLast((value, index) => value !== null && series.times[index] > now - 30);
    tell("latency", milliseconds(last("p95")), `p50 ${milliseconds(last("p50"))}, p99 ${milliseconds(last("p99"))}`);
    setText(reset, zoom ? `Leave ${moment(zoom.from)} to ${moment(zoom.to)}` : "");
  }

  navigate(parameters);
  return { element, controls, navigate, refresh, live: figures, destroy: () => charts.forEach(({ chart }) => chart.destroy()) };
}
