// Storage: memory and files of each database, and on demand its tables.

import { change } from "../address.js";
import { get } from "../api.js";
import { announce, bar, card, h, notice, setText } from "../dom.js";
import { bytes, count, moment } from "../format.js";
import { Table } from "../table.js";

const ORDERS = { memory: "memory_bytes", disk: "disk_bytes", wal: "wal_bytes", temporary: "temporary_bytes", connections: "connections" };
const EVERY_MS = 15_000; // DuckDB is asked for it

export function create(parameters) {
  let looked = 0;
  const table = new Table({
    label: "Databases",
    id: (row) => row.name,
    sort: "disk",
    empty: notice("No database is open.", "Databases appear when the program opens one with duckdb.connect."),
    onsort: (wanted) => change({ sort: wanted }),
    columns: [
      { label: "Database", kind: "words", cell: (row) => row.name },
      { label: "Memory", number: true, sort: "memory", cell: (row) => bytes(row.memory_bytes) },
      { label: "Of its limit", number: true, cell: (row) => bar((row.memory_percent ?? 0) / 100, bytes(row.memory_limit_bytes)) },
      { label: "On disk", number: true, sort: "disk", cell: (row) => bytes(row.disk_bytes) },
      { label: "Write-ahead log", number: true, sort: "wal", cell: (row) => bytes(row.wal_bytes) },
      { label: "Temporary files", number: true, sort: "temporary", cell: (row) => bytes(row.temporary_bytes) },
      { label: "Connections", number: true, sort: "connections", cell: (row) => count(row.connections) },
      { label: "Active queries", number: true, cell: (row) => count(row.active_queries) },
    ],
  });
  const files = new Table({
    label: "Files",
    empty: notice("No file is open.", "Each database in a file appears here with its write-ahead log."),
    id: (row) => row.key,
    columns: [
      { label: "Database", cell: (row) => row.database },
      { label: "File", kind: "words mono", cell: (row) => row.path || "in memory" },
      { label: "Kind", cell: (row) => (row.read_only ? `${row.type}, read only` : row.type) },
      { label: "Size", number: true, cell: (row) => bytes(row.bytes) },
      { label: "Write-ahead log", number: true, cell: (row) => bytes(row.wal_bytes) },
    ],
  });
  const spilled = new Table({
    label: "Temporary files",
    empty: notice("Nothing is spilled.", "DuckDB writes temporary files where a query needs more than the memory limit."),
    id: (row) => row.path,
    columns: [{ label: "File", kind: "words mono", cell: (row) => row.path }, { label: "Size", number: true, cell: (row) => bytes(row.bytes) }],
  });
  const tables = new Table({
    label: "Tables",
    id: (row) => row.key,
    columns: [
      { label: "Table", kind: "words", cell: (row) => `${row.schema === "main" ? "" : `${row.schema}.`}${row.table}` },
      { label: "Database", cell: (row) => row.database },
      { label: "Rows, estimated", number: true, cell: (row) => count(row.rows) },
      { label: "Bytes, by blocks", number: true, cell: (row) => bytes(row.bytes) },
      { label: "Columns", number: true, cell: (row) => count(row.columns) },
      { label: "Indexes", number: true, cell: (row) => count(row.indexes) },
    ],
  });
  const said = h("p", { class: "quiet" }, "DuckDB is asked only when you press; of blocks that several tables share each counts them.");
  const look = h("button", { type: "button", onclick: () => lookAtTables() }, "Look at the tables");
  tables.scroll.hidden = true;
  const element = h("div", { class: "sections" }, card("Databases", table.element), card("Files", files.element), card("Temporary files", spilled.element),
    card("Tables", said, h("div", { class: "controls" }, look), tables.element));

  async function lookAtTables() {
    look.disabled = true;
    try {
      const answer = await get("storage", { tables: true });
      const rows = answer.databases.flatMap((one) => (one.tables ?? []).map((row) => ({ ...row, key: `${one.name} ${row.database} ${row.schema} ${row.table}` })));
      rows.sort((one, other) => (other.bytes ?? 0) - (one.bytes ?? 0) || (other.rows ?? 0) - (one.rows ?? 0));
      tables.update(rows);
      const more = answer.databases.some((one) => one.tables_left_out) ? ", the largest 200 of a database" : "";
      setText(said, `${count(rows.length)} tables at ${moment(Date.now() / 1e3)}${more}.`);
      setText(look, "Look again");
      announce(said.textContent);
    } catch (error) {
      setText(said, error.message);
    }
    look.disabled = false;
  }

  function navigate(next) {
    table.sort = Object.hasOwn(ORDERS, next.get("sort")) ? next.get("sort") : "disk";
    table.mark();
  }

  function databases(status) {
    table.update(table.sorted(status.databases ?? [], ORDERS));
  }

  async function refresh(status) {
    databases(status);
    if (performance.now() - looked < EVERY_MS && looked) return;
    const answer = await get("storage");
    looked = performance.now();
    files.update(answer.databases.flatMap((one) => one.files.map((file) => ({ ...file, key: `${one.name} ${file.database}` }))));
    spilled.update(answer.databases.flatMap((one) => one.temporary_files));
  }

  navigate(parameters);
  return { element, navigate, refresh, live: databases };
}
