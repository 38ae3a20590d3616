// Replaces variables in queries and legends as Grafana does.

/** Replace variables in a query: $name, ${name}, ${name:regex} and [[name]]. */
export function interpolate(text, values) {
  return text.replace(/\$(\w+)|\$\{(\w+)(?::\w+)?\}|\[\[(\w+)\]\]/g, (whole, ...names) => {
    const wanted = names.find((name) => typeof name === "string" && name);
    return Object.hasOwn(values, wanted) ? values[wanted] : whole;
  });
}

/** A value, escaped for a regular expression in a PromQL string between these quotes. */
export const literal = (value, quote = '"') => quoted(value.replace(/[\\^$*+?.()|[\]{}]/g, "\\$&"), quote);

/** Text, escaped for a PromQL string: it can't end the string or break its line, and has no variable to replace. */
export const quoted = (text, quote = '"') =>
  quote === "`"
    ? text
    : text
        .replaceAll("\\", "\\\\")
        .replaceAll(quote, `\\${quote}`)
        .replace(/[\p{Cc}$]|(?<=\[)\[/gu, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** Name a series of a query by its labels: by the query's template such as {{route}}, or by all labels without one. */
export function legend({ legendFormat: template, name, expr }, labels) {
  if (template && template !== "__auto") {
    return template.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => labels[label] ?? "").trim();
  }
  const pairs = Object.entries(labels).filter(([label]) => label !== "__name__");
  const shown = pairs.map(([label, value]) => `${label}="${value}"`).join(", ");
  return (labels.__name__ ?? "") + (shown ? `{${shown}}` : "") || name || expr;
}

/** The built-in variables of time: the window of a rate, the step, and the whole range. */
export function timeVariables({ start, end, step, scrape }) {
  // At least four scrapes, so that a rate survives a lost one, and at least a step and a scrape, as in Grafana.
  const rate = Math.max(4 * scrape, step + scrape);
  const range = Math.max(1, Math.round(end - start));
  return {
    __rate_interval: `${Math.ceil(rate)}s`,
    __interval: `${Math.ceil(step)}s`,
    __interval_ms: String(Math.ceil(step * 1000)),
    __range: `${range}s`,
    __range_s: String(range),
    __range_ms: String(range * 1000),
  };
}
