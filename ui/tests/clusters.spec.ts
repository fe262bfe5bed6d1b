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

test("the health of each cluster's data names what is missing", async ({ page }) => {
  await page.goto(url({ view: "clusters", window: WEEK }));
  const table = page.getByRole("region", { name: "Health of each cluster's data" });
  await expect(table.locator("tbody tr")).toHaveCount(4);
  const columns = await table.locator("thead th").allInnerTexts();
  expect(columns).toContain("Allocations, daily");
  const missing = async (cluster: string) => {
    const row = table.getByRole("row", { name: new RegExp(`^${cluster}`) });
    const text = await row
      .locator("td")
      .nth(columns.indexOf("Allocations, daily") - 1)
      .innerText();
    return Number(/([\d,]+) missing/.exec(text)?.[1]?.replaceAll(",", ""));
  };
  // The bucket ended long ago, and of one cluster a day is missing before that.
  expect(await missing("prod-eu")).toBe((await missing("prod-us")) + 1);
});
