import { describe, expect, test } from "vitest";
import { ago, bytes, change, money, percent } from "./format";

describe("figures as people read them", () => {
  test("money", () => {
    const dollars = money("USD", "en-US");
    expect(dollars.full(1234.5)).toBe("$1,234.50");
    expect(dollars.full(0)).toBe("$0.00");
    expect(dollars.full(0.00123)).toBe("$0.0012");
    expect(dollars.full(null)).toBe("–");
    expect(dollars.full(Number.NaN)).toBe("–");
    expect(dollars.short(12345)).toBe("$12.3K");
    expect(dollars.short(12.5)).toBe("$12.5");
    expect(money(null, "en-US").full(1234.5)).toBe("1,234.50");
    expect(money("EUR", "de-DE").full(1234.5)).toBe("1.234,50\u00a0€");
  });

  test("shares and changes", () => {
    expect(percent(0.5)).toBe("50%");
    expect(percent(0.0123)).toBe("1.2%");
    expect(percent(undefined)).toBe("–");
    expect(change(0.123)).toBe("+12.3%");
    expect(change(Number.POSITIVE_INFINITY)).toBe("–");
  });

  test("bytes and times", () => {
    expect(bytes(1024 ** 3 * 1.5)).toBe("1.5 GiB");
    expect(bytes(0)).toBe("0 B");
    expect(ago("2026-03-01T00:00:00Z", Date.parse("2026-03-01T05:00:00Z"))).toBe("5 hours ago");
  });
});
