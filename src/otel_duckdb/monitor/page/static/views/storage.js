// Storage: memory and files of each database.

import { change } from "../address.js";
import { bar, card, h, notice } from "../dom.js";
import { bytes, count } from "../format.js";
import { Table } from "../table.js";

const ORDERS = { memory: "memory_bytes", disk: "disk_bytes", wal: "wal_bytes", temporary: "temporary_bytes", connections: "connections" };

export function create(parameters) {
  let sort = "disk";
  const table = new Table({
    label: "Databases",
    id: (row) => row.name,
    sort,
    onsort: (wanted) => change({ sort: wanted }),
    columns: [
      { label: "Database", kind: "words", cell: (row) => row.name },
      { label: "Memory", number: true, sort: "memory", cell: (row) => bytes(row.memory_bytes) },
      { label: "Of its limit", number: true, cell: (row) => bar((row.memory_percent ?? 0) / 100, bytes(row.memory_limit_bytes)) },
      { label: "File", number: true, sort: "disk", cell: (row) => bytes(row.disk_bytes) },
      { label: "Write-ahead log", number: true, sort: "wal", cell: (row) => bytes(row.wal_bytes) },
      { label: "Temporary files", number: true, sort: "temporary", cell: (row) => bytes(row.temporary_bytes) },
      { label: "Connections", number: true, sort: "connections", cell: (row) => count(row.connections) },
      { label: "Active queries", number: true, cell: (row) => count(row.active_queries) },
    ],
  });
  const empty = notice("No database is open.", "Databases appear when the program opens one with duckdb.connect.");
  const element = h("div", {}, card("Databases", empty, table.element));

  function navigate(next) {
    sort = next.get("sort") in ORDERS ? next.get("sort") : "disk";
    table.sort = sort;
    table.mark();
  }

  async function refresh(status) {
    const rows = [...(status.databases ?? [])].sort((one, other) => (other[ORDERS[sort]] ?? -1) - (one[ORDERS[sort]] ?? -1));
    table.update(rows);
    table.element.hidden = !rows.length;
    empty.hidden = rows.length > 0;
  }

  navigate(parameters);
  return { element, navigate, refresh };
}
