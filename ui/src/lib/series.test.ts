import { expect, test } from "vitest";
import { timeline } from "./series";

const at = (day: number) => ({ start: `2026-03-0${day}T00:00:00Z`, end: `2026-03-0${day + 1}T00:00:00Z` });

test("the largest have series of their own, the rest is one, and nothing is lost", () => {
  const sets = [
    { window: at(1), costs: { a: 5, b: 3, c: 1, d: 1, __idle__: 10 } },
    { window: at(2), costs: { a: 2, d: 4, "x/__idle__": 1 } },
    { window: at(3), costs: {} },
  ];
  const { steps, series, totals } = timeline(sets, ["__idle__", "a", "b"]);
  expect(steps).toHaveLength(3);
  expect(series.map(({ name, values }) => [name, values])).toEqual([
    ["a", [5, 2, 0]],
    ["b", [3, 0, 0]],
    ["Other", [2, 4, 0]],
    ["Idle", [10, 1, 0]],
  ]);
  expect(totals).toEqual([20, 7, 0]);
});

test("what only the totals have is other cost", () => {
  const some = [{ window: at(1), costs: { a: 5 } }];
  const whole = [
    { window: at(1), costs: { all: 9, __idle__: 2 } },
    { window: at(2), costs: { all: 1 } },
  ];
  const { series, totals } = timeline(some, ["a"], whole);
  expect(series.map(({ name, values }) => [name, values])).toEqual([
    ["a", [5, 0]],
    ["Other", [4, 1]],
    ["Idle", [2, 0]],
  ]);
  expect(totals).toEqual([11, 1]);
});
