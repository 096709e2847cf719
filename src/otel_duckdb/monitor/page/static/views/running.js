// Running: what DuckDB works on now, and which transactions are open.

import { get, post } from "../api.js";
import { badge, card, deliberate, h, notice, once, refusal, tell } from "../dom.js";
import { count, seconds, UNKNOWN } from "../format.js";
import { Table } from "../table.js";

export function create() {
  let cancels = false;
  const said = h("div", { hidden: true });
  const operations = new Table({
    label: "Operations",
    empty: notice("DuckDB does nothing at the moment.", "Operations appear here while they run, and results that were not fetched to their end."),
    id: (row) => row.id,
    columns: [
      { label: "For", number: true, cell: (row) => seconds(row.elapsed_seconds) },
      { label: "Phase", cell: (row) => badge(row.phase, row.phase === "idle result" ? "" : "good") },
      { label: "Statement", kind: "wide mono", cell: (row) => row.text },
      { label: "Database", cell: (row) => row.database },
      { label: "Rows", number: true, cell: (row) => count(row.rows) },
      { label: "Called from", cell: (row) => row.caller ?? UNKNOWN },
      { label: "Thread", cell: (row) => row.thread ?? UNKNOWN },
      { label: "Transaction", number: true, cell: (row) => seconds(row.transaction_seconds) },
      { label: "Act", cell: (row) => (cancels && row.phase !== "idle result" ? stop(row.id, row) : "") },
    ],
  });
  const transactions = new Table({
    label: "Open transactions",
    empty: notice("No transaction is open.", "One that stays open for long keeps old versions of rows, and the write-ahead log from being emptied."),
    id: (row) => row.key,
    columns: [
      { label: "Open for", cell: (row) => seconds(row.seconds) },
      { label: "Database", cell: (row) => row.database },
      { label: "State", cell: (row) => (row.aborted ? badge("aborted", "critical") : badge("open", "good")) },
    ],
  });
  const element = h("div", { class: "sections" }, said, card("Operations", operations.element), card("Open transactions", transactions.element));

  const stop = once(({ id }) => deliberate("Cancel", (button) => cancel(id, button), "Cancel and lose its transaction?", `Cancel operation ${id}, and lose what its transaction wrote`));

  async function cancel(id, button) {
    button.disabled = true;
    try {
      await post("cancel", { id });
      tell(said, notice(`Operation ${id} was told to stop.`, "Its program gets an InterruptException, and its transaction is aborted."));
    } catch (error) {
      tell(said, refusal(error));
      button.disabled = false;
    }
  }

  async function refresh(status, told) {
    cancels = status.monitor?.cancel === true;
    running(told.running ?? await get("running"));
  }

  function running(answer) {
    operations.update(answer.operations);
    transactions.update((answer.transactions ?? []).map((each, index) => ({ ...each, key: index })));
  }

  return { element, refresh, running };
}
