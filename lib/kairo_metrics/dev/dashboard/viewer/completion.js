// What a PromQL query can go on with at a place: a word, the name or a value of a label, or a length of time.

import { literal, quoted } from "./template.js";

// The built-in engine has these. A Prometheus has more, which can be typed.
export const WORDS = {
  aggregation: "sum avg min max count group stddev stdvar topk bottomk quantile".split(" "),
  function: (
    "rate increase irate delta idelta deriv changes resets histogram_quantile avg_over_time sum_over_time min_over_time " +
    "max_over_time count_over_time last_over_time present_over_time quantile_over_time stddev_over_time " +
    "stdvar_over_time abs absent ceil clamp clamp_max clamp_min exp floor label_join label_replace ln log2 log10 round " +
    "scalar sgn sort sort_desc sqrt time timestamp vector"
  ).split(" "),
  keyword: "by without on ignoring group_left group_right and or unless bool offset".split(" "),
};
export const LENGTHS = ["$__rate_interval", "1m", "5m", "15m", "1h"];

const CLOSING = ")}]";
const GROUPING = /\b(?:by|without|on|ignoring|group_left|group_right)\s*$/i;
const NAME = /^[a-zA-Z_:][\w:]*$/;
const LABEL = /^[a-zA-Z_]\w*$/;

/**
 * What is to be written at the cursor: {kind, from, to, typed}, and for labels the selector that they belong to.
 * It is null in a comment, and in text that is no value of a label.
 */
export function placeAt(text, cursor) {
  const open = [];
  for (let at = 0; at < cursor; at += 1) {
    const sign = text[at];
    if (sign === "#") {
      at = text.indexOf("\n", at);
      if (at < 0 || at >= cursor) return null; // in a comment
    } else if (`"'\``.includes(sign)) {
      const end = endOfString(text, at, cursor);
      if (end === null) return inString(text, cursor, at, open.at(-1));
      at = end;
    } else if ("({[".includes(sign)) open.push(at);
    else if (CLOSING.includes(sign)) open.pop();
  }
  return outsideStrings(text, cursor, open.at(-1));
}

/** The candidates that fit what was typed: first those that begin with it, then those that contain it. */
export function fitting(place, candidates) {
  const typed = place.typed.toLowerCase();
  const found = candidates
    .map((candidate) => ({ ...candidate, text: written(place, candidate) }))
    .filter(({ text }) => text !== null)
    .map((one) => ({ ...one, at: one.text.toLowerCase().indexOf(typed) }))
    .filter(({ at }) => at >= 0);
  const [begin, contain] = [found.filter(({ at }) => at === 0), found.filter(({ at }) => at > 0)];
  return begin.length + contain.length === 1 && found[0].text === place.typed ? [] : [...begin, ...contain];
}

/** The query with what is typed replaced by a candidate, and where the cursor is then. */
export function completed(text, place, candidate) {
  const before = text.slice(0, place.from) + (place.opening ?? "") + candidate.text;
  const rest = text.slice(place.to);
  let added = "";
  if (place.kind === "label" && !/^\s*[=!]/.test(rest)) added = '="';
  if (place.kind === "value" && !place.closed) added = place.quote;
  const skipped = place.closed ? 1 : 0;
  return { text: before + added + rest, cursor: before.length + added.length + skipped };
}

function endOfString(text, start, cursor) {
  const quote = text[start];
  for (let at = start + 1; at < cursor; at += 1) {
    if (text[at] === quote) return at;
    if (text[at] === "\\" && quote !== "`") at += 1;
  }
  return null;
}

function inString(text, cursor, start, brace) {
  const place = brace !== undefined && text[brace] === "{" ? valueOf(text, brace, start) : null;
  if (!place) return null;
  const quote = text[start];
  // Up to the quote that closes the string; behind a comma or a bracket it would be that of another string.
  const rest = new RegExp(`^[^\\\\\\n,{}${quote}]*(?=${quote})`).exec(text.slice(cursor));
  const to = cursor + (rest?.[0].length ?? 0);
  return { ...place, quote, from: start + 1, to, typed: text.slice(start + 1, cursor), closed: Boolean(rest) };
}

/** The place of a value: behind the name of a label and an operator. */
function valueOf(text, brace, at) {
  const head = text.slice(brace + 1, at);
  const found = /(?:^|,)\s*([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*$/.exec(head);
  if (!found) return null;
  const [, label, operator] = found;
  return { kind: "value", label, operator, selector: selector(text, brace, head.slice(0, found.index)) };
}

function outsideStrings(text, cursor, inside) {
  const before = text.slice(0, cursor);
  const rest = /^[\w:]*/.exec(text.slice(cursor))[0];
  const place = (kind, typed, more = {}) => ({
    kind,
    typed,
    from: cursor - typed.length,
    to: cursor + rest.length,
    ...more,
  });
  const head = inside === undefined ? "" : before.slice(inside + 1);
  if (inside !== undefined && text[inside] === "[") {
    return head.includes(":") ? null : place("length", head.trimStart());
  }
  if (inside !== undefined && text[inside] === "{") {
    const value = valueOf(text, inside, cursor);
    if (value) return { ...value, quote: '"', opening: '"', from: cursor, to: cursor, typed: "", closed: false };
    const label = /(?:^|,)\s*([a-zA-Z_]\w*|)$/.exec(head);
    return label && place("label", label[1], { selector: selector(text, inside, head.slice(0, label.index)) });
  }
  if (inside !== undefined && GROUPING.test(text.slice(0, inside))) {
    const label = /(?:^|,)\s*([a-zA-Z_]\w*|)$/.exec(head);
    return label && place("grouping", label[1]);
  }
  return place("word", /(?<![\w:$.])[$a-zA-Z_:][\w:]*$/.exec(before)?.[0] ?? "");
}

/** The metric before a brace, with the matchers in it that are complete. */
function selector(text, brace, matchers) {
  const metric = /([a-zA-Z_:][\w:]*)\s*$/.exec(text.slice(0, brace))?.[1] ?? "";
  const complete = matchers.trim().replace(/,$/, "");
  return metric + (complete ? `{${complete}}` : "");
}

/** A candidate as it is written at a place; null if it can't be written there. */
function written({ kind, operator, quote }, { name }) {
  if (kind === "value") {
    const text = operator.endsWith("~") ? literal(name, quote) : quoted(name, quote);
    // Between backticks nothing can be escaped, and a backslash is read in two ways.
    return quote === "`" && /[\\`$\p{Cc}]|\[\[/u.test(text) ? null : text;
  }
  if (kind === "label" || kind === "grouping") return LABEL.test(name) ? name : `"${quoted(name)}"`;
  if (kind === "word" && !name.startsWith("$")) return NAME.test(name) ? name : `{"${quoted(name)}"}`;
  return name;
}
