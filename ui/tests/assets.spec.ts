import { readFile } from "node:fs/promises";
import type { Asset } from "../src/api/types";
import {
  DAY,
  dollars,
  expect,
  expectTotals,
  golden,
  goldenTotals,
  items,
  sum,
  test,
  url,
  WEEK,
} from "./golden";

const view = "assets";

for (const [id, by, keys] of [
  ["assets-type-7d-acc", "type", 1],
  ["assets-cluster-7d-acc", "cluster", 1],
  ["assets-account-7d-acc", "account", 1],
  ["assets-provider-type", "provider,type", 2],
] as const) {
  test(`the table has the figures of ${id}`, async ({ page }) => {
    await page.goto(url({ view, window: WEEK, by }));
    await expectTotals(items(page), goldenTotals(id), keys);
    await expect(items(page).locator("tfoot")).toContainText(dollars(sum(goldenTotals(id).values())));
  });
}

test("project and category too are keys", async ({ page }) => {
  await page.goto(url({ view, window: WEEK }));
  for (const key of ["Project", "Category"]) {
    await page.getByRole("button", { name: /^Add up by/ }).click();
    await page.getByRole("button", { name: key, exact: true }).click();
    await expect(items(page).locator("thead th").first()).toHaveText(key);
    await expect(items(page).locator("tfoot")).toContainText(
      dollars(sum(goldenTotals("assets-type-7d-acc").values())),
    );
  }
});

test("nodes are listed with what their time is used for", async ({ page }) => {
  const nodes = Object.values(golden<Asset>("assets-raw-1d")[0] ?? {}).filter(({ type }) => type === "Node");
  const node = nodes.toSorted((one, other) => other.totalCost - one.totalCost)[0];
  if (!node?.cpuBreakdown) throw new Error("the golden answer has no node");
  await page.goto(url({ view, window: DAY }));
  await items(page).getByRole("link", { name: "Node" }).click();
  await expect(items(page).locator("tbody tr")).toHaveCount(nodes.length);
  await page.getByRole("button", { name: `Details of ${node.properties.name}` }).click();
  const panel = page.getByRole("dialog");
  await expect(panel.locator('[data-figure="detail-total"]')).toHaveText(dollars(node.totalCost));
  await expect(panel).toContainText(node.nodeType ?? "");
  await expect(panel.locator(".use-block", { hasText: "CPU" })).toContainText(
    `${node.cpuBreakdown.idle * 100}%`,
  );
  await expect(panel).toContainText(node.properties.providerID ?? "");
});

test("disks are listed with what their space is used for", async ({ page }) => {
  const disks = golden<Asset>("assets-f-disk")[0] ?? {};
  const disk = Object.values(disks).toSorted((one, other) => other.totalCost - one.totalCost)[0];
  await page.goto(url({ view, window: WEEK, by: "none", filter: 'assetType:"disk"' }));
  await expect(page.getByText(`of ${Object.keys(disks).length}`)).toBeVisible();
  await expect(items(page).locator("tfoot")).toContainText(
    dollars(sum(goldenTotals("assets-f-disk").values())),
  );
  await page
    .getByRole("button", { name: `Details of ${disk?.properties.name}`, exact: true })
    .first()
    .click();
  const panel = page.getByRole("dialog");
  await expect(panel).toContainText("What the space is used for");
  await expect(panel).toContainText("Size");
});

test("the picture has each day's figures", async ({ page }) => {
  const day = golden<Asset>("assets-type-7d")[0] ?? {};
  await page.goto(url({ view, window: WEEK }));
  await page.getByRole("group", { name: /Cost by type/ }).focus();
  await page.keyboard.press("ArrowRight");
  const tip = page.locator(".tooltip");
  await expect(tip).toContainText("Sun, Mar 1");
  for (const [name, { totalCost }] of Object.entries(day)) {
    await expect(tip.getByText(name, { exact: true }).locator("..")).toContainText(dollars(totalCost));
  }
});

test("the table is downloaded as CSV", async ({ page }) => {
  await page.goto(url({ view, window: WEEK }));
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("link", { name: "CSV" }).click(),
  ]);
  const lines = (await readFile(await download.path(), "utf8")).trim().split("\n");
  expect(lines).toHaveLength(goldenTotals("assets-type-7d-acc").size + 1);
});
