// The common parts of charts over time: axes, the shared crosshair, the tooltip, and the keys that move it.

import { css, h } from "./dom.js";
import { clock, format, isBinary } from "./units.js";
import uPlot from "./vendor/uplot.js";

const SYNC = uPlot.sync("panels");
export const FONT = "11px Inter, ui-sans-serif, system-ui, sans-serif";
const tooltip = h("div", { class: "tooltip", "aria-hidden": "true", hidden: true });

/** The common settings of uPlot. */
export function frame({ unit, width, height, left = 0 }) {
  return {
    width,
    height,
    padding: [8, 20, 0, left],
    legend: { show: false },
    cursor: {
      // Others follow the crosshair, and do not drag along.
      sync: { key: SYNC.key, scales: ["x", null], filters: { pub: (type) => /^mouse(move|leave)$/.test(type) } },
      drag: { x: true, y: false, setScale: false, dist: 6 },
      y: false,
      points: { size: 7, width: 2 },
    },
    scales: { x: { time: true } },
    axes: [timeAxis(), valueAxis(unit)],
  };
}

/** The hook that reports the time that was dragged over, as the event "zoom". */
export const reportZoom = (chart) => {
  const { left, width } = chart.select;
  if (width < 6) return;
  const [from, to] = [left, left + width].map((at) => chart.posToVal(at, "x"));
  chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  hideTooltip();
  chart.root.dispatchEvent(new CustomEvent("zoom", { bubbles: true, detail: { from, to } }));
};

/** The axis of values: round numbers of the unit; its width fits them. */
export function valueAxis(unit, more = {}) {
  return {
    ...look(),
    values: (_, splits) => splits.map((value) => format(value, unit)),
    size: (chart, values) => Math.max(34, ...(values ?? []).map((text) => text.length * 6.4 + 12)),
    space: 34,
    ...(isBinary(unit) ? { incrs: Array.from({ length: 50 }, (_, power) => 2 ** power) } : {}),
    ...more,
  };
}

function timeAxis() {
  return {
    ...look(),
    space: 72,
    size: 26,
    values: (_, splits, _axis, _space, step) => splits.map((time) => clock(time, step < 60)),
  };
}

function look() {
  const line = css("--grid");
  return { stroke: css("--muted"), font: FONT, grid: { stroke: line, width: 1 }, ticks: { show: false }, gap: 6 };
}

/**
 * Show a tooltip while the pointer or the arrow keys are on a chart.
 *
 * @param describe returns {title, rows: [{name, text, colour}]} for an index of x, or null
 */
export function withTooltip(chart, host, describe) {
  const over = chart.over;
  const show = (x, y) => {
    const told =
      chart.cursor.idx === null || chart.cursor.idx === undefined ? null : describe(chart.cursor.idx, chart.cursor.top);
    if (!told) return hideTooltip();
    fill(told);
    place(x, y);
    return undefined;
  };
  over.addEventListener("mousemove", (event) => show(event.clientX, event.clientY));
  over.addEventListener("mouseleave", hideTooltip);
  over.addEventListener(
    "touchstart",
    (event) => {
      const [touch] = event.touches;
      const box = over.getBoundingClientRect();
      chart.setCursor({ left: touch.clientX - box.left, top: touch.clientY - box.top });
      show(touch.clientX, touch.clientY);
    },
    { passive: true },
  );
  host.addEventListener("moveby", (event) => {
    const times = chart.data[0];
    const from = chart.cursor.idx ?? (event.detail < 0 ? times.length : -1);
    const index = Math.min(times.length - 1, Math.max(0, from + event.detail));
    const box = over.getBoundingClientRect();
    const left = chart.valToPos(times[index], "x");
    chart.setCursor({ left, top: box.height / 3 });
    show(box.left + left, box.top + box.height / 3);
    const told = describe(index, box.height / 3);
    if (told) {
      event.target.dispatchEvent(
        new CustomEvent("tell", {
          bubbles: true,
          detail: [told.title, ...told.rows.map((row) => `${row.name} ${row.text}`)].join(", "),
        }),
      );
    }
  });
}

/** Hide the tooltip. */
export function hideTooltip() {
  tooltip.hidden = true;
}

function fill({ title, rows }) {
  tooltip.replaceChildren(
    h("div", { class: "tooltip-title" }, title),
    ...rows
      .slice(0, 18)
      .map(({ name, text, colour }) =>
        h(
          "div",
          { class: "tooltip-row" },
          h("span", { class: "dot", style: { background: colour } }),
          h("span", { class: "name" }, name),
          h("b", {}, text),
        ),
      ),
    ...(rows.length > 18 ? [h("div", { class: "muted" }, `and ${rows.length - 18} more`)] : []),
  );
  if (!tooltip.isConnected) document.body.append(tooltip);
  tooltip.hidden = false;
}

function place(x, y) {
  const { width, height } = tooltip.getBoundingClientRect();
  const left = x + 18 + width > innerWidth ? x - width - 18 : x + 18;
  tooltip.style.left = `${Math.max(6, Math.min(left, innerWidth - width - 6))}px`;
  tooltip.style.top = `${Math.max(6, Math.min(y - height / 3, innerHeight - height - 6))}px`;
}

/** Draw a chart again when its host's size has changed, but not during the measurement. */
export function watchSize(host, resized) {
  let waiting = 0;
  const observer = new ResizeObserver(() => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(() => host.clientWidth > 0 && resized(host.clientWidth, host.clientHeight));
  });
  observer.observe(host);
  return () => observer.disconnect();
}
