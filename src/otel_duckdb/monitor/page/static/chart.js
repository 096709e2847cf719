// A chart: a figure with a legend of figures, a canvas that keys move a cursor on, and the same as a table; its history.

import { get } from "./api.js";
import { announce, h, setText } from "./dom.js";
import { bytes, moment, UNKNOWN } from "./format.js";

const charts = new Set();
const POWERS_OF_TWO = Array.from({ length: 50 }, (_, power) => 2 ** power);
const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const plain = (values) => values.filter((value) => (value ?? null) !== null);

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

  // gap: seconds without a figure that a line goes on over: samples may lie further apart than the steps of the history
  set(data, range, gap) {
    this.data = data;
    this.gap = gap;
    this.range = range;
    this.none.hidden = data.slice(1).some((values) => plain(values).length);
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
      setText(this.values[number], this.write(values[index ?? this.latest(values)]));
    });
  }

  // Where the latest figure is; -1 where that is long ago: the database may be closed.
  latest(values) {
    const [first, second, end] = [this.data[0][0], this.data[0][1], this.data[0].at(-1)];
    const found = values.findLastIndex((value) => (value ?? null) !== null);
    return end - this.data[0][found] <= Math.max(30, 2 * this.gap) + 2 * (second - first || 0) ? found : -1;
  }

  draw() {
    this.uplot?.destroy();
    if (!this.plot.clientWidth) return;
    const axis = { stroke: variable("--quiet"), grid: { stroke: variable("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    this.uplot = new window.uPlot({
      width: this.plot.clientWidth, height: this.plot.clientHeight, padding: [8, 20, 0, 0], legend: { show: false },
      scales: { x: { time: true, auto: false }, y: { auto: false } },
      axes: [{ ...axis, size: 28, space: 70, values: (_, times) => times.map((time, index) => short(time, times[index + 1] ?? times[index - 1])) }, { ...axis, size: 68, space: 36, incrs: this.write === bytes ? POWERS_OF_TWO : undefined, values: (_, values) => values.map((value) => this.write(value)) }],
      series: [{}, ...this.lines.map((line) => ({ label: line.label, stroke: variable(`--series-${line.color}`), width: line.dashed ? 1.25 : 1.75, dash: line.dashed ? [5, 4] : undefined, points: { show: false }, gaps: (plot, _, from, to, gaps) => gaps.filter(([start, end]) => plot.posToVal(end, "x", true) - plot.posToVal(start, "x", true) > this.gap) }))],
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
    const told = this.lines.map((line, number) => `${line.label} ${this.write(this.data[number + 1][index])}`);
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
      const values = this.data.slice(1).map((line) => line[index]);
      if (plain(values).length) rows.push(h("tr", {}, h("th", { scope: "row" }, moment(times[index])), values.map((value) => h("td", { class: "num" }, this.write(value)))));
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

// The history of some metrics, loaded once for a range and then carried on by what is new.
// wanted: { name: { metric, labels, join } }: the sum over the series of a metric that have these labels, or their `max`.
export class Series {
  constructor(wanted) {
    this.wanted = wanted;
    this.names = [...new Set(Object.values(wanted).map((each) => each.metric))];
    this.clear();
  }

  clear() {
    this.times = [];
    this.values = Object.fromEntries(Object.keys(this.wanted).map((name) => [name, []]));
    this.step = null;
    this.loaded = "";
    this.asked = 0;
  }

  // Loads from..to; `live` asks only for what came since. `moved` is added to the times, for comparing with earlier.
  async load(key, from, to, { live = false, moved = 0 } = {}) {
    const fresh = this.loaded !== key || !this.times.length;
    if (!fresh && (!live || to - moved - this.asked < this.step)) return;
    const start = fresh ? from - moved : this.times.at(-1) - this.step;
    const end = to - moved + Math.min(moved, 60); // what comes next is known of what was before
    const answer = await get("metrics", { name: this.names, start, end, step: fresh ? undefined : this.step });
    if (fresh) this.clear();
    this.step = answer.step ?? (answer.times[1] - answer.times[0] || 1);
    this.loaded = key;
    this.asked = end;
    this.join(answer, from, moved);
  }

  join(answer, from, moved) {
    const times = answer.times.map((time) => time + moved);
    const first = times[0] ?? Infinity;
    let kept = this.times.length;
    while (kept && this.times[kept - 1] >= first) kept -= 1;
    let gone = 0;
    while (gone < kept && this.times[gone] < from - this.step) gone += 1;
    this.times = [...this.times.slice(gone, kept), ...times];
    for (const [name, { metric, labels = {}, join = "sum" }] of Object.entries(this.wanted)) {
      const found = answer.series.filter((each) => each.metric === metric && Object.entries(labels).every(([label, value]) => each.labels[label] === value));
      const sums = answer.times.map((_, index) => {
        let sum = null;
        for (const { mean } of found) if (mean[index] !== null) sum = join === "max" ? Math.max(sum ?? 0, mean[index]) : (sum ?? 0) + mean[index];
        return sum;
      });
      this.values[name] = [...this.values[name].slice(gone, kept), ...sums];
    }
  }

  // The values of another Series at the times of this one, for comparing.
  aligned(other, name) {
    let index = 0;
    return this.times.map((time) => {
      while (index < other.times.length - 1 && other.times[index + 1] <= time) index += 1;
      const near = other.times.length && Math.abs(other.times[index] - time) <= Math.max(this.step, other.step);
      return near ? other.values[name][index] : null;
    });
  }
}
