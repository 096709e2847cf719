// A table whose rows stay where they are while their figures change: keyed by id, sorted, opened, moved in by keys.

import { h, setText } from "./dom.js";

export class Table {
  // columns: [{ key, label, number, sort, cell(row) -> text or node, kind }]
  // open(row) -> node: what an opened row tells; the column with `opens` then is the button that opens it, behind the
  // node that its `lead(row)` gives
  // empty: what is shown where there are no rows
  constructor({ label, columns, id, sort, onsort, open, opened, onopen, empty }) {
    Object.assign(this, { columns, id, sort, onsort, open, onopen, empty });
    this.opened = opened ?? null;
    this.rows = new Map();
    this.headings = columns.map((column) => h("th", { scope: "col", class: column.number ? "num" : null }, column.sort
      ? h("button", { type: "button", onclick: () => this.choose(column.sort) }, column.label) : column.label));
    this.body = h("tbody", { onkeydown: (event) => this.key(event) });
    this.scroll = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, h("table", { class: "rows" }, h("thead", {}, h("tr", {}, this.headings)), this.body));
    this.element = h("div", {}, empty ?? null, this.scroll);
    this.mark();
  }

  // Rows with the largest of what they are sorted by first; fields: { sort: name of the field }
  sorted(rows, fields) {
    const field = fields[this.sort];
    return [...rows].sort((one, other) => (other[field] ?? -1) - (one[field] ?? -1));
  }

  choose(sort) {
    this.sort = sort;
    this.mark();
    this.onsort?.(sort);
  }

  mark() {
    this.columns.forEach((column, index) => {
      if (column.sort && column.sort === this.sort) this.headings[index].setAttribute("aria-sort", "descending");
      else this.headings[index].removeAttribute("aria-sort");
      const button = this.headings[index].querySelector("button");
      if (button) setText(button, column.sort === this.sort ? `${column.label} ↓` : column.label);
    });
  }

  update(rows) {
    const known = new Set();
    const order = [];
    for (const row of rows) {
      const id = String(this.id(row));
      known.add(id);
      const line = this.rows.get(id) ?? this.add(id);
      line.row = row;
      this.columns.forEach((column, index) => this.cell(column, line, index));
      order.push(line.element);
      if (id === this.opened) {
        this.details(line);
        order.push(line.details);
      }
    }
    for (const [id, line] of this.rows) {
      if (known.has(id)) continue;
      line.element.remove();
      line.details?.remove();
      this.rows.delete(id);
    }
    order.forEach((element, index) => {
      if (this.body.children[index] !== element) this.body.insertBefore(element, this.body.children[index] ?? null);
    });
    while (this.body.children.length > order.length) this.body.lastChild.remove();
    this.scroll.hidden = !rows.length;
    if (this.empty) this.empty.hidden = rows.length > 0;
  }

  add(id) {
    const cells = this.columns.map((column) => h("td", { "data-label": typeof column.label === "string" ? column.label : null, class: [column.number ? "num" : "", column.kind ?? ""].join(" ").trim() || null }));
    const line = { id, cells, element: h("tr", {}, cells), row: null, details: null, button: null };
    const opening = this.columns.findIndex((column) => column.opens);
    if (this.open && opening >= 0) {
      line.button = h("button", { type: "button", class: "open", "aria-expanded": "false", onclick: () => this.turn(line) });
      cells[opening].append(line.button);
    }
    this.rows.set(id, line);
    return line;
  }

  cell(column, line, index) {
    const content = column.cell(line.row);
    if (column.opens && line.button) {
      setText(line.button, content);
      const lead = column.lead?.(line.row);
      if (lead && lead !== line.button.previousSibling) line.button.before(lead);
    }
    else if (content instanceof Node) {
      if (!line.cells[index].firstChild?.isEqualNode?.(content)) line.cells[index].replaceChildren(content);
    } else setText(line.cells[index], content);
  }

  details(line) {
    const told = this.open(line.row);
    line.details ??= h("tr", { class: "details" }, h("td", { colspan: String(this.columns.length) }));
    const cell = line.details.firstChild;
    if (!cell.firstChild?.isEqualNode(told)) cell.replaceChildren(told);
    line.button?.setAttribute("aria-expanded", "true");
  }

  turn(line, wanted = this.opened !== line.id) {
    const before = this.rows.get(this.opened);
    if (before) {
      before.details?.remove();
      before.button?.setAttribute("aria-expanded", "false");
    }
    this.opened = wanted ? line.id : null;
    if (wanted) {
      this.details(line);
      line.element.after(line.details);
    }
    this.onopen?.(this.opened);
  }

  // Opens the row that the address names, or none.
  reopen(id) {
    const line = this.rows.get(id ?? this.opened);
    if (id === this.opened) return;
    if (line) this.turn(line, Boolean(id));
    else this.opened = id;
  }

  key(event) {
    const buttons = [...this.body.querySelectorAll(".open")];
    const present = buttons.indexOf(document.activeElement);
    if (present < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const line = [...this.rows.values()].find((each) => each.button === buttons[present]);
    const target = { ArrowDown: present + 1, j: present + 1, ArrowUp: present - 1, k: present - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (!line && target === undefined) {
      if (event.key !== "ArrowRight" && event.key !== "l") return;
      buttons[present].click();
    } else if (target !== undefined) buttons[Math.min(buttons.length - 1, Math.max(0, target))].focus();
    else if (event.key === "ArrowRight" || event.key === "l") this.turn(line, true);
    else if (event.key === "ArrowLeft" || event.key === "h" || event.key === "Escape") this.turn(line, false);
    else return;
    event.preventDefault();
  }
}
