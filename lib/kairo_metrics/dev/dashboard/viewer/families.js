// Panels for metrics that the dashboard does not show, each drawn by its type.

const MACHINERY = /^(kairo_|scrape_)/;
// Prometheus itself makes these for each scrape and for each alert.
const FROM_THE_SCRAPE = /^(up|scrape_\w+|ALERTS|ALERTS_FOR_STATE)$|:/;
const OURS = 'job=~"$job"';
const WINDOW = "[$__rate_interval]";
// Labels that say where a sample was scraped, and not what it counts.
const TARGET = "job, instance, environment";
const QUANTILES = { p50: 0.5, p95: 0.95, p99: 0.99 };

/**
 * The metrics that no panel asks for, with what is known of them: the program's own first, then those of the delivery.
 *
 * @param metadata what Prometheus' API says of each metric: name -> [{type, help}]
 * @param model the dashboard's JSON
 */
export function notShown(metadata, model) {
  const panels = model.panels.flatMap((outer) => [outer, ...(outer.panels ?? [])]);
  const asked = panels
    .flatMap(({ targets = [] }) => targets)
    .map(({ expr }) => expr ?? "")
    .join("\n");
  const shown = new Set(asked.match(/[a-zA-Z_:][\w:]*/g) ?? []);
  return Object.entries(metadata)
    .map(([name, [about]]) => ({ ...about, name: counted(name, about.type) }))
    .filter(({ name }) => !["", "_bucket", "_count", "_sum"].some((suffix) => shown.has(name + suffix)))
    .filter(({ name }) => !(name.endsWith("_created") && name.replace(/_created$/, "_total") in metadata))
    .sort((one, other) => isMachinery(one) - isMachinery(other) || (one.name < other.name ? -1 : 1));
}

/**
 * What is known of the metrics that some series belong to: of those that were pushed only what their names say.
 *
 * @param names the names of the series
 * @param metadata what Prometheus' API says of each metric
 */
export function ofSeries(names, metadata) {
  const found = {};
  for (const name of names) {
    const base = name.replace(/_(bucket|count|sum)$/, "");
    const about = [name, base, name.replace(/_total$/, "")].find((each) => each in metadata);
    if (about) found[about] = metadata[about];
    else if (names.includes(`${base}_bucket`)) found[base] = [{ type: "histogram", help: "" }];
    else if (!FROM_THE_SCRAPE.test(name)) {
      found[name] = [{ type: /_(total|count|sum)$/.test(name) ? "counter" : "gauge", help: "" }];
    }
  }
  return found;
}

/** Whether a metric is about the delivery, and not about the program. */
export const isMachinery = ({ name }) => MACHINERY.test(name);

/** The panels of one metric, as in a dashboard's JSON; `next` gives each an id. */
export function panelsOf(family, next) {
  const { name, type } = family;
  if (type === "histogram" || type === "gaugehistogram") return histogram(family, next);
  if (type === "summary") return [graph(family, next, [rate(`${name}_count`), mean(name)], unitOf(name))];
  if (type === "counter") return [graph(family, next, [rate(name)], rateUnit(name))];
  if (type === "info" || name.endsWith("_info")) return [table(family, next)];
  return [graph(family, next, [target(`sum without (${TARGET}) (${name}{${OURS}})`, name)], unitOf(name))];
}

function histogram(family, next) {
  const buckets = `sum by (le) (rate(${family.name}_bucket{${OURS}}${WINDOW}))`;
  const quantiles = Object.entries(QUANTILES).map(([label, share]) =>
    target(`histogram_quantile(${share}, ${buckets})`, label, label),
  );
  const unit = unitOf(family.name);
  const cells = target(`sum by (le) (increase(${family.name}_bucket{${OURS}}${WINDOW}))`, family.name, "{{le}}");
  return [
    graph(family, next, quantiles, unit),
    panel(family, next, "heatmap", [cells], unit, {
      title: `${family.name}, all observations`,
      options: { yAxis: { unit } },
    }),
  ];
}

function graph(family, next, targets, unit) {
  return panel(family, next, "timeseries", targets, unit, {
    options: { legend: { displayMode: "table", calcs: ["lastNotNull", "max"] } },
  });
}

function table(family, next) {
  const excludeByName = Object.fromEntries(["Time", "Value", ...TARGET.split(", ")].map((name) => [name, true]));
  return panel(family, next, "table", [{ ...target(`${family.name}{${OURS}}`, family.name), instant: true }], "short", {
    transformations: [{ id: "organize", options: { excludeByName } }],
  });
}

function panel({ name, help, type }, next, kind, targets, unit, more) {
  return {
    id: next(),
    type: kind,
    title: name,
    description: `${help || "It has no help text."} (${type})`,
    gridPos: { x: 0, y: 0, w: 8, h: 8 },
    targets: targets.map((each, at) => ({ refId: "ABC"[at], ...each })),
    fieldConfig: { defaults: { unit, noValue: "nothing yet", custom: {} }, overrides: [] },
    ...more,
  };
}

const target = (expr, name, legendFormat = "__auto") => ({ expr, name, legendFormat });
const rate = (name) => target(`sum without (${TARGET}) (rate(${name}{${OURS}}${WINDOW}))`, name);
const mean = (name) => {
  const [sum, count] = ["sum", "count"].map((part) => `sum(rate(${name}_${part}{${OURS}}${WINDOW}))`);
  return target(`${sum} / (${count} > 0)`, "mean", "mean");
};

/** The unit by the ending of the name, as Prometheus' naming has it. */
const unitOf = (name) => (/_seconds$/.test(name) ? "s" : /_bytes$/.test(name) ? "bytes" : "short");
/** Seconds per second have no unit. */
const rateUnit = (name) => (/_bytes_total$/.test(name) ? "Bps" : /_seconds_total$/.test(name) ? "short" : "cps");
/** The name of a counter's samples: what was scraped as OpenMetrics is known under the name without the ending. */
const counted = (name, type) => (type === "counter" && !/_(total|count|sum)$/.test(name) ? `${name}_total` : name);
