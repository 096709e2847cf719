// Sync: what waits to be copied, how fast it goes, and what failed.

import { change } from "../address.js";
import { get } from "../api.js";
import { badge, card, h, notice } from "../dom.js";
import { ago, bytes, count, rate, seconds, UNKNOWN } from "../format.js";
import { Table } from "../table.js";

const ORDERS = { pending: "pending_rows", lag: "lag_seconds", rate: "rows_per_second", rows: "rows" };

export function create(parameters) {
  const table = new Table({
    label: "Tables of the sync",
    id: (row) => `${row.database} ${row.table}`,
    sort: "pending",
    empty: notice("No sync runs in this process.", "Tables appear when the program copies them with otel_duckdb.sync, or reports its own copying with trace_sync."),
    onsort: (wanted) => change({ sort: wanted }),
    columns: [
      { label: "Table", kind: "words", cell: (row) => row.table },
      { label: "Database", cell: (row) => row.database || UNKNOWN },
      { label: "State", cell: (row) => (row.failing ? badge("failing", "critical") : badge(row.running ? "running" : "at rest", row.running ? "good" : "")) },
      { label: "Rows waiting", number: true, sort: "pending", cell: (row) => count(row.pending_rows) },
      { label: "Behind", number: true, sort: "lag", cell: (row) => seconds(row.lag_seconds) },
      { label: "Rate", number: true, sort: "rate", cell: (row) => rate(row.rows_per_second) },
      { label: "Bytes", number: true, cell: (row) => (row.bytes_per_second ?? null) === null ? UNKNOWN : `${bytes(row.bytes_per_second)}/s` },
      { label: "Rows sent", number: true, sort: "rows", cell: (row) => count(row.rows) },
      { label: "Succeeded", number: true, cell: (row) => count(row.succeeded) },
      { label: "Failed", number: true, cell: (row) => (row.failed ? badge(count(row.failed), "critical") : "0") },
      { label: "Retries", number: true, cell: (row) => count(row.retries) },
      { label: "Last success", number: true, cell: (row) => ago(row.last_success) },
      { label: "Last error", kind: "words", cell: (row) => (row.last_error ? `${row.last_error} (${ago(row.last_failure)})` : UNKNOWN) },
    ],
  });
  const element = h("div", {}, card("Tables", table.element));

  function navigate(next) {
    table.sort = Object.hasOwn(ORDERS, next.get("sort")) ? next.get("sort") : "pending";
    table.mark();
  }

  async function refresh() {
    table.update(table.sorted((await get("sync")).tables, ORDERS));
  }

  navigate(parameters);
  return { element, navigate, refresh };
}
