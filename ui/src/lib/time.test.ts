import { describe, expect, test } from "vitest";
import {
  DAY,
  HOUR,
  autoStep,
  before,
  clock,
  roughLength,
  spanOf,
  windowBefore,
  windowOf,
  windowTitle,
} from "./time";

const WEEK = "2026-03-01T00:00:00Z,2026-03-08T00:00:00Z";

describe("windows", () => {
  test("two times are read and written", () => {
    const span = spanOf(WEEK)!;
    expect(span.end - span.start).toBe(7 * DAY);
    expect(windowOf(span)).toBe(WEEK);
    expect(windowOf(before(span))).toBe("2026-02-22T00:00:00Z,2026-03-01T00:00:00Z");
    expect(["7d", "yesterday", "week", WEEK].map(windowBefore)).toEqual([
      "7d offset 7d",
      "1d offset 2d",
      null,
      "2026-02-22T00:00:00Z,2026-03-01T00:00:00Z",
    ]);
    expect(spanOf("7d")).toBeNull();
    expect(spanOf("2026-03-08T00:00:00Z,2026-03-01T00:00:00Z")).toBeNull();
  });

  test("the step suits the length", () => {
    expect(roughLength("36h")).toBe(36 * HOUR);
    expect(["today", "24h", "2d"].map(autoStep)).toEqual(["1h", "1h", "1h"]);
    expect(["7d", "month", WEEK, "90d"].map(autoStep)).toEqual(["1d", "1d", "1d", "1d"]);
    expect(autoStep("52w")).toBe("1w");
    // Of a day long ago there are no hours; part of a day can only be made of them.
    const day = "2026-03-04T00:00:00Z,2026-03-05T00:00:00Z";
    expect(autoStep(day)).toBe("1d");
    expect(autoStep(day, Date.parse("2026-03-05T12:00:00Z"))).toBe("1h");
    expect(autoStep("2026-03-04T06:00:00Z,2026-03-04T12:00:00Z")).toBe("1h");
  });

  test("days begin where the server's do", () => {
    const utc = clock(0);
    const berlin = clock(60);
    const time = Date.parse("2026-03-01T23:30:00Z");
    expect(utc.date(time)).toEqual([2026, 2, 1]);
    expect(berlin.date(time)).toEqual([2026, 2, 2]);
    expect(berlin.dayStart(time)).toBe(Date.parse("2026-03-01T23:00:00Z"));
    expect(berlin.instant(2026, 2, 2)).toBe(Date.parse("2026-03-01T23:00:00Z"));
    expect(utc.time(time)).toBe("23:30");
    expect(windowTitle("7d", utc)).toBe("Last 7 days");
    expect(windowTitle(WEEK, utc)).toContain("7");
    expect(windowTitle("5d offset 1d", utc)).toBe("5d offset 1d");
  });
});
