import { dollars, expect, goldenTotals, test, url, WEEK } from "./golden";

test("each cluster has its upload, rows, cost, and the days that are missing", async ({ page }) => {
  await page.goto(url({ view: "clusters", window: WEEK }));
  const table = page.getByRole("region", { name: "Clusters" });
  await expect(table.locator("tbody tr")).toHaveCount(4);
  for (const [name, cost] of goldenTotals("alloc-cluster-7d-acc")) {
    const row = table.getByRole("row", { name: new RegExp(`^${name}`) });
    await expect(row).toContainText(dollars(cost));
    await expect(row).toContainText(/ago/);
  }
  const days = page.getByRole("region", { name: "Days with data" });
  await expect(days.locator('[data-coverage="prod-eu"]')).toHaveAttribute(
    "aria-label",
    "6 of 7. Missing: Wed, Mar 4",
  );
  await expect(days.locator('[data-coverage="prod-us"]')).toHaveAttribute(
    "aria-label",
    "7 of 7. Nothing is missing",
  );
  const hours = page.getByRole("region", { name: "Hours with data" });
  await expect(hours.locator('[data-coverage="staging"]')).toHaveAttribute(
    "aria-label",
    "30 of 30. Nothing is missing",
  );
});

test("release and ingest are shown live", async ({ page }) => {
  await page.goto(url({ view: "clusters", window: WEEK }));
  const pipeline = page.getByRole("region", { name: "Release and ingest" });
  await expect(pipeline).toContainText("No. 1");
  await expect(pipeline).toContainText("Up to date");
  await expect(pipeline).toContainText("310 found");
});
