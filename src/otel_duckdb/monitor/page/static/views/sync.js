// Sync: what waits to be copied, and how far behind each table is.

import { change } from "../address.js";
import { card, h, notice } from "../dom.js";
import { count, seconds } from "../format.js";
import { Table } from "../table.js";

const ORDERS = { pending: "pending_rows", lag: "lag_seconds" };

export function create(parameters) {
  let sort = "pending";
  const table = new Table({
    label: "Tables of the sync",
    id: (row) => row.table,
    sort,
    onsort: (wanted) => change({ sort: wanted }),
    columns: [
      { label: "Table", cell: (row) => row.table },
      { label: "Rows waiting", number: true, sort: "pending", cell: (row) => count(row.pending_rows) },
      { label: "Behind", number: true, sort: "lag", cell: (row) => seconds(row.lag_seconds) },
    ],
  });
  const empty = notice("No sync runs in this process.", "Tables appear when the program copies them with otel_duckdb.sync, or reports its own copying with trace_sync.");
  const element = h("div", {}, card("Tables", empty, table.element));

  function navigate(next) {
    sort = next.get("sort") in ORDERS ? next.get("sort") : "pending";
    table.sort = sort;
    table.mark();
  }

  async function refresh(status) {
    const rows = [...(status.metrics.sync?.tables ?? [])].sort((one, other) => (other[ORDERS[sort]] ?? -1) - (one[ORDERS[sort]] ?? -1));
    table.update(rows);
    table.element.hidden = !rows.length;
    empty.hidden = rows.length > 0;
  }

  navigate(parameters);
  return { element, navigate, refresh };
}
