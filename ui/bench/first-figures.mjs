// Times how long a fresh browser takes from asking for the page to the first figures, for each view:
//   node ui/bench/first-figures.mjs http://127.0.0.1:9090 WINDOW [TIMES]
// Prints a row of a Markdown table for each.
import { chromium } from "@playwright/test";

const [base, window, times = "10"] = process.argv.slice(2);
if (!base || !window) {
  console.error("usage: first-figures.mjs BASE WINDOW [TIMES]");
  process.exit(64);
}

// What stands on the page once a view has answered.
const FIRST_FIGURES = {
  overview: '[data-figure="total"]',
  allocations: 'tbody tr td:has-text("$")',
  assets: 'tbody tr td:has-text("$")',
  clusters: "tbody tr",
};

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
});
const millis = (values, share) =>
  values.sort((a, b) => a - b)[Math.floor((values.length - 1) * share)].toFixed(0);
try {
  for (const [view, figures] of Object.entries(FIRST_FIGURES)) {
    const taken = [];
    // The first one is not counted: the browser itself starts up.
    for (let time = 0; time <= Number(times); time++) {
      // With nothing in its cache.
      const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
      const page = await context.newPage();
      await page.goto(`${base}/?view=${view}&window=${encodeURIComponent(window)}`, { waitUntil: "commit" });
      await page.locator(figures).first().waitFor({ timeout: 60_000 });
      // Since the navigation began, by the page's own clock.
      const shown = await page.evaluate(() => performance.now());
      if (time > 0) taken.push(shown);
      await context.close();
    }
    console.log(`| ${view} | ${millis(taken, 0.5)} | ${millis(taken, 0.95)} |`);
  }
} finally {
  await browser.close();
}
