/** Starts `fedcost up` on a copy of the golden bucket, and ends it after the tests. */

import { spawn, type ChildProcess } from "node:child_process";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const ROOT = resolve(import.meta.dirname, "../..");
const READY_WITHIN_MS = 120_000;

export default async function start(): Promise<(() => Promise<void>) | undefined> {
  // Tests of a page under work are run against a server that is up already.
  if (process.env["FEDCOST_URL"]) return undefined;
  const folder = await mkdtemp(join(tmpdir(), "fedcost-ui-"));
  // Ingest writes its tables beside the clusters' files.
  await cp(join(ROOT, "tests/golden/bucket"), join(folder, "bucket"), { recursive: true });
  const program = process.env["FEDCOST_PROGRAM"] ?? join(ROOT, "target/debug/fedcost");
  const options = ["--data", join(folder, "data"), "--bucket", join(folder, "bucket")];
  const child = spawn(program, ["up", ...options, "--retention-days", "0", "--listen", "127.0.0.1:0"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const stop = async () => {
    if (child.exitCode === null && child.pid !== undefined) {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await ended;
    }
    await rm(folder, { recursive: true, force: true });
  };
  try {
    process.env["FEDCOST_URL"] = await ready(child, program);
  } catch (error) {
    await stop();
    throw error;
  }
  return stop;
}

/** The address at which costs can be asked for. */
function ready(child: ChildProcess, program: string): Promise<string> {
  const log: string[] = [];
  return new Promise((resolve, reject) => {
    const fail = (what: string) => reject(new Error(`${program}: ${what}\n${log.slice(-20).join("\n")}`));
    const timer = setTimeout(() => fail("was not ready in time"), READY_WITHIN_MS);
    child.once("error", (error) => fail(`${error.message}; make test-ui builds it`));
    child.once("exit", (code) => fail(`ended with ${code}`));
    if (child.stderr) createInterface(child.stderr).on("line", (line) => log.push(line));
    if (child.stdout) {
      createInterface(child.stdout).on("line", (line) => {
        const url = /^ready (http:\S+)/.exec(line)?.[1];
        if (!url) return;
        clearTimeout(timer);
        resolve(url);
      });
    }
  });
}
