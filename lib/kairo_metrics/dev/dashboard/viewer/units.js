// Formats numbers for people, by Grafana's names of units.

const SECONDS = [
  [86400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
  [1e-3, "ms"],
  [1e-6, "µs"],
  [1e-9, "ns"],
];
const BYTES = [
  [2 ** 40, "TiB"],
  [2 ** 30, "GiB"],
  [2 ** 20, "MiB"],
  [2 ** 10, "KiB"],
  [1, "B"],
];
const DECIMAL_BYTES = [
  [1e12, "TB"],
  [1e9, "GB"],
  [1e6, "MB"],
  [1e3, "kB"],
  [1, "B"],
];
const SHORT = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
  [1, ""],
];

const UNITS = {
  s: (value, decimals) => scaled(value, SECONDS, decimals),
  ms: (value, decimals) => scaled(value / 1e3, SECONDS, decimals),
  bytes: (value, decimals) => scaled(value, BYTES, decimals),
  decbytes: (value, decimals) => scaled(value, DECIMAL_BYTES, decimals),
  short: (value, decimals) => scaled(value, SHORT, decimals, ""),
  none: (value, decimals) => digits(value, decimals),
  percent: (value, decimals) => `${digits(value, decimals)} %`,
  percentunit: (value, decimals) => `${digits(value * 100, decimals)} %`,
  reqps: (value, decimals) => `${scaled(value, SHORT, decimals, "")} req/s`,
  ops: (value, decimals) => `${scaled(value, SHORT, decimals, "")} ops/s`,
  Bps: (value, decimals) => `${scaled(value, BYTES, decimals)}/s`,
  cps: (value, decimals) => `${scaled(value, SHORT, decimals, "")} /s`,
};

/** Format a number with its unit; an unknown unit is appended. */
export function format(value, unit = "short", decimals = undefined) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (unit.startsWith("suffix:")) return minus(`${scaled(value, SHORT, decimals, "")}${unit.slice(7)}`);
  const print = UNITS[unit];
  return minus(print ? print(value, decimals) : `${digits(value, decimals)} ${unit}`);
}

/** The factors for round numbers on an axis of this unit. */
export const isBinary = (unit) => unit === "bytes";

function scaled(value, scale, decimals, gap = " ") {
  if (value === 0) return `0${scale === SHORT ? "" : gap + scale.find(([factor]) => factor === 1)[1]}`;
  const size = Math.abs(value);
  const [factor, name] = scale.find(([each]) => size >= each * 0.99995) ?? scale.at(-1);
  return `${digits(value / factor, decimals)}${name ? gap + name : ""}`;
}

/** Three significant digits, unless the dashboard sets the number of decimals. */
function digits(value, decimals) {
  if (decimals !== undefined && decimals !== null) return value.toFixed(decimals);
  const size = Math.abs(value);
  if (size >= 100 || value === 0) return String(Math.round(value));
  if (size < 1e-6) return value.toExponential(1);
  return String(Number(value.toPrecision(size < 1e-2 ? 2 : 3)));
}

const minus = (text) => text.replace(/^-/, "−");

/** Format a time of day. */
export const clock = (seconds, precise = true) =>
  new Date(seconds * 1000).toLocaleTimeString([], {
    hour: "2-digit",
    minute: "2-digit",
    ...(precise ? { second: "2-digit" } : {}),
    hour12: false,
  });

/** Format a duration, such as "2 min 10 s". */
export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  const parts = [hours && `${hours} h`, minutes && `${minutes} min`, !hours && (rest || !minutes) && `${rest} s`];
  return parts.filter(Boolean).join(" ");
}
