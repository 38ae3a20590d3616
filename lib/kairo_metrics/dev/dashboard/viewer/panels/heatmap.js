// A heat map of a histogram's buckets: time to the right, buckets upwards, stronger colours for more observations.

import { frame, hideTooltip, reportZoom, valueAxis, watchSize, withTooltip } from "../chart.js";
import { css, h } from "../dom.js";
import { Field } from "../field.js";
import { clock, format } from "../units.js";
import uPlot from "../vendor/uplot.js";

const STEPS = 64;

export class HeatMap {
  constructor(panel, body) {
    this.panel = panel;
    this.host = h("div", { class: "plot" });
    this.scale = h("div", { class: "scale" });
    body.replaceChildren(this.host, this.scale);
    this.unwatch = watchSize(this.host, (width, height) => this.chart?.setSize({ width, height }));
    this.rows = [];
  }

  draw(results, times) {
    this.times = times;
    this.rows = buckets(results.flatMap(({ series }) => series));
    this.most = Math.max(0, ...this.rows.flatMap(({ counts }) => counts));
    this.#plot();
    this.#legend();
    return this.most > 0 ? null : new Field(this.panel).text(null);
  }

  restyle() {
    if (!this.times) return;
    this.shape = "";
    this.#plot();
    this.#legend();
  }

  summary() {
    const last = this.rows.map(({ counts }) => counts.at(-1));
    const busiest = last.indexOf(Math.max(...last));
    return this.most > 0 ? `most of the last observations: ${this.#name(busiest)}` : new Field(this.panel).text(null);
  }

  end() {
    this.unwatch();
    this.chart?.destroy();
  }

  get unit() {
    return this.panel.options?.yAxis?.unit ?? "short";
  }

  #plot() {
    const data = [this.times, this.times.map(() => null)];
    const shape = JSON.stringify([this.rows.map(({ bound }) => bound), css("--panel")]);
    if (this.chart && shape === this.shape) {
      this.chart.setData(data);
      return;
    }
    this.shape = shape;
    this.chart?.destroy();
    hideTooltip();
    this.ramp = ramp(css("--heat-low"), css("--heat-high"));
    const { clientWidth: width, clientHeight: height } = this.host;
    const base = frame({ unit: this.unit, width: width || 300, height: height || 180 });
    this.chart = new uPlot(
      {
        ...base,
        cursor: { ...base.cursor, points: { show: false } },
        scales: { ...base.scales, y: { range: () => [0, Math.max(1, this.rows.length)] } },
        axes: [
          base.axes[0],
          valueAxis(this.unit, {
            grid: { show: false },
            splits: () => this.rows.map((_, number) => number + 1).slice(0, -1),
            values: (_, splits) => splits.map((split) => format(this.rows[split - 1]?.bound, this.unit)),
            space: 14,
            filter: (chart, splits) => thinned(chart, splits),
          }),
        ],
        series: [{}, { paths: () => null, points: { show: false } }],
        hooks: { setSelect: [reportZoom], draw: [(chart) => this.#cells(chart)] },
      },
      data,
      this.host,
    );
    withTooltip(this.chart, this.host, (index, top) => this.#told(index, top));
  }

  #cells(chart) {
    const { ctx, bbox } = chart;
    const gap = devicePixelRatio;
    const step = this.times.length > 1 ? this.times[1] - this.times[0] : 1;
    const width = Math.abs(chart.valToPos(this.times[0] + step, "x", true) - chart.valToPos(this.times[0], "x", true));
    const height = bbox.height / Math.max(1, this.rows.length);
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    this.rows.forEach(({ counts }, number) => {
      const y = bbox.top + bbox.height - (number + 1) * height;
      counts.forEach((count, at) => {
        if (count <= (this.panel.options?.filterValues?.le ?? 0)) return;
        ctx.fillStyle = this.#colour(count);
        const x = chart.valToPos(this.times[at], "x", true) - width;
        ctx.fillRect(x, y + gap / 2, Math.max(1, width - (width > 5 * gap ? gap : 0)), height - gap);
      });
    });
    ctx.restore();
  }

  /** A colour between the weakest and the strongest; the exponent makes small counts visible. */
  #colour(count) {
    const exponent = this.panel.options?.color?.exponent ?? 0.5;
    return this.ramp[Math.round((this.most > 0 ? count / this.most : 0) ** exponent * (STEPS - 1))];
  }

  #told(index, top) {
    const row = this.rows.length - 1 - Math.floor((top / this.chart.over.clientHeight) * this.rows.length);
    if (this.times[index] === undefined || !this.rows.length) return null;
    const near = [row + 1, row, row - 1].filter((number) => this.rows[number]);
    return {
      title: clock(this.times[index]),
      rows: near.map((number) => {
        const count = this.rows[number].counts[index];
        return {
          name: number === row ? `▸ ${this.#name(number)}` : this.#name(number),
          text: format(count, "short"),
          colour: count > 0 ? this.#colour(count) : "transparent",
        };
      }),
    };
  }

  #name(number) {
    const upper = this.rows[number]?.bound;
    const lower = this.rows[number - 1]?.bound;
    if (upper === Infinity) return lower === undefined ? "any" : `over ${format(lower, this.unit)}`;
    return `${lower === undefined ? "0" : format(lower, this.unit)} – ${format(upper, this.unit)}`;
  }

  #legend() {
    this.scale.replaceChildren(
      h("span", {}, "0"),
      h("span", { class: "ramp", "aria-hidden": "true" }),
      h("span", {}, format(this.most, "short")),
    );
  }
}

/** Undo the cumulation: subtract from each bucket the one below it. */
function buckets(series) {
  const sorted = series
    .map(({ labels, values }) => ({ bound: Number((labels.le ?? "").replace("+Inf", "Infinity")), values }))
    .filter(({ bound }) => !Number.isNaN(bound))
    .sort((one, other) => one.bound - other.bound);
  const merged = [];
  for (const { bound, values } of sorted) {
    if (merged.at(-1)?.bound === bound) {
      merged.at(-1).values = merged.at(-1).values.map((value, at) => Math.max(value ?? 0, values[at] ?? 0));
    } else merged.push({ bound, values });
  }
  return merged.map(({ bound, values }, number) => ({
    bound,
    counts: values.map((value, at) => Math.max(0, (value ?? 0) - (number ? (merged[number - 1].values[at] ?? 0) : 0))),
  }));
}

/** The colours between two colours, both as #rrggbb. */
function ramp(low, high) {
  const parts = (colour) => [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
  const [from, to] = [parts(low), parts(high)];
  return Array.from(
    { length: STEPS },
    (_, step) =>
      `rgb(${from.map((start, at) => Math.round(start + ((to[at] - start) * step) / (STEPS - 1))).join(" ")})`,
  );
}

/** Leave out labels that would overlap. */
function thinned(chart, splits) {
  const room = chart.bbox.height / devicePixelRatio / Math.max(1, splits.length + 1);
  const every = Math.max(1, Math.ceil(14 / room));
  return splits.map((split, number) => (number % every ? null : split));
}
