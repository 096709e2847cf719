// The history of some metrics, loaded once for a range and then carried on by what is new.

import { get } from "./api.js";

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
    const answer = await get("metrics", { name: this.names, start, end: to - moved, step: fresh ? undefined : this.step });
    if (fresh) this.clear();
    this.step = answer.step ?? (answer.times[1] - answer.times[0] || 1);
    this.loaded = key;
    this.asked = to - moved;
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
