// A graph over time: lines or bars, stacked or not, with thresholds and a table as legend.

import { FONT, frame, hideTooltip, reportZoom, valueAxis, watchSize, withTooltip } from "../chart.js";
import { css, h } from "../dom.js";
import { Field, colour, paletteColour, shade } from "../field.js";
import { legend } from "../template.js";
import { clock, format } from "../units.js";
import uPlot from "../vendor/uplot.js";

const CALCS = {
  last: { title: "Last", of: (values) => values.at(-1) ?? null },
  lastNotNull: { title: "Last", of: (values) => values.findLast((value) => value !== null) ?? null },
  max: { title: "Max", of: (values) => extreme(values, Math.max) },
  min: { title: "Min", of: (values) => extreme(values, Math.min) },
  mean: { title: "Mean", of: (values) => mean(values.filter((value) => value !== null)) },
  sum: { title: "Total", of: (values) => values.reduce((total, value) => total + (value ?? 0), 0) },
};

export class TimeSeries {
  constructor(panel, body) {
    this.panel = panel;
    this.host = h("div", { class: "plot" });
    this.legend = h("div", { class: "legend" });
    this.more = h("p", { class: "more", "aria-hidden": "true" });
    this.legend.addEventListener("scroll", () => this.#countMore(), { passive: true });
    body.replaceChildren(this.host, this.legend);
    this.hidden = new Set();
    this.unwatch = watchSize(this.host, (width, height) => {
      this.chart?.setSize({ width, height });
      this.#countMore();
    });
    this.series = [];
  }

  /** Draw the results of the panel's queries: [{target, series: [{labels, values}]}], over `times`. */
  draw(results, times) {
    const named = results.flatMap(({ target, series }) =>
      series.map(({ labels, values }) => {
        const name = legend(target, labels);
        return { name, values, field: new Field(this.panel, name, target.refId) };
      }),
    );
    this.times = times;
    this.series = coloured(named);
    this.#plot();
    this.#list();
    return this.series.some(({ values }) => values.some((value) => value !== null))
      ? null
      : new Field(this.panel).text(null);
  }

  /** The text for screen readers. */
  summary() {
    return this.series
      .slice(0, 6)
      .map(({ name, values, field }) => `${name} ${field.text(CALCS.lastNotNull.of(values))}`)
      .join(", ");
  }

  restyle() {
    this.series = coloured(this.series);
    if (this.times) {
      this.shape = "";
      this.#plot();
      this.#list();
    }
  }

  end() {
    this.unwatch();
    this.chart?.destroy();
  }

  get stacked() {
    return this.panel.fieldConfig?.defaults?.custom?.stacking?.mode === "normal";
  }

  #plot() {
    const shown = this.series.filter(({ name }) => !this.hidden.has(name));
    const data = [this.times, ...(this.stacked ? stack(shown) : shown.map(({ values }) => values))];
    const shape = JSON.stringify([shown.map(({ name, colour: stroke }) => [name, stroke]), css("--panel")]);
    this.shown = shown;
    if (this.chart && shape === this.shape) {
      this.chart.setData(data);
      return;
    }
    this.shape = shape;
    this.chart?.destroy();
    hideTooltip();
    const { clientWidth: width, clientHeight: height } = this.host;
    this.chart = new uPlot(this.#options(shown, width || 300, height || 150), data, this.host);
    withTooltip(this.chart, this.host, (index) => this.#told(index));
  }

  #options(shown, width, height) {
    const { settings, custom } = new Field(this.panel);
    const base = frame({ unit: settings.unit, width, height });
    return {
      ...base,
      axes: [base.axes[0], valueAxis(settings.unit)],
      scales: { ...base.scales, y: { range: (_, low, high) => range(low, high, settings, custom) } },
      series: [{}, ...shown.map((one, number) => this.#line(one, number, custom))],
      bands: this.stacked ? shown.slice(1).map((_, number) => ({ series: [number + 2, number + 1] })) : [],
      hooks: { setSelect: [reportZoom], draw: [(chart) => drawThresholds(chart, new Field(this.panel))] },
    };
  }

  #line(one, number, custom) {
    const bars = custom.drawStyle === "bars";
    const share = (custom.fillOpacity ?? 10) / 100;
    const fill = this.stacked
      ? `${one.colour}${hex(bars ? 0.8 : Math.max(share, 0.35))}`
      : bars
        ? `${one.colour}${hex(share)}`
        : fade(one.colour, share);
    return {
      label: one.name,
      stroke: one.colour,
      width: bars ? 1 : Math.max(1.6, custom.lineWidth ?? 1),
      fill: share || bars || this.stacked ? fill : undefined,
      paths: bars ? uPlot.paths.bars({ size: [0.7, 14] }) : uPlot.paths.linear(),
      // A single point between two gaps would be invisible as a line.
      points: { show: custom.showPoints === "always" ? true : lonely, size: 4, fill: one.colour },
      spanGaps: false,
    };
  }

  #told(index) {
    const rows = this.shown.map(({ name, colour: dot, field, values }) => ({
      name,
      colour: dot,
      value: values[index],
      text: field.text(values[index]),
    }));
    const present = rows.filter(({ value }) => value !== null && value !== undefined);
    present.sort((one, other) => other.value - one.value);
    return this.times[index] === undefined
      ? null
      : { title: clock(this.times[index]), rows: present.length ? present : rows.slice(0, 1) };
  }

  #list() {
    const { displayMode = "list", showLegend = true, calcs = [] } = this.panel.options?.legend ?? {};
    this.legend.hidden = showLegend === false || displayMode === "hidden" || !this.series.length;
    const known = calcs.filter((calc) => CALCS[calc]);
    const focused = this.legend.contains(document.activeElement) ? document.activeElement.dataset.name : null;
    const rows = this.series.map((one) =>
      h(
        "tr",
        { class: this.hidden.has(one.name) ? "off" : "" },
        h(
          "th",
          { scope: "row" },
          h(
            "button",
            {
              type: "button",
              "data-name": one.name,
              "aria-pressed": String(!this.hidden.has(one.name)),
              title: "Show this series alone; with Shift, hide it",
              onclick: (event) => this.#choose(one.name, event.shiftKey),
            },
            h("span", { class: "dot", style: { background: one.colour } }),
            h("span", {}, one.name),
          ),
        ),
        ...known.map((calc) => h("td", {}, one.field.text(CALCS[calc].of(one.values)))),
      ),
    );
    const head = h(
      "tr",
      {},
      h("th", { scope: "col" }, h("span", { class: "unseen" }, "Series")),
      ...known.map((calc) => h("th", { scope: "col" }, CALCS[calc].title)),
    );
    const list = h("table", {}, known.length ? h("thead", {}, head) : null, h("tbody", {}, ...rows));
    const { scrollTop } = this.legend;
    this.legend.replaceChildren(list, this.more);
    this.legend.scrollTop = scrollTop;
    this.#countMore();
    if (focused !== null) this.legend.querySelector(`[data-name="${CSS.escape(focused)}"]`)?.focus();
  }

  /** Tell how many rows of the legend are not to be seen as a whole: the line that tells it covers the last one. */
  #countMore() {
    const edge = this.legend.scrollTop + this.legend.clientHeight;
    const rows = [...this.legend.querySelectorAll("tbody tr")];
    const below = rows.filter((row) => row.offsetTop + row.offsetHeight > edge + 1).length;
    this.more.textContent = below ? `↓ ${below} more` : "";
    this.more.hidden = !below;
  }

  /** Show only one series, or all again; with `hide`, hide this one. */
  #choose(name, hide) {
    const others = this.series.map((one) => one.name).filter((other) => other !== name);
    const alone = !this.hidden.has(name) && others.length && others.every((other) => this.hidden.has(other));
    if (hide) this.hidden[this.hidden.has(name) ? "delete" : "add"](name);
    else this.hidden = new Set(alone ? [] : others);
    this.#plot();
    this.#list();
  }
}

/** Give each series its colour: the one that its meaning has, in another shade for each, or the next of the palette. */
function coloured(series) {
  const used = new Map();
  let palette = 0;
  return series.map((one) => {
    const { fixedColour } = one.field.settings;
    if (!fixedColour) return { ...one, colour: paletteColour(palette++) };
    const number = used.get(fixedColour) ?? 0;
    used.set(fixedColour, number + 1);
    return { ...one, colour: shade(colour(fixedColour), number) };
  });
}
const hex = (share) =>
  Math.round(Math.min(1, share) * 255)
    .toString(16)
    .padStart(2, "0");
const mean = (values) => (values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null);

function extreme(values, choose) {
  const present = values.filter((value) => value !== null);
  return present.length ? choose(...present) : null;
}

/** A fill that fades towards the axis. */
function fade(stroke, share) {
  return (chart) => {
    const { top, height } = chart.bbox;
    const gradient = chart.ctx.createLinearGradient(0, top, 0, top + height);
    gradient.addColorStop(0, `${stroke}${hex(share * 2.6)}`);
    gradient.addColorStop(1, `${stroke}${hex(0.01)}`);
    return gradient;
  };
}

/** Stack the series: each on the sum of those before it. */
function stack(shown) {
  const below = [];
  return shown.map(({ values }) =>
    values.map((value, at) => {
      if (value === null) return below[at] ?? null;
      below[at] = (below[at] ?? 0) + value;
      return below[at];
    }),
  );
}

function range(low, high, settings, custom) {
  const soft = custom.axisSoftMin ?? 0;
  const from = settings.min ?? Math.min(low ?? 0, soft);
  let to = Math.max(high ?? 0, custom.axisSoftMax ?? -Infinity);
  if (!(to > from)) {
    to =
      from +
      (settings.unit === "percentunit" ? 0.05 : settings.unit === "percent" ? 5 : settings.unit === "s" ? 0.01 : 1);
  }
  return [from, settings.max !== undefined && high > 0.5 * settings.max ? settings.max : to + (to - from) * 0.08];
}

function lonely(chart, number) {
  const values = chart.data[number];
  return values.some(
    (value, at) => value !== null && (values[at - 1] ?? null) === null && (values[at + 1] ?? null) === null,
  );
}

/** Draw the thresholds within the scale, each with its value; two lines that are close share a label. */
function drawThresholds(chart, field) {
  const mode = field.custom.thresholdsStyle?.mode ?? "off";
  if (mode === "off") return;
  const { ctx, bbox } = chart;
  const { min, max } = chart.scales.y;
  const labels = [];
  ctx.save();
  ctx.lineWidth = devicePixelRatio;
  if (mode.includes("dashed")) ctx.setLineDash([6 * devicePixelRatio, 5 * devicePixelRatio]);
  for (const { value, color } of field.steps) {
    if (value === null || value <= min || value >= max) continue;
    const y = Math.round(chart.valToPos(value, "y", true)) + 0.5;
    ctx.strokeStyle = colour(color);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    const below = labels.at(-1);
    const text = format(value, field.settings.unit);
    if (below && below.y - y < 15 * devicePixelRatio) Object.assign(below, { y, text: `${below.text}, ${text}` });
    else labels.push({ y, text, color });
  }
  for (const label of labels) drawLabel(ctx, label, bbox.left + bbox.width);
  ctx.restore();
}

/** Write a label above its line, on the panel's colour: a series may run behind it. */
function drawLabel(ctx, { y, text, color }, right) {
  ctx.font = FONT.replace(/^\d+/, (size) => size * devicePixelRatio);
  const [width, height] = [ctx.measureText(text).width + 6 * devicePixelRatio, 13 * devicePixelRatio];
  ctx.fillStyle = css("--panel");
  ctx.fillRect(right - width, y - height - 2 * devicePixelRatio, width, height);
  ctx.fillStyle = colour(color);
  ctx.textAlign = "right";
  ctx.textBaseline = "bottom";
  ctx.fillText(text, right - 3 * devicePixelRatio, y - 2 * devicePixelRatio);
}
