/** Numbers and times as people read them. */

const DASH = "–";

function finite(value: number | null | undefined): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

export interface Money {
  /** In full: two decimals, more for what is less than a cent. */
  full(value: number | null | undefined): string;
  /** Short, for axes and small places: $1.2K. */
  short(value: number | null | undefined): string;
  /** With a sign, for changes. */
  change(value: number): string;
}

/** Writes costs in a currency, an ISO 4217 code; null writes them as plain numbers. */
export function money(currency: string | null, locale?: string): Money {
  const style: Intl.NumberFormatOptions = currency
    ? { style: "currency", currency, currencyDisplay: "narrowSymbol" }
    : { style: "decimal" };
  const of = (options: Intl.NumberFormatOptions) => new Intl.NumberFormat(locale, { ...style, ...options });
  const usual = of({ minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const tiny = of({ maximumSignificantDigits: 2 });
  const compact = of({ notation: "compact", minimumFractionDigits: 0, maximumFractionDigits: 1 });
  const small = of({ minimumFractionDigits: 0, maximumFractionDigits: 2 });
  const signed = of({ signDisplay: "exceptZero", minimumFractionDigits: 2, maximumFractionDigits: 2 });
  return {
    full: (value) => {
      if (!finite(value)) return DASH;
      return value !== 0 && Math.abs(value) < 0.005 ? tiny.format(value) : usual.format(value);
    },
    short: (value) => {
      if (!finite(value)) return DASH;
      return Math.abs(value) < 100 ? small.format(value) : compact.format(value);
    },
    change: (value) => signed.format(value),
  };
}

/** For the moment in which the currency is not known yet. */
export const WAITING: Money = { full: () => "…", short: () => "", change: () => "…" };

const PERCENT = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const ROUND_PERCENT = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 0 });
const SIGNED_PERCENT = new Intl.NumberFormat(undefined, {
  style: "percent",
  maximumFractionDigits: 1,
  signDisplay: "exceptZero",
});
const COUNT = new Intl.NumberFormat();
const AMOUNT = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 });

/** A share of one as percent. */
export function percent(share: number | null | undefined): string {
  if (!finite(share)) return DASH;
  return Math.abs(share) < 0.1 ? PERCENT.format(share) : ROUND_PERCENT.format(share);
}

/** A relative change, `0.1` being ten percent more. */
export function change(relative: number | null | undefined): string {
  if (!finite(relative)) return DASH;
  return SIGNED_PERCENT.format(relative);
}

export function count(value: number | null | undefined): string {
  return finite(value) ? COUNT.format(value) : DASH;
}

/** An amount with three digits that count. */
export function amount(value: number | null | undefined, unit = ""): string {
  if (!finite(value)) return DASH;
  const text = Math.abs(value) >= 1000 ? COUNT.format(Math.round(value)) : AMOUNT.format(value);
  return unit ? `${text} ${unit}` : text;
}

const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytes(value: number | null | undefined): string {
  if (!finite(value)) return DASH;
  let unit = 0;
  let rest = value;
  while (Math.abs(rest) >= 1024 && unit < BINARY.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  return `${AMOUNT.format(rest)} ${BINARY[unit]}`;
}

const RELATIVE = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "long" });

/** How long ago, or ahead, in its largest unit. */
export function ago(time: string | null | undefined, now = Date.now()): string {
  if (!time) return DASH;
  const seconds = (Date.parse(time) - now) / 1000;
  const size = Math.abs(seconds);
  if (size < 60) return RELATIVE.format(Math.round(seconds), "second");
  if (size < 3600) return RELATIVE.format(Math.round(seconds / 60), "minute");
  if (size < 48 * 3600) return RELATIVE.format(Math.round(seconds / 3600), "hour");
  return RELATIVE.format(Math.round(seconds / 86400), "day");
}
