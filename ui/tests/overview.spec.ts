import { dollars, expect, golden, goldenTotals, sum, test, url, WEEK } from "./golden";

test("shows total, idle and each cluster as the golden answer has them", async ({ page }) => {
  const costs = goldenTotals("alloc-cluster-7d-splitidle");
  const idle = [...costs].filter(([name]) => name.endsWith("__idle__"));
  await page.goto(url({ window: WEEK }));
  await expect(page.locator('[data-figure="total"]')).toHaveText(dollars(sum(costs.values())));
  await expect(page.locator('[data-figure="idle"]')).toHaveText(dollars(sum(idle.map(([, cost]) => cost))));
  await expect(page.locator('[data-figure="efficiency"]')).toHaveText(/^\d+%$/);
  for (const cluster of ["prod-us", "prod-eu", "staging", "edge-1"]) {
    const row = page.locator(`[data-cluster="${cluster}"]`);
    const idleCost = costs.get(`${cluster}/__idle__`) ?? 0;
    await expect(row.locator(".cost")).toHaveText(dollars((costs.get(cluster) ?? 0) + idleCost));
    await expect(row).toContainText(`${dollars(idleCost)} idle`);
  }
  // The bucket begins with this window.
  await expect(page.getByText("No data in Feb 22 – 28, 2026")).toBeVisible();
});

test("compares with the window before", async ({ page }) => {
  const days = golden("alloc-all-9d").map((set) => sum(Object.values(set).map(({ totalCost }) => totalCost)));
  const window = "2026-03-05T00:00:00Z,2026-03-08T00:00:00Z";
  await page.goto(url({ window }));
  const note = page.locator('section[aria-labelledby="tile-trend"] .note');
  await expect(note).toContainText("in Mar 2 – 4, 2026");
  await expect(page.locator('[data-figure="trend"]')).toHaveText(/[+-]\d/);
  // Without idle, as in the golden answer, that is what the clusters show.
  const idle = await page.locator('[data-figure="idle"]').innerText();
  const total = await page.locator('[data-figure="total"]').innerText();
  const value = (text: string) => Number(text.replace(/[$,]/g, ""));
  expect(value(total) - value(idle)).toBeCloseTo(sum(days.slice(4, 7)), 1);
});

test("says how fresh each cluster's data is", async ({ page }) => {
  await page.goto(url({ window: WEEK }));
  const table = page.getByRole("region", { name: "Data of each cluster" });
  await expect(table.locator("tbody tr")).toHaveCount(4);
  await expect(table.getByRole("row", { name: /prod-eu/ })).toContainText("Mar 10, 2026, 00:00");
});

test("a cluster leads to its namespaces", async ({ page }) => {
  await page.goto(url({ window: WEEK }));
  await page.locator('[data-cluster="prod-eu"] a').click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Allocations");
  await expect(page.getByRole("navigation", { name: "Where this is" })).toContainText("prod-eu");
});
