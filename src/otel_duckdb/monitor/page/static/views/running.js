// Running: what DuckDB works on now, and which transactions are open.

import { get, post } from "../api.js";
import { announce, badge, card, h, notice, refusal } from "../dom.js";
import { count, seconds, UNKNOWN } from "../format.js";
import { Table } from "../table.js";

export function create() {
  let cancels = false;
  const said = h("div", { hidden: true });
  const stops = new Map();
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
      { label: "Act", cell: (row) => stop(row) },
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

  function stop(row) {
    if (!cancels || row.phase === "idle result") return "";
    if (!stops.has(row.id)) {
      const button = h("button", { type: "button", class: "small danger", "aria-label": `Cancel operation ${row.id}` }, "Cancel");
      button.addEventListener("click", () => ask(row, button));
      stops.set(row.id, button);
    }
    return stops.get(row.id);
  }

  async function ask(row, button) {
    if (button.dataset.asked === undefined) {
      button.dataset.asked = "";
      button.textContent = "Cancel and lose its transaction?";
      setTimeout(() => {
        delete button.dataset.asked;
        button.textContent = "Cancel";
      }, 5000);
      announce("Press again to cancel; what its transaction wrote is lost");
      return;
    }
    button.disabled = true;
    try {
      await post("cancel", { id: row.id });
      tell(notice(`Operation ${row.id} was told to stop.`, "Its program gets an InterruptException, and its transaction is aborted."));
    } catch (error) {
      tell(refusal(error));
      button.disabled = false;
    }
  }

  function tell(message) {
    said.replaceChildren(message);
    said.hidden = false;
    announce(message.textContent);
  }

  async function refresh(status) {
    cancels = status.monitor?.cancel === true;
    running(await get("running"));
  }

  function running(answer) {
    const known = new Set(answer.operations.map((row) => row.id));
    for (const id of stops.keys()) if (!known.has(id)) stops.delete(id);
    operations.update(answer.operations);
    transactions.update((answer.transactions ?? []).map((each, index) => ({ ...each, key: index })));
  }

  return { element, refresh, running };
}
