const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** 1,204,331 */
export function count(value: number): string {
  return whole.format(value);
}

/** 1.2M, for where there is little room; the whole number belongs in a title. */
export function compact(value: number): string {
  return value < 10_000 ? whole.format(value) : short.format(value);
}

/** 12.4/s */
export function rate(perSecond: number): string {
  return `${perSecond >= 100 ? whole.format(Math.round(perSecond)) : perSecond.toFixed(perSecond >= 10 || perSecond === 0 ? 0 : 1)}/s`;
}

export function bytes(value: number): string {
  return value < 1024 ? `${value} B` : `${(value / 1024).toFixed(1)} KiB`;
}

export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** The first and last characters of an id; the whole id belongs in a title or a copy button. */
export function shortId(id: string): string {
  return id.length <= 14 ? id : `${id.slice(0, 8)}…${id.slice(-4)}`;
}
