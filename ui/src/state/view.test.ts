import { describe, expect, test } from "vitest";
import { allocationParameters, backTo, into, readAllocations, readAssets, readView, viewQuery } from "./view";
import { changed } from "./url";

describe("the address is the state", () => {
  test("defaults are left out, and what is not known is a default", () => {
    expect(readView("?view=nothing")).toBe("overview");
    const state = readAllocations("?size=7&page=0&idle=maybe&by=");
    expect(state).toMatchObject({ by: ["namespace"], window: "7d", size: 25, page: 1, idle: "separate" });
    expect(readAssets("?by=none").by).toEqual([]);
    expect(readAssets("").by).toEqual(["type"]);
  });

  test("changes set and take away", () => {
    expect(changed("?a=1&b=2", { a: null, b: "3", c: ["x", "y"] })).toBe("b=3&c=x&c=y");
    expect(viewQuery("?view=assets&by=type&window=30d", "clusters")).toBe("view=clusters&window=30d");
    expect(viewQuery("?view=assets", "overview")).toBe("");
  });

  test("looking into things and back", () => {
    let search = "?view=allocations&by=cluster&page=3";
    search = `?${into(search, readAllocations(search), "prod-us")}`;
    let state = readAllocations(search);
    expect(state).toMatchObject({
      by: ["namespace"],
      page: 1,
      within: [{ key: "cluster", value: "prod-us" }],
    });
    search = `?${into(search, state, "web")}`;
    state = readAllocations(search);
    expect(state.by).toEqual(["controller"]);
    expect(allocationParameters(state)["filter"]).toBe('cluster:"prod-us"+namespace:"web"');
    search = `?${into(search, state, "deployment:web-a")}`;
    state = readAllocations(search);
    expect(allocationParameters(state)["filter"]).toBe(
      'cluster:"prod-us"+namespace:"web"+controllerKind:"deployment"+controllerName:"web-a"',
    );
    expect(readAllocations(`?${backTo(search, state, 1)}`)).toMatchObject({
      by: ["namespace"],
      within: [{ key: "cluster", value: "prod-us" }],
    });
    expect(readAllocations(`?${backTo(search, state, 0)}`)).toMatchObject({ by: ["cluster"], within: [] });
  });

  test("idle cost and what is inside nothing cannot be looked into", () => {
    const state = readAllocations("?by=cluster,namespace");
    for (const name of ["__idle__", "prod/__idle__", "prod/__unmounted__"])
      expect(into("", state, name)).toBeNull();
    expect(into("", readAllocations("?by=container"), "web")).toBeNull();
    expect(into("", readAllocations("?by=service"), "web")).toBeNull();
  });

  test("a filter of one's own stays together", () => {
    const state = readAllocations(
      "?in=cluster%3Da&filter=pod%3A%22x%22%7Cpod%3A%22y%22&idle=share&idleBy=node",
    );
    expect(allocationParameters(state)).toMatchObject({
      filter: 'cluster:"a"+(pod:"x"|pod:"y")',
      shareIdle: true,
      idleByNode: true,
    });
  });
});
