// The HTTP API of Prometheus, served or forwarded by the dev server.

const BASE = "/dashboard/api/v1/";
const UNDRAWN = {
  matrix: "The result is a range of samples for each series. Put a function around it, such as rate(…).",
  string: "The result is text. Ask for numbers.",
  histogram:
    "The result has native histograms. Ask for numbers of them, such as histogram_quantile(0.95, …) or histogram_count(…).",
};

/** A refused query; its message is shown to the reader. */
export class QueryError extends Error {}

/** The dev server does not answer. */
export class Unreachable extends Error {}

/** Instant query: [{labels, value}]. */
export async function instant(query, time, signal) {
  const data = drawable(await get("query", { query, time }, signal), ["vector", "scalar"]);
  if (data.resultType === "scalar") return [{ labels: {}, value: Number.parseFloat(plain(data.result[1])) }];
  return data.result.map(({ metric, value }) => ({ labels: metric, value: number(value[1]) }));
}

/** Range query: [{labels, values}], each with one value or null for each of `times`. */
export async function ranged(query, { start, end, step }, signal) {
  const data = drawable(await get("query_range", { query, start, end, step }, signal), ["matrix"]);
  const count = Math.floor((end - start) / step + 1e-6) + 1;
  return data.result.map(({ metric, values }) => {
    const points = Array.from({ length: count }, () => null);
    for (const [time, text] of values) {
      const value = number(text);
      points[Math.round((time - start) / step)] = Number.isNaN(value) ? null : value;
    }
    return { labels: metric, values: points };
  });
}

/** The values of a label in the series that a selector matches. */
export function labelValues(label, selector, signal) {
  return get(`label/${encodeURIComponent(label)}/values`, selector ? { "match[]": selector } : {}, signal);
}

/** The names of the labels in the series that a selector matches. */
export function labelNames(selector, signal) {
  return get("labels", selector ? { "match[]": selector } : {}, signal);
}

/** What is known of each metric: name -> [{type, help}]. */
export function metadata() {
  return get("metadata", {});
}

/** The names of the metrics that a selector matches. */
export function names(selector) {
  return labelValues("__name__", selector);
}

/** The source of the numbers. */
export async function source() {
  return (await reach("/dashboard/source.json")).json();
}

/** The dashboard's JSON. */
export async function dashboard() {
  const answer = await reach("/dashboard/dashboard.json");
  if (!answer.ok) throw new QueryError((await answer.text()).trim());
  return answer.json();
}

async function get(path, parameters, signal) {
  const answer = await reach(`${BASE}${path}?${new URLSearchParams(parameters)}`, signal);
  const body = await answer.json();
  if (body.status !== "success") throw new QueryError(body.error);
  return body.data;
}

/** Refuse a result that is not one number for each series and moment. */
function drawable(data, kinds) {
  if (!kinds.includes(data.resultType)) throw new QueryError(UNDRAWN[data.resultType]);
  if (data.resultType !== "scalar" && data.result.some(({ histogram, histograms }) => histogram ?? histograms)) {
    throw new QueryError(UNDRAWN.histogram);
  }
  return data;
}

async function reach(address, signal) {
  try {
    return await fetch(address, { signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable("The dev server does not answer.");
  }
}

const plain = (text) => text.replace("Inf", "Infinity");
const number = (text) => Number.parseFloat(plain(text));
