/** The golden answers, and the page's figures beside them. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test as base, type Locator, type Page } from "@playwright/test";
import type { Allocation, Asset } from "../src/api/types";

const EXPECTED = join(import.meta.dirname, "../../tests/golden/expected");

/** The seven days and the one day that most golden cases ask about. */
export const WEEK = "2026-03-01T00:00:00Z,2026-03-08T00:00:00Z";
export const DAY = "2026-03-04T00:00:00Z,2026-03-05T00:00:00Z";

/** The sets of a golden answer. */
export function golden<T = Allocation>(id: string): Record<string, T>[] {
  return (JSON.parse(readFileSync(join(EXPECTED, `${id}.json`), "utf8")) as { data: Record<string, T>[] })
    .data;
}

/** The names and total costs of a golden answer's only set. */
export function goldenTotals(id: string): Map<string, number> {
  return new Map(
    Object.entries(golden<Allocation | Asset>(id)[0] ?? {}).map(([name, { totalCost }]) => [name, totalCost]),
  );
}

export function sum(values: Iterable<number>): number {
  return [...values].reduce((one, next) => one + next, 0);
}

/** What the page writes for a cost. */
export function dollars(cost: number): string {
  const isTiny = cost !== 0 && Math.abs(cost) < 0.005;
  const digits = isTiny
    ? { maximumSignificantDigits: 2 }
    : { minimumFractionDigits: 2, maximumFractionDigits: 2 };
  return new Intl.NumberFormat("en-US", { style: "currency", currency: "USD", ...digits }).format(cost);
}

export function url(parameters: Record<string, string | string[]> = {}): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of [value].flat()) query.append(name, one);
  }
  return `${process.env["FEDCOST_URL"]}/?${query}`;
}

/** A page whose errors, and whose requests to others than the gateway, fail the test. */
export const test = base.extend<{ page: Page; expectErrors: (pattern: RegExp) => void }>({
  expectErrors: [
    async ({ page }, use) => {
      const own = new URL(process.env["FEDCOST_URL"] ?? "").origin;
      const errors: string[] = [];
      const allowed: RegExp[] = [];
      page.on("pageerror", (error) => errors.push(`error: ${error.message}`));
      page.on("console", (message) => {
        if (message.type() === "error") errors.push(`console: ${message.text()} ${message.location().url}`);
      });
      page.on("request", (request) => {
        if (new URL(request.url()).origin !== own) errors.push(`a request to ${request.url()}`);
      });
      await use((pattern) => allowed.push(pattern));
      expect(errors.filter((error) => !allowed.some((pattern) => pattern.test(error)))).toEqual([]);
    },
    { auto: true },
  ],
});

export { expect };

/** The table's total costs by the name of the row's first cells, `keys` of them. */
export async function tableTotals(table: Locator, keys = 1): Promise<Map<string, string>> {
  const rows = await table.locator("tbody tr").all();
  const cells = await Promise.all(rows.map((row) => row.locator("th, td").allInnerTexts()));
  return new Map(cells.map((texts) => [texts.slice(0, keys).join("/"), (texts[keys] ?? "").trim()]));
}

const READS: Record<string, string> = {
  __idle__: "Idle",
  __unallocated__: "Unallocated",
  __unmounted__: "Unmounted",
  __undefined__: "Not known",
};

/** Waits until the table shows just these names with these costs. */
export async function expectTotals(
  table: Locator,
  totals: ReadonlyMap<string, number>,
  keys = 1,
): Promise<void> {
  const expected = [...totals].map(([name, cost]) => [
    name
      .split("/")
      .map((part) => READS[part] ?? part)
      .join("/"),
    dollars(cost),
  ]);
  await expect
    .poll(async () => Object.fromEntries(await tableTotals(table, keys)), { timeout: 15_000 })
    .toEqual(Object.fromEntries(expected));
}

export function items(page: Page): Locator {
  return page.locator("section", { has: page.locator("#items") }).locator("table");
}
