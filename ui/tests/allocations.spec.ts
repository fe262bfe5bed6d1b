import { readFile } from "node:fs/promises";
import {
  DAY,
  dollars,
  expect,
  expectTotals,
  golden,
  goldenTotals,
  items,
  sum,
  tableTotals,
  test,
  url,
  WEEK,
} from "./golden";

const view = "allocations";

for (const [id, parameters, keys] of [
  ["alloc-ns-7d-acc-idle", { by: "namespace" }, 1],
  ["alloc-ns-7d-acc", { by: "namespace", idle: "hide" }, 1],
  ["alloc-ns-7d-shareidle", { by: "namespace", idle: "share" }, 1],
  ["alloc-label-team-7d-acc", { by: "label:team", idle: "hide" }, 1],
  ["alloc-label-owner-unicode", { by: "label:owner", idle: "hide" }, 1],
  ["alloc-controller-7d-acc", { by: "controller", idle: "hide", size: "250" }, 1],
  ["alloc-ns-label-multi", { by: "namespace,label:env", idle: "hide", size: "250" }, 2],
  ["alloc-share-ns", { idle: "hide", shareNamespaces: "kube-system,monitoring" }, 1],
  ["alloc-share-ns-even", { idle: "hide", shareNamespaces: "kube-system", shareSplit: "even" }, 1],
  ["alloc-share-label", { idle: "hide", shareLabels: "team:sre" }, 1],
  ["alloc-share-cost", { idle: "hide", shareCost: "100" }, 1],
  ["alloc-f-or", { idle: "hide", filter: '(namespace:"web"|namespace:"data")+label[env]!:"prod"' }, 1],
  ["alloc-f-idle", { filter: 'cluster:"prod-eu"' }, 1],
  ["alloc-ns-1d-idle-bynode", { window: DAY, idleBy: "node" }, 1],
  ["alloc-ns-hourly-acc-idle", { window: "2026-03-09T06:00:00Z,2026-03-09T12:00:00Z" }, 1],
  ["alloc-ns-1d-shareidle-bynode", { window: DAY, idle: "share", idleBy: "node" }, 1],
] as const) {
  test(`the table has the figures of ${id}`, async ({ page }) => {
    await page.goto(url({ view, window: WEEK, ...parameters }));
    await expectTotals(items(page), goldenTotals(id), keys);
  });
}

test("totals below the table are the sums of the golden answer", async ({ page }) => {
  const set = Object.values(golden("alloc-ns-7d-acc-idle")[0] ?? {});
  await page.goto(url({ view, window: WEEK }));
  const foot = items(page).locator("tfoot");
  await expect(foot).toContainText(dollars(sum(set.map(({ totalCost }) => totalCost))));
  await expect(foot).toContainText(dollars(sum(set.map((item) => item.cpuCost + item.cpuCostAdjustment))));
  await expect(foot).toContainText(dollars(sum(set.map((item) => item.ramCost + item.ramCostAdjustment))));
});

test("clusters are looked into down to containers, and back", async ({ page }) => {
  await page.goto(url({ view, window: DAY, by: "cluster", idle: "hide" }));
  const table = items(page);
  await table.getByRole("link", { name: "prod-us" }).click();
  const inCluster = new Map<string, number>();
  const raw = Object.values(golden("alloc-raw-1d")[0] ?? {}).filter(
    ({ properties }) => properties.cluster === "prod-us",
  );
  for (const { name, properties, totalCost } of raw) {
    const namespace = name.includes("__unmounted__")
      ? "__unmounted__"
      : (properties.namespace ?? "__unallocated__");
    inCluster.set(namespace, (inCluster.get(namespace) ?? 0) + totalCost);
  }
  await expectTotals(table, inCluster);
  await table.getByRole("link", { name: "monitoring", exact: true }).click();
  await expect(table.locator("thead th").first()).toHaveText("Controller");
  await table.getByRole("link", { name: /:/ }).first().click();
  await expect(table.locator("thead th").first()).toHaveText("Pod");
  await table.locator("tbody a").first().click();
  await expect(table.locator("thead th").first()).toHaveText("Container");
  await expect(items(page).locator("tbody tr").first()).toBeVisible();
  const containers = sum(
    [...(await tableTotals(table)).values()].map((text) => Number(text.replace(/[$,]/g, ""))),
  );
  const crumbs = page.getByRole("navigation", { name: "Where this is" });
  await expect(crumbs.getByRole("listitem")).toHaveCount(5);
  const pod = (await crumbs.getByRole("listitem").last().innerText()).replace(/^pod\s*/, "").trim();
  const expected = sum(
    raw.filter(({ properties }) => properties.pod === pod).map(({ totalCost }) => totalCost),
  );
  expect(containers).toBeCloseTo(expected, 1);
  await crumbs.getByRole("link", { name: /prod-us/ }).click();
  await expectTotals(table, inCluster);
  await page.goBack();
  await expect(table.locator("thead th").first()).toHaveText("Container");
});

test("conditions are put together from suggestions", async ({ page }) => {
  await page.goto(url({ view, window: WEEK, idle: "hide" }));
  await page.getByRole("button", { name: "Add a condition" }).click();
  const value = page.getByRole("combobox", { name: "Value" });
  await value.fill("prod");
  await page.getByRole("option", { name: "prod-us" }).click();
  await page.getByRole("button", { name: "Apply" }).click();
  await expectTotals(items(page), goldenTotals("alloc-f-cluster"));
  expect(new URL(page.url()).searchParams.get("filter")).toBe('cluster:"prod-us"');

  // The same condition, turned round, with a second value, by keyboard.
  await page.getByRole("button", { name: "Change: cluster is prod-us" }).click();
  await page.getByLabel("Comparison").selectOption("is not");
  await value.fill("stag");
  await expect(page.getByRole("option", { name: "staging" })).toBeVisible();
  await value.press("ArrowDown");
  await value.press("Enter");
  await page.getByRole("button", { name: "Apply" }).click();
  await expectTotals(items(page), goldenTotals("alloc-f-notcluster"));
  await page.getByRole("button", { name: /^Take away: cluster/ }).click();
  await expectTotals(items(page), goldenTotals("alloc-ns-7d-acc"));
});

test("labels are found by typing, to add up by and to filter", async ({ page }) => {
  await page.goto(url({ view, window: WEEK, idle: "hide", size: "250" }));
  await page.getByRole("button", { name: /^Add up by/ }).click();
  await page.getByRole("combobox", { name: "Name of a label to add up by" }).fill("tea");
  await page.getByRole("option", { name: "team" }).click();
  await expectTotals(items(page), goldenTotals("alloc-label-team-7d-acc"));

  await page.getByRole("button", { name: /^Add up by/ }).click();
  await page.getByRole("button", { name: "Controller", exact: true }).click();
  await page.getByRole("button", { name: "Add a condition" }).click();
  await page.getByLabel("Field").selectOption("label");
  await page.getByRole("combobox", { name: "Name of the label" }).fill("team");
  await page
    .getByRole("listbox", { name: "Name of the label" })
    .getByRole("option", { name: "team", exact: true })
    .click();
  await page.getByRole("combobox", { name: "Value" }).fill("cor");
  await page.getByRole("option", { name: "core" }).click();
  await page.getByRole("button", { name: "Apply" }).click();
  await expectTotals(items(page), goldenTotals("alloc-f-label"));
});

test("idle and shared costs are chosen on the page", async ({ page }) => {
  await page.goto(url({ view, window: WEEK, by: "cluster" }));
  await page.getByRole("button", { name: "Idle and shared costs" }).click();
  await page.getByLabel("Idle cost is").selectOption("Shared among what used them");
  await page.getByRole("combobox", { name: "Namespace to share out" }).fill("kube-sys");
  await page.getByRole("option", { name: "kube-system" }).click();
  await expectTotals(items(page), goldenTotals("alloc-share-ns-idle"));
  await page.getByLabel("Overhead per month").fill("100");
  await page.getByLabel("Overhead per month").press("Enter");
  await expect.poll(() => new URL(page.url()).searchParams.get("shareCost")).toBe("100");
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toHaveCount(0);
});

test("costs per day are a seventh of those of the week", async ({ page }) => {
  await page.goto(url({ view, window: WEEK, idle: "hide", metric: "daily", by: "cluster" }));
  const weekly = goldenTotals("alloc-cluster-7d-acc");
  const shown = async () => (await tableTotals(items(page))).get("staging");
  await expect.poll(shown).toBe(dollars((weekly.get("staging") ?? 0) / 7));
});

test("pods are sorted and paged by the server", async ({ page }) => {
  const pods = [...goldenTotals("alloc-pod-1d")].toSorted(([one], [other]) => (one < other ? -1 : 1));
  await page.goto(url({ view, window: DAY, by: "pod", idle: "hide" }));
  const rows = items(page).locator("tbody tr");
  await expect(rows).toHaveCount(25);
  await expect(page.getByText(`1–25 of ${pods.length}`)).toBeVisible();
  const sizes: number[] = [];
  page.on("response", async (response) => {
    if (!response.url().includes("/model/allocation?")) return;
    const answer = (await response.json()) as { data: Record<string, unknown>[] };
    sizes.push(Object.keys(answer.data[0] ?? {}).length);
  });
  await page.getByRole("button", { name: "Pod", exact: true }).click();
  await expect(rows.first().locator("th")).toHaveText(
    new RegExp(pods[0]?.[0].replaceAll("_", "_") === "__unmounted__" ? "Unmounted" : (pods[0]?.[0] ?? "")),
  );
  await page.getByRole("button", { name: "Next page" }).click();
  await expect(page.getByText(`26–50 of ${pods.length}`)).toBeVisible();
  const second = pods.slice(25, 50);
  await expectTotals(items(page), new Map(second));
  expect(Math.max(...sizes)).toBeLessThanOrEqual(50);
});

test("the picture has each day's figures, read by keyboard", async ({ page }) => {
  await page.goto(url({ view, window: WEEK, by: "cluster", idle: "hide" }));
  const chart = page.getByRole("group", { name: /Cost by cluster/ });
  await chart.focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  const day = golden("alloc-cluster-7d").length > 1 ? golden("alloc-cluster-7d")[1] : undefined;
  const tip = page.locator(".tooltip");
  await expect(tip).toContainText("Mon, Mar 2");
  for (const { name, totalCost } of Object.values(day ?? {})) {
    await expect(tip.locator("li", { hasText: name })).toContainText(dollars(totalCost));
  }
  await expect(tip.locator(".sum")).toContainText(
    dollars(sum(Object.values(day ?? {}).map(({ totalCost }) => totalCost))),
  );
});

test("of many items the picture has the largest, and the rest as one", async ({ page }) => {
  await page.goto(url({ view, window: WEEK, by: "pod", idle: "hide" }));
  const legend = page.locator(".legend");
  await expect(legend.locator("li")).toHaveCount(11);
  await expect(legend).toContainText("Other");
  await page.getByRole("group", { name: /Cost by pod/ }).focus();
  await page.keyboard.press("ArrowRight");
  const day = golden("alloc-all-9d")[0] ?? {};
  await expect(page.locator(".tooltip .sum")).toContainText(
    dollars(sum(Object.values(day).map(({ totalCost }) => totalCost))),
  );
});

test("lines, treemap and efficiency are other pictures of the same", async ({ page }) => {
  await page.goto(url({ view, window: WEEK }));
  await expect(page.locator("rect.bar").first()).toBeAttached();
  await page.getByRole("button", { name: "Lines" }).click();
  await expect(page.locator("path.line")).toHaveCount(await page.locator(".legend li").count());
  await page.getByRole("button", { name: "Treemap" }).click();
  const web = goldenTotals("alloc-ns-7d-acc").get("web") ?? 0;
  await page.getByRole("button", { name: `web: ${dollars(web)}` }).click();
  await expect(page.getByRole("navigation", { name: "Where this is" })).toContainText("web");
  await page.goBack();
  await page.getByRole("group", { name: "Picture" }).getByRole("button", { name: "Efficiency" }).click();
  const batch = golden("alloc-ns-7d-acc")[0]?.["batch"];
  const row = page.getByRole("region", { name: "Efficiency" }).getByRole("row", { name: /batch/ });
  await expect(row).toContainText(`${Math.round((batch?.cpuEfficiency ?? 0) * 100)}%`);
});

test("the details of an item have requests, usage and adjustments", async ({ page }) => {
  const item = golden("alloc-ns-7d-acc-idle")[0]?.["kubecost"];
  if (!item) throw new Error("the golden answer has no such namespace");
  await page.goto(url({ view, window: WEEK }));
  await page.getByRole("button", { name: "Details of kubecost" }).click();
  const panel = page.getByRole("dialog", { name: "Details of kubecost" });
  await expect(panel.locator('[data-figure="detail-total"]')).toHaveText(dollars(item.totalCost));
  const cpu = panel.getByRole("row", { name: /^CPU/ });
  await expect(cpu).toContainText(dollars(item.cpuCost));
  await expect(cpu).toContainText(dollars(item.cpuCostAdjustment));
  await expect(panel).toContainText(`${item.cpuCoreRequestAverage.toPrecision(3)} cores`);
  await expect(panel).toContainText(`${item.cpuCoreUsageAverage.toPrecision(3)} cores`);
  await page.keyboard.press("Escape");
  await expect(panel).toHaveCount(0);
  await expect(page.getByRole("button", { name: "Details of kubecost" })).toBeFocused();
});

test("the table is downloaded as CSV", async ({ page }) => {
  await page.goto(url({ view, window: WEEK, idle: "hide" }));
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("link", { name: "CSV" }).click(),
  ]);
  expect(download.suggestedFilename()).toBe("allocations.csv");
  const lines = (await readFile(await download.path(), "utf8")).trim().split("\n");
  const names = goldenTotals("alloc-ns-7d-acc");
  expect(lines).toHaveLength(names.size + 1);
  for (const name of names.keys()) expect(lines.some((line) => line.includes(name))).toBe(true);
});

test("the step is chosen, and hours are shown as hours", async ({ page }) => {
  await page.goto(url({ view, window: "2026-03-09T06:00:00Z,2026-03-09T12:00:00Z", idle: "hide" }));
  const sets = golden("alloc-ns-hourly");
  await page.getByRole("group", { name: /Cost by namespace/ }).focus();
  await page.keyboard.press("ArrowRight");
  const first = sum(Object.values(sets[0] ?? {}).map(({ totalCost }) => totalCost));
  await expect(page.locator(".tooltip .sum")).toContainText(dollars(first));
  await page.getByLabel("Step of the picture").selectOption("Every 6 hours");
  await expect(page.locator(".band")).toHaveCount(1);
});
