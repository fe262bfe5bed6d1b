/** People who are signed in by a real issuer, and what they see; against a `fedcost up` of their own. */

import { execFile, spawn, type ChildProcess } from "node:child_process";
import { writeFile, readFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import AxeBuilder from "@axe-core/playwright";
import { expect, test, type APIRequestContext, type Page } from "@playwright/test";
import { PROGRAM, startFedcost, type Fedcost } from "./fedcost";
import { DAY, dollars, goldenTotals, sum, WEEK } from "./golden";

// One issuer and one gateway for all of them.
test.describe.configure({ mode: "serial" });

let issuer: ChildProcess;
let issuerUrl: string;
let costs: Fedcost;
/** A gateway that forgets people soon. */
let forgetful: Fedcost;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function access(folder: string, gateway: string, lifetime: string): string {
  return `
mode: oidc
oidc:
  issuer: ${issuerUrl}
  client_id: fedcost
  client_secret_file: ${join(folder, "client-secret")}
  redirect_url: ${gateway}/auth/callback
  post_logout_redirect_url: ${gateway}/
  scopes: [openid, profile, email, groups]
  user_claim: email
  groups_claim: groups
  session: {lifetime: ${lifetime}}
tokens: {file: ${join(folder, "tokens.json")}}
audit: {file: ${join(folder, "audit.jsonl")}}
roles:
  - {name: operators, clusters: ["*"], permissions: [view, save, operate], groups: [platform]}
  - {name: shop, clusters: ["prod-*"], permissions: [view, save], groups: [shop], tokens: [exporter]}
`;
}

async function startGateway(bucket: "golden" | "empty", port: number, lifetime: string): Promise<Fedcost> {
  const gateway = `http://127.0.0.1:${port}`;
  return startFedcost(bucket, async (folder) => {
    await writeFile(join(folder, "client-secret"), "only-for-this-test\n");
    await writeFile(join(folder, "access.yaml"), access(folder, gateway, lifetime));
    return ["--listen", `127.0.0.1:${port}`, "--access", join(folder, "access.yaml")];
  });
}

test.beforeAll(async () => {
  const [port, one, other] = await Promise.all([freePort(), freePort(), freePort()]);
  issuerUrl = `http://127.0.0.1:${port}`;
  const gateways = [one, other].map((gateway) => `http://127.0.0.1:${gateway}`);
  issuer = spawn(process.execPath, [join(import.meta.dirname, "issuer.mjs"), String(port), ...gateways], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise<void>((resolve, reject) => {
    issuer.once("exit", (code) => reject(new Error(`the issuer ended with ${code}`)));
    if (issuer.stdout) {
      createInterface(issuer.stdout).on("line", (line) => line.startsWith("ready ") && resolve());
    }
  });
  costs = await startGateway("golden", one, "8h");
  forgetful = await startGateway("empty", other, "2s");
});

test.afterAll(async () => {
  await Promise.all([costs?.stop(), forgetful?.stop()]);
  issuer?.kill();
});

/** Signs in on the issuer's own pages. */
async function signIn(page: Page, name: string, address: string) {
  await page.goto(address);
  await page.getByRole("link", { name: "Sign in" }).click();
  await page.waitForURL(`${issuerUrl}/**`);
  await page.locator("input[name=login]").fill(name);
  await page.locator("input[name=password]").fill("anything");
  await page.locator("button[type=submit]").click();
  // The issuer asks whether the gateway may know who it is.
  await page.getByRole("button", { name: "Continue" }).click();
}

async function status(request: APIRequestContext, path: string): Promise<number> {
  return (await request.get(`${costs.url}${path}`)).status();
}

test("who is not signed in sees nothing, and is told where to sign in", async ({ page }) => {
  await page.goto(`${costs.url}/?view=assets&window=${WEEK}`);
  await expect(page.getByRole("heading", { name: "Sign in to see costs" })).toBeVisible();
  await expect(page.getByRole("link", { name: "Sign in" })).toHaveAttribute(
    "href",
    `/auth/login?back=${encodeURIComponent(`/?view=assets&window=${WEEK}`)}`,
  );
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.filter(({ impact }) => impact === "serious" || impact === "critical")).toEqual([]);
  for (const path of [
    `/model/allocation?window=${DAY}`,
    "/model/clusters/status",
    "/status",
    "/views",
    "/metrics",
  ]) {
    expect(await status(page.request, path)).toBe(401);
  }
  for (const path of ["/healthz", "/readyz", "/auth/me"]) expect(await status(page.request, path)).toBe(200);
});

test("an operator signs in, goes on to the view, sees all, and signs out at the issuer too", async ({
  page,
}) => {
  const view = `/?view=allocations&window=${DAY}&by=cluster&idle=hide`;
  await signIn(page, "alice", `${costs.url}${view}`);
  await page.waitForURL(`${costs.url}${view}`);
  const totals = goldenTotals("alloc-raw-1d");
  await expect(page.getByText(dollars(sum(totals.values()))).first()).toBeVisible();
  await expect(page.getByText("edge-1").first()).toBeVisible();
  const cookies = await page.context().cookies(costs.url);
  const session = cookies.find(({ name }) => name === "fedcost-session");
  expect(session).toMatchObject({ httpOnly: true, sameSite: "Lax", path: "/" });
  expect(decodeURIComponent(session?.value ?? "")).not.toContain("alice");
  expect(cookies.some(({ name }) => name === "fedcost-sign-in")).toBe(false);

  await page.getByRole("button", { name: "Signed in as Alice Example" }).click();
  await expect(page.getByText("Role: operators")).toBeVisible();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL(`${issuerUrl}/session/end**`);
  await page.locator("button[name=logout]").click();
  await page.waitForURL(`${costs.url}/`);
  await expect(page.getByRole("heading", { name: "Sign in to see costs" })).toBeVisible();
  expect(await status(page.request, "/status")).toBe(401);
});

test("who may see some clusters sees those, on every view", async ({ page }) => {
  const seen: string[] = [];
  page.on("response", async (response) => {
    const { origin, pathname } = new URL(response.url());
    if (origin !== costs.url || pathname.startsWith("/static/") || response.status() >= 300) return;
    seen.push(await response.text().catch(() => ""));
  });
  await signIn(page, "bob", `${costs.url}/?view=allocations&window=${DAY}&by=cluster&idle=hide`);
  await expect(page.getByText("prod-us").first()).toBeVisible();
  const totals = [...goldenTotals("alloc-raw-1d")].filter(([name]) => name.startsWith("prod-"));
  expect(totals.length).toBeGreaterThan(0);
  await expect(page.getByText(dollars(sum(totals.map(([, cost]) => cost)))).first()).toBeVisible();
  for (const view of ["overview", "assets", "clusters"]) {
    await page.goto(`${costs.url}/?view=${view}&window=${WEEK}&by=cluster`);
    await expect(page.getByText("prod-us").first()).toBeVisible();
    await page.waitForLoadState("networkidle");
    await expect(page.getByText("edge-1")).toHaveCount(0);
  }
  expect(seen.filter((text) => text.includes("edge-1"))).toEqual([]);
  await page.getByRole("button", { name: "Signed in as Bob Example" }).click();
  await expect(page.getByText("You see a part of all clusters")).toBeVisible();
  expect(await status(page.request, "/model/debug/orchestrator")).toBe(403);
  expect(await status(page.request, `/model/etl/asset/repair?window=${DAY}&cluster=prod-us`)).toBe(403);
});

test("who holds no role is told so", async ({ page }) => {
  await signIn(page, "mallory", `${costs.url}/`);
  await expect(page.getByText("You are Mallory Example, and no role lets you see costs")).toBeVisible();
  expect(await status(page.request, `/model/allocation?window=${DAY}`)).toBe(403);
});

test("an address that the issuer has not verified is nobody's", async ({ page }) => {
  await signIn(page, "eve", `${costs.url}/`);
  await expect(page.getByText("has not verified this email address")).toBeVisible();
  expect(await status(page.request, "/status")).toBe(401);
});

test("a sign-in of another browser, or a forged one, is none", async ({ browser, page }) => {
  const forged = await page.request.get(`${costs.url}/auth/callback?code=a&state=b`);
  expect(forged.status()).toBe(400);
  // Whoever makes somebody else follow an address of their own signs nobody in.
  const begun = await page.request.get(`${costs.url}/auth/login`, { maxRedirects: 0 });
  expect(begun.status()).toBe(303);
  const authorize = new URL(begun.headers()["location"] ?? "");
  expect(authorize.searchParams.get("code_challenge_method")).toBe("S256");
  const other = await browser.newContext();
  const state = authorize.searchParams.get("state") ?? "";
  const stolen = await other.request.get(
    `${costs.url}/auth/callback?code=a&state=${encodeURIComponent(state)}`,
  );
  expect(stolen.status()).toBe(400);
  // A code that the issuer did not give is worth nothing in the browser that began.
  const made = await page.request.get(`${costs.url}/auth/callback?code=a&state=${encodeURIComponent(state)}`);
  expect(made.status()).toBe(403);
  await other.close();
});

test("a session ends, and the page asks to sign in again", async ({ page }) => {
  await signIn(page, "alice", `${forgetful.url}/`);
  // The page asks for the status every few seconds, and so learns of it.
  await expect(page.getByRole("heading", { name: "Sign in to see costs" })).toBeVisible();
  const who = await page.request.get(`${forgetful.url}/auth/me`);
  expect(((await who.json()) as { user: unknown }).user).toBeNull();
});

test("a machine is known by its token until that is revoked", async ({ request }) => {
  const file = join(costs.folder, "tokens.json");
  const run = promisify(execFile);
  const { stdout } = await run(PROGRAM, ["tokens", "create", "exporter", "--file", file]);
  const token = stdout.trim();
  const ask = () =>
    request.get(`${costs.url}/model/allocation?window=${DAY}&aggregate=cluster&idle=false`, {
      headers: { authorization: `Bearer ${token}` },
    });
  await expect.poll(async () => (await ask()).status()).toBe(200);
  const text = await (await ask()).text();
  expect(text).toContain("prod-us");
  expect(text).not.toContain("edge-1");
  await run(PROGRAM, ["tokens", "revoke", "exporter", "--file", file]);
  await expect.poll(async () => (await ask()).status()).toBe(401);
  const audit = await readFile(join(costs.folder, "audit.jsonl"), "utf8");
  expect(audit).not.toContain(token);
  expect(audit).not.toContain("code=");
  const events = audit
    .trim()
    .split("\n")
    .map(
      (line) =>
        JSON.parse(line) as { event: string; by: string | null; user: string | null; status?: number },
    );
  const has = (wanted: Record<string, unknown>) =>
    expect(events).toContainEqual(expect.objectContaining(wanted));
  has({ event: "signed in", user: "alice@example.org" });
  has({ event: "not signed in", user: null });
  has({ event: "answered", by: "session", user: "bob@example.org", status: 200 });
  has({ event: "denied", by: "session", user: "mallory@example.org", status: 403 });
  has({ event: "answered", by: "token", user: "exporter", status: 200 });
  has({ event: "denied", by: null, user: null, status: 401 });
});
