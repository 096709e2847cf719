// A chart: a figure with a legend of figures, a canvas that keys move a cursor on, and the same as a table.

import { announce, h, setText } from "./dom.js";
import { bytes, moment, UNKNOWN } from "./format.js";

const charts = new Set();
const POWERS_OF_TWO = Array.from({ length: 50 }, (_, power) => 2 ** power);
const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const plain = (values) => values.filter((value) => value !== null && value !== undefined);

export class Chart {
  // lines: [{ label, color: 1..5, dashed }], write: how a value is told, zoom(from, to): where a range was drawn
  // more: [words, address] of a view that tells more
  constructor({ title, lines, write, zoom, top, more }) {
    Object.assign(this, { title, lines, write, zoom, top });
    this.data = [[], ...lines.map(() => [])];
    this.values = lines.map(() => h("b", {}, UNKNOWN));
    this.plot = h("div", { class: "plot", tabindex: "0", role: "group", "aria-roledescription": "chart", onkeydown: (event) => this.key(event), onblur: () => this.uplot?.setCursor({ left: -10, top: -10 }) });
    this.none = h("div", { class: "none" }, "No figures in this range yet");
    this.plot.append(this.none);
    this.table = h("div", { class: "scroll", hidden: true, tabindex: "0", role: "region", "aria-label": `${title}, as a table` });
    this.button = h("button", { type: "button", class: "small", "aria-pressed": "false", "aria-label": `${title} as a table`, onclick: () => this.turn() }, "Table");
    const legend = lines.map((line, index) => h("span", {}, h("i", { class: `c${line.color}` }), `${line.label} `, this.values[index]));
    this.element = h("figure", { class: "card chart" }, h("figcaption", {}, h("span", {}, title), h("span", {}, more ? h("a", { href: more[1], "aria-label": `${title} ${more[0]}` }, more[0]) : null, this.button)), h("div", { class: "legend" }, legend), this.plot, this.table);
    this.observer = new ResizeObserver(() => this.size());
    this.observer.observe(this.plot);
    charts.add(this);
  }

  set(data, range) {
    this.data = data;
    this.range = range;
    this.none.hidden = data.slice(1).some((values) => values.some((value) => value !== null && value !== undefined));
    if (this.uplot) this.uplot.setData(data, false);
    else this.draw();
    if (this.uplot) {
      this.uplot.batch(() => {
        this.uplot.setScale("x", range);
        this.uplot.setScale("y", this.scale());
      });
    }
    this.tell(this.uplot?.cursor.idx ?? null);
    this.plot.setAttribute("aria-label", `${this.title}. ${this.summary()} Arrow keys move the cursor.`);
    if (!this.table.hidden) this.fill();
  }

  scale() {
    const [from, to] = [this.range?.min ?? 0, this.range?.max ?? Infinity];
    let most = 0;
    this.data[0].forEach((time, index) => {
      if (time < from || time > to) return;
      for (const values of this.data.slice(1)) most = Math.max(most, values[index] ?? 0);
    });
    return { min: 0, max: Math.max(most * 1.08, this.top ?? 0) || 1 };
  }

  summary() {
    return this.lines.map((line, index) => {
      const values = plain(this.data[index + 1]);
      if (!values.length) return `${line.label}: no figures.`;
      return `${line.label}: latest ${this.write(values.at(-1))}, least ${this.write(Math.min(...values))}, most ${this.write(Math.max(...values))}.`;
    }).join(" ");
  }

  // The figures at the cursor, else the latest.
  tell(index) {
    this.lines.forEach((_, number) => {
      const values = this.data[number + 1];
      const value = index === null ? plain(values).at(-1) : values[index];
      setText(this.values[number], value === null || value === undefined ? UNKNOWN : this.write(value));
    });
  }

  draw() {
    this.uplot?.destroy();
    if (!this.plot.clientWidth) return;
    const axis = { stroke: variable("--quiet"), grid: { stroke: variable("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    this.uplot = new window.uPlot({
      width: this.plot.clientWidth, height: this.plot.clientHeight, padding: [8, 8, 0, 0], legend: { show: false },
      scales: { x: { time: true, auto: false }, y: { auto: false } },
      axes: [{ ...axis, size: 28, space: 70, values: (_, times) => times.map((time, index) => short(time, times[index + 1] ?? times[index - 1])) }, { ...axis, size: 68, space: 36, incrs: this.write === bytes ? POWERS_OF_TWO : undefined, values: (_, values) => values.map((value) => this.write(value)) }],
      series: [{}, ...this.lines.map((line) => ({ label: line.label, stroke: variable(`--series-${line.color}`), width: line.dashed ? 1.25 : 1.75, dash: line.dashed ? [5, 4] : undefined, points: { show: false } }))],
      cursor: { sync: { key: "charts" }, drag: { x: true, y: false, setScale: false }, points: { size: 7 } },
      hooks: {
        setCursor: [(plot) => this.tell(plot.cursor.idx ?? null)],
        setSelect: [(plot) => {
          if (plot.select.width > 4) this.zoom?.(plot.posToVal(plot.select.left, "x"), plot.posToVal(plot.select.left + plot.select.width, "x"));
        }],
      },
    }, this.data, this.plot);
    if (this.range) {
      this.uplot.setScale("x", this.range);
      this.uplot.setScale("y", this.scale());
    }
  }

  size() {
    const [width, height] = [this.plot.clientWidth, this.plot.clientHeight];
    if (!width) return;
    if (!this.uplot) this.draw();
    else if (this.uplot.width !== width || this.uplot.height !== height) this.uplot.setSize({ width, height });
  }

  key(event) {
    const times = this.data[0];
    if (!this.uplot || !times.length) return;
    const present = this.uplot.cursor.idx ?? times.length - 1;
    const step = event.shiftKey ? 10 : 1;
    const next = { ArrowLeft: present - step, ArrowRight: present + step, Home: 0, End: times.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const index = Math.min(times.length - 1, Math.max(0, next));
    this.uplot.setCursor({ left: this.uplot.valToPos(times[index], "x"), top: 20 });
    const told = this.lines.map((line, number) => `${line.label} ${this.data[number + 1][index] === null ? "unknown" : this.write(this.data[number + 1][index])}`);
    announce(`${moment(times[index])}: ${told.join(", ")}`);
  }

  turn() {
    const shown = this.table.hidden;
    this.table.hidden = !shown;
    this.plot.hidden = shown;
    this.button.setAttribute("aria-pressed", String(shown));
    if (shown) this.fill();
  }

  fill() {
    const times = this.data[0];
    const rows = [];
    for (let index = times.length - 1; index >= 0 && rows.length < 200; index -= 1) {
      if (this.data.slice(1).every((values) => values[index] === null || values[index] === undefined)) continue;
      rows.push(h("tr", {}, h("th", { scope: "row" }, moment(times[index])), this.lines.map((_, number) => {
        const value = this.data[number + 1][index];
        return h("td", { class: "num" }, value === null || value === undefined ? UNKNOWN : this.write(value));
      })));
    }
    const head = h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Time"), this.lines.map((line) => h("th", { scope: "col", class: "num" }, line.label))));
    this.table.replaceChildren(h("table", {}, head, h("tbody", {}, rows)));
  }

  destroy() {
    this.observer.disconnect();
    this.uplot?.destroy();
    charts.delete(this);
  }
}

function short(time, neighbour) {
  const date = new Date(time * 1e3);
  const fine = neighbour !== undefined && Math.abs(neighbour - time) < 60;
  return date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: fine ? "2-digit" : undefined });
}

// Colours come from the style sheet, so they are read again when the theme changes.
export function recolour() {
  for (const chart of charts) chart.draw();
}
