/** Starts `fedcost up` on a copy of the golden bucket, and ends it after the tests. */

import { startFedcost } from "./fedcost";

export default async function start(): Promise<(() => Promise<void>) | undefined> {
  // Tests of a page under work are run against a server that is up already.
  if (process.env["FEDCOST_URL"]) return undefined;
  const { url, stop } = await startFedcost("golden");
  process.env["FEDCOST_URL"] = url;
  return stop;
}
