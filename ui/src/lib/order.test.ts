import { expect, test } from "vitest";
import { inOrder } from "./order";

test("names that are numbers are put back where they belong", () => {
  const rows = [
    { name: "111122223333", totalCost: 1 },
    { name: "b", totalCost: 3 },
    { name: "a", totalCost: 2 },
  ];
  expect(inOrder(rows, "totalCost", "desc").map(({ name }) => name)).toEqual(["b", "a", "111122223333"]);
  expect(inOrder(rows, "name", "asc").map(({ name }) => name)).toEqual(["111122223333", "a", "b"]);
});
