/**
 * Windows of time, as the API takes them. Days begin where the server's do; the page knows that by its offset from
 * UTC, and shows all times by it, so that everybody who shares a link sees the same days.
 */

export const HOUR = 3600_000;
export const DAY = 24 * HOUR;

export const PRESETS: readonly { window: string; title: string }[] = [
  { window: "today", title: "Today" },
  { window: "yesterday", title: "Yesterday" },
  { window: "24h", title: "Last 24 hours" },
  { window: "7d", title: "Last 7 days" },
  { window: "14d", title: "Last 14 days" },
  { window: "30d", title: "Last 30 days" },
  { window: "90d", title: "Last 90 days" },
  { window: "week", title: "This week" },
  { window: "lastweek", title: "Last week" },
  { window: "month", title: "This month" },
  { window: "lastmonth", title: "Last month" },
];

export interface Span {
  start: number;
  end: number;
}

/** The two times of a window that gives them; null for a preset. */
export function spanOf(window: string): Span | null {
  const [start, end] = window.split(",").map((time) => Date.parse(time));
  return start !== undefined && end !== undefined && start < end ? { start, end } : null;
}

/** About how long a window is, in milliseconds, where only the order of magnitude counts. */
export function roughLength(window: string): number {
  const span = spanOf(window);
  if (span) return span.end - span.start;
  const count = /^(\d+)([mhdw])/.exec(window);
  if (count) {
    const unit = { m: 60_000, h: HOUR, d: DAY, w: 7 * DAY }[count[2] as "m" | "h" | "d" | "w"];
    return Number(count[1]) * unit;
  }
  return { today: DAY, yesterday: DAY, month: 31 * DAY, lastmonth: 31 * DAY }[window] ?? 7 * DAY;
}

function iso(time: number): string {
  return new Date(time).toISOString().replace(".000Z", "Z");
}

export function windowOf({ start, end }: Span): string {
  return `${iso(start)},${iso(end)}`;
}

/** The window just as long before this one. */
export function before({ start, end }: Span): Span {
  return { start: start - (end - start), end: start };
}

/** The same for a window as the API takes it; null where there is none of the same length. */
export function windowBefore(window: string): string | null {
  const span = spanOf(window);
  if (span) return windowOf(before(span));
  if (/^\d+[mhdw]$/.test(window)) return `${window} offset ${window}`;
  return { today: "yesterday", yesterday: "1d offset 2d" }[window] ?? null;
}

/** About how long agents keep hourly sets. */
const HOURLY_KEPT = 49 * HOUR;

/**
 * The step that suits a window when nobody asked for one: hours for short windows, where there are any, or where days
 * would be more than was asked for.
 */
export function autoStep(window: string, now = Date.now()): "1h" | "1d" | "1w" {
  const length = roughLength(window);
  const span = spanOf(window);
  if (length <= 2 * DAY && (!span || length % DAY !== 0 || span.start > now - HOURLY_KEPT)) return "1h";
  return length > 120 * DAY ? "1w" : "1d";
}

/** The step of figures for a whole window: days, unless it is short. Longer steps would widen the window. */
export function wholeStep(window: string): "1h" | undefined {
  return autoStep(window) === "1h" ? "1h" : undefined;
}

/** A time shifted so that its UTC fields are those of the server's clock. */
function shifted(time: number | string, offsetMinutes: number): Date {
  return new Date(new Date(time).getTime() + offsetMinutes * 60_000);
}

const UTC = { timeZone: "UTC" } as const;
const DAY_FORMAT = new Intl.DateTimeFormat(undefined, { ...UTC, day: "numeric", month: "short" });
const LONG_DAY = new Intl.DateTimeFormat(undefined, {
  ...UTC,
  day: "numeric",
  month: "short",
  year: "numeric",
});
const WEEKDAY = new Intl.DateTimeFormat(undefined, {
  ...UTC,
  weekday: "short",
  day: "numeric",
  month: "short",
});
const TIME = new Intl.DateTimeFormat(undefined, {
  ...UTC,
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});

export interface Clock {
  /** 4 Mar */
  day(time: number | string): string;
  /** Wed, 4 Mar */
  weekday(time: number | string): string;
  /** 4 Mar 2026, 13:00 */
  full(time: number | string | null | undefined): string;
  /** 13:00 */
  time(time: number | string): string;
  /** 1 Mar – 7 Mar 2026 */
  span(span: Span): string;
  /** The day's first instant. */
  dayStart(time: number): number;
  /** The year, month (from 0) and day of a time. */
  date(time: number): [number, number, number];
  /** The first instant of a date. */
  instant(year: number, month: number, day: number): number;
}

/** Times on the server's clock. */
export function clock(offsetMinutes: number): Clock {
  const at = (time: number | string) => shifted(time, offsetMinutes);
  const isDayStart = (time: number) => at(time).getTime() % DAY === 0;
  const full = (time: number | string) => `${LONG_DAY.format(at(time))}, ${TIME.format(at(time))}`;
  return {
    day: (time) => DAY_FORMAT.format(at(time)),
    weekday: (time) => WEEKDAY.format(at(time)),
    time: (time) => TIME.format(at(time)),
    full: (time) => (time === null || time === undefined || time === "" ? "–" : full(time)),
    span: ({ start, end }) => {
      if (!isDayStart(start) || !isDayStart(end)) return `${full(start)} – ${full(end)}`;
      if (end - start <= DAY) return LONG_DAY.format(at(start));
      return LONG_DAY.formatRange(at(start), at(end - 1));
    },
    dayStart: (time) => Math.floor(at(time).getTime() / DAY) * DAY - offsetMinutes * 60_000,
    date: (time) => [at(time).getUTCFullYear(), at(time).getUTCMonth(), at(time).getUTCDate()],
    instant: (year, month, day) => Date.UTC(year, month, day) - offsetMinutes * 60_000,
  };
}

/** What a window reads as on its button. */
export function windowTitle(window: string, on: Clock): string {
  const preset = PRESETS.find((candidate) => candidate.window === window);
  if (preset) return preset.title;
  const span = spanOf(window);
  return span ? on.span(span) : window;
}
