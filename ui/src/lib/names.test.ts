import { describe, expect, test } from "vitest";
import { filterOfName, isIdle, nextLevel, splitName } from "./names";

describe("names", () => {
  test("split into the parts of their keys", () => {
    expect(splitName("prod/web", 2)).toEqual(["prod", "web"]);
    expect(splitName("https://x/y", 1)).toEqual(["https://x/y"]);
    expect(splitName("web/a/b", 2)).toEqual(["web", "a/b"]);
    expect(splitName("prod/__idle__", 3)).toEqual(["prod/__idle__"]);
  });

  test.each([
    ["web", ["namespace"], 'namespace:"web"'],
    [
      "prod/deployment:web-a",
      ["cluster", "controller"],
      'cluster:"prod"+controllerKind:"deployment"+controllerName:"web-a"',
    ],
    ["__unallocated__", ["controller"], 'controllerName:"__unallocated__"'],
    ["core", ["label:team"], 'label[team]:"core"'],
    ["web-a", ["deployment"], 'controllerKind:"deployment"+controllerName:"web-a"'],
    ["__idle__", ["namespace"], null],
    ["prod/__unmounted__", ["cluster", "namespace"], null],
    ["shop-http", ["service"], null],
    ["all", ["all"], null],
  ])("%s by %j is asked for with %s", (name, keys, filter) => expect(filterOfName(name, keys)).toBe(filter));

  test("what is inside what", () => {
    expect(nextLevel(["cluster"])).toBe("namespace");
    expect(nextLevel(["cluster", "namespace"])).toBe("controller");
    expect(nextLevel(["label:team"])).toBe("namespace");
    expect(nextLevel(["node"])).toBe("pod");
    expect(nextLevel(["container"])).toBeNull();
  });

  test("idle cost, of all or of a cluster", () => {
    expect(isIdle("__idle__")).toBe(true);
    expect(isIdle("prod/__idle__")).toBe(true);
    expect(isIdle("idle")).toBe(false);
  });
});
