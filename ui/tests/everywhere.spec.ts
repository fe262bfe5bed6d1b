import AxeBuilder from "@axe-core/playwright";
import { DAY, dollars, expect, goldenTotals, items, sum, test, url, WEEK } from "./golden";

const PAGES: Record<string, Record<string, string>> = {
  overview: {},
  allocations: {
    view: "allocations",
    by: "cluster,namespace",
    filter: 'cluster!:"edge-1"',
    in: "cluster=prod-us",
  },
  details: { view: "allocations", item: "kubecost" },
  treemap: { view: "allocations", chart: "treemap" },
  efficiency: { view: "allocations", chart: "efficiency" },
  assets: { view: "assets", by: "none" },
  clusters: { view: "clusters" },
};

for (const colorScheme of ["light", "dark"] as const) {
  for (const [name, parameters] of Object.entries(PAGES)) {
    test(`axe finds nothing serious in ${name}, ${colorScheme}`, async ({ page }) => {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.goto(url({ window: WEEK, ...parameters }));
      await page.waitForLoadState("networkidle");
      const { violations } = await new AxeBuilder({ page }).analyze();
      const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
      expect(serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join("\n")}`)).toEqual(
        [],
      );
    });
  }
}

test("axe finds nothing serious in what opens", async ({ page }) => {
  await page.goto(url({ view: "allocations", window: WEEK }));
  for (const name of [
    "Window: Mar 1 – 7, 2026",
    "Add up by: Namespace",
    "Add a condition",
    "Idle and shared costs",
    "Saved views",
  ]) {
    await page.getByRole("button", { name }).click();
    await expect(page.getByRole("dialog")).toBeVisible();
    const { violations } = await new AxeBuilder({ page }).include(".popover").analyze();
    const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    expect(
      serious.map(({ id, nodes }) => `${name} ${id}: ${nodes.map(({ html }) => html).join("\n")}`),
    ).toEqual([]);
    await page.keyboard.press("Escape");
  }
});

test("the page and its files are served for keeps, packed, and under a strict policy", async ({
  request,
}) => {
  const page = await request.get(url(), { headers: { "accept-encoding": "br" } });
  const policy = page.headers()["content-security-policy"] ?? "";
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toContain("unsafe");
  expect(page.headers()["content-encoding"]).toBe("br");
  expect(page.headers()["cache-control"]).toBe("no-cache");
  const tag = page.headers()["etag"] ?? "";
  const again = await request.get(url(), { headers: { "accept-encoding": "br", "if-none-match": tag } });
  expect(again.status()).toBe(304);
  const script = /src="\.\/(static\/[^"]+\.js)"/.exec(await page.text())?.[1] ?? "";
  const file = await request.get(new URL(script, url()).href, { headers: { "accept-encoding": "gzip" } });
  expect(file.headers()["content-type"]).toBe("text/javascript; charset=utf-8");
  expect(file.headers()["cache-control"]).toContain("immutable");
  expect(file.headers()["content-encoding"]).toBe("gzip");
  expect((await request.get(new URL("static/none.js", url()).href)).status()).toBe(404);
});

test("the calendar and presets choose the window", async ({ page }) => {
  await page.goto(url({ view: "assets", window: DAY }));
  await page.getByRole("button", { name: /^Window/ }).click();
  await page.getByRole("button", { name: /March 4th, 2026/ }).click();
  await page.getByRole("button", { name: /March 1st, 2026/ }).click();
  await page.getByRole("button", { name: /March 7th, 2026/ }).click();
  await page.getByRole("button", { name: "Apply" }).click();
  await expect(page.getByRole("button", { name: /^Window: Mar 1 – 7, 2026/ })).toBeVisible();
  expect(new URL(page.url()).searchParams.get("window")).toBe(WEEK);
  await expect(items(page).locator("tfoot")).toContainText(
    dollars(sum(goldenTotals("assets-type-7d-acc").values())),
  );
  await page.getByRole("button", { name: /^Window/ }).click();
  await page.getByRole("button", { name: "Last 30 days" }).click();
  expect(new URL(page.url()).searchParams.get("window")).toBe("30d");
});

test("where there is nothing, the page says where there is something", async ({ page }) => {
  await page.goto(url({ window: "2025-01-01T00:00:00Z,2025-01-02T00:00:00Z" }));
  await expect(page.getByText("No costs in this window")).toBeVisible();
  await page.getByRole("button", { name: /^Show Mar 3/ }).click();
  await expect(page.locator('[data-figure="total"]')).toHaveText(/^\$1,0/);
});

test("what cannot be asked is explained", async ({ page, expectErrors }) => {
  expectErrors(/status of 400/);
  await page.goto(url({ view: "allocations", window: WEEK, filter: "namespace:web" }));
  await expect(page.getByRole("alert").first()).toContainText("filter");
  await expect(page.getByRole("alert").first()).toContainText("Change what is asked for");
});

test("when the gateway does not answer, the page says so and goes on when it does", async ({
  page,
  expectErrors,
}) => {
  expectErrors(/ERR_FAILED|Failed to load/);
  await page.route("**/model/allocation*", (route) => route.abort());
  await page.goto(url({ window: WEEK }));
  await expect(page.getByRole("alert").first()).toContainText("cannot be reached", { timeout: 20_000 });
  await page.unroute("**/model/allocation*");
  await page.getByRole("button", { name: "Try again" }).first().click();
  await expect(page.locator('[data-figure="total"]')).toHaveText(/^\$/);
});

test("a theme is chosen and remembered", async ({ page }) => {
  await page.emulateMedia({ colorScheme: "light" });
  await page.goto(url({ window: WEEK }));
  const paper = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await paper();
  await page.getByRole("button", { name: /^Colours as the system/ }).click();
  await page.getByRole("button", { name: /^Light colours/ }).click();
  expect(await paper()).not.toBe(light);
  await page.reload();
  expect(await paper()).not.toBe(light);
  await page.getByRole("button", { name: /^Dark colours/ }).click();
  expect(await paper()).toBe(light);
});

test("views are saved at the gateway, for others too", async ({ page, browser }) => {
  const name = `Labels of March ${Math.random()}`;
  await page.goto(url({ view: "allocations", window: WEEK, by: "label:team", chart: "lines" }));
  await page.getByRole("button", { name: "Saved views" }).click();
  await page.getByLabel("Save what is shown as").fill(name);
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByRole("link", { name })).toBeVisible();

  const other = await browser.newPage();
  await other.goto(url());
  await other.getByRole("button", { name: "Saved views" }).click();
  await other.getByRole("link", { name }).click();
  await expect(other.getByRole("heading", { name: "Cost by label team" })).toBeVisible();
  expect(new URL(other.url()).search).toBe(new URL(page.url()).search);
  await other.getByRole("button", { name: "Saved views" }).click();
  await other.getByRole("button", { name: `Delete ${name}` }).click();
  await expect(other.getByRole("link", { name })).toHaveCount(0);
  await other.close();
});

test("everything is reached by keyboard", async ({ page }) => {
  await page.goto(url({ window: WEEK }));
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to the figures" })).toBeFocused();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Allocations" }).first()).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Allocations");
});

test("nothing is wider than a small screen", async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  for (const parameters of Object.values(PAGES)) {
    await page.goto(url({ window: WEEK, ...parameters }));
    await page.waitForLoadState("networkidle");
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(width).toBeLessThanOrEqual(390);
  }
});
