/** `fedcost up` in a process of its own, over a copy of the golden bucket or an empty one. */

import { spawn, type ChildProcess } from "node:child_process";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const ROOT = resolve(import.meta.dirname, "../..");
const READY_WITHIN_MS = 120_000;

export interface Fedcost {
  url: string;
  folder: string;
  stop: () => Promise<void>;
}

/** The program that is tested, which `make test-ui` builds. */
export const PROGRAM = process.env["FEDCOST_PROGRAM"] ?? join(ROOT, "target/debug/fedcost");

/** Starts it, and waits until costs can be asked for. `prepare` is given its folder, and answers further options. */
export async function startFedcost(
  bucket: "golden" | "empty",
  prepare: (folder: string) => Promise<string[]> = async () => ["--listen", "127.0.0.1:0"],
): Promise<Fedcost> {
  const folder = await mkdtemp(join(tmpdir(), "fedcost-ui-"));
  // Ingest writes its tables beside the clusters' files.
  if (bucket === "golden") {
    await cp(join(ROOT, "tests/golden/bucket"), join(folder, "bucket"), { recursive: true });
  }
  const options = [
    "--data",
    join(folder, "data"),
    "--bucket",
    join(folder, "bucket"),
    "--retention-days",
    "0",
  ];
  const child = spawn(PROGRAM, ["up", ...options, ...(await prepare(folder))], {
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
    return { url: await ready(child, PROGRAM), folder, stop };
  } catch (error) {
    await stop();
    throw error;
  }
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
