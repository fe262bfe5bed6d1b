import { expect, test } from "vitest";
import { coverage } from "./coverage";

test("gaps are between what is there, and where others have data", () => {
  const sets = [["a"], ["a", "b"], ["a"], ["a", "b"], ["a"], []].map((clusters, at) => ({
    start: at,
    end: at + 1,
    clusters: new Set(clusters),
  }));
  const states = (id: string, firstWindow: string | null) =>
    coverage({ id, firstWindow }, sets).map(({ state }) => state);
  const epoch = (ms: number) => new Date(ms).toISOString();
  expect(states("a", epoch(0))).toEqual(["there", "there", "there", "there", "there", "outside"]);
  expect(states("b", epoch(1))).toEqual(["outside", "there", "gap", "there", "gap", "outside"]);
  expect(coverage({ id: "b", firstWindow: epoch(1) }, sets, 3).map(({ state }) => state)[2]).toBe("outside");
  expect(states("c", null)).toEqual(["outside", "outside", "outside", "outside", "outside", "outside"]);
});
