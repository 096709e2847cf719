// Figures as people read them; a figure that is not known is a dash.

export const UNKNOWN = "–";
const known = (value) => typeof value === "number" && Number.isFinite(value);

export function bytes(value) {
  if (!known(value)) return UNKNOWN;
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  let power = 0;
  while (Math.abs(value) >= 1023.5 && power < units.length - 1) {
    value /= 1024;
    power += 1;
  }
  return `${power && value < 99.95 ? value.toFixed(1) : Math.round(value)} ${units[power]}`;
}

export function count(value) {
  if (!known(value)) return UNKNOWN;
  const size = Math.abs(value);
  const [unit, scale] = [["T", 1e12], ["G", 1e9], ["M", 1e6]].find(([, each]) => size >= each * 0.99995) ?? [];
  if (unit) return `${size / scale < 99.95 ? (value / scale).toFixed(1) : Math.round(value / scale)} ${unit}`;
  if (size >= 99_950) return `${Math.round(value / 1e3)} k`;
  if (size >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString("en");
  return value.toFixed(size >= 10 ? 1 : size >= 0.1 ? 2 : 3);
}

export const rate = (value) => (known(value) ? `${count(value)}/s` : UNKNOWN);

export function percent(value) {
  if (!known(value)) return UNKNOWN;
  if (value > 0 && value < 0.05) return "< 0.1 %";
  return `${value >= 99.95 || value === 0 ? Math.round(value) : value.toFixed(1)} %`;
}

export function milliseconds(value) {
  if (!known(value)) return UNKNOWN;
  if (value > 0 && value < 0.9995) return `${Math.max(1, Math.round(value * 1e3))} µs`;
  if (value < 999.5) return `${value && value < 99.95 ? value.toFixed(1) : Math.round(value)} ms`;
  return seconds(value / 1e3);
}

export function seconds(value) {
  if (!known(value)) return UNKNOWN;
  if (value > 0 && value < 0.9995) return milliseconds(value * 1e3);
  if (value < 59.95) return `${value && value.toFixed(1)} s`;
  const whole = Math.round(value);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}

export function moment(value) {
  const date = typeof value === "number" ? new Date(value * 1e3) : new Date(value ?? NaN);
  if (Number.isNaN(date.getTime())) return UNKNOWN;
  const today = date.toDateString() === new Date().toDateString();
  const clock = date.toLocaleTimeString("en-GB");
  return today ? clock : `${date.toLocaleDateString("en-GB", { day: "2-digit", month: "short" })} ${clock}`;
}

export function ago(value) {
  const date = new Date(value ?? NaN).getTime();
  if (Number.isNaN(date)) return UNKNOWN;
  const passed = Math.round((Date.now() - date) / 1e3);
  if (passed < 3) return "now";
  const [size, unit] = [[86_400, "d"], [3600, "h"], [60, "min"], [1, "s"]].find(([each]) => passed >= each);
  return `${Math.floor(passed / size)} ${unit} ago`;
}
