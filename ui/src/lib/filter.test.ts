import { describe, expect, test } from "vitest";
import { any, both, readConditions, writeConditions } from "./filter";

describe("filters", () => {
  test.each([
    ['namespace:"web"', [{ field: "namespace", op: ":", values: ["web"] }]],
    [
      'cluster!:"prod-us","staging"+label[app_kubernetes_io_name]<~:"a"',
      [
        { field: "cluster", op: "!:", values: ["prod-us", "staging"] },
        { field: "label[app_kubernetes_io_name]", op: "<~:", values: ["a"] },
      ],
    ],
    ['owner!~>:"say ""hi"", all"', [{ field: "owner", op: "!~>:", values: ['say "hi", all'] }]],
    ['label:"owner"', [{ field: "label", op: ":", values: ["owner"] }]],
  ] as const)("%s is read, and written as it was", (text, conditions) => {
    expect(readConditions(text)).toEqual(conditions);
    expect(writeConditions(readConditions(text)!)).toBe(text);
  });

  test("space around joints is skipped", () => {
    expect(readConditions(' namespace:"a" + pod~:"b" ')).toHaveLength(2);
    expect(readConditions("")).toEqual([]);
  });

  test.each(['(a:"x"|b:"y")', 'a:"x"|b:"y"', "namespace:web", 'a:"x"+', 'a:"x', 'a "x"', 'a:"x" b:"y"'])(
    "%s needs more than a list of conditions",
    (text) => expect(readConditions(text)).toBeNull(),
  );

  test("filters are combined without changing what they mean", () => {
    expect(both("", 'a:"x"')).toBe('a:"x"');
    expect(both('a:"x"|b:"y"', 'c:"z"')).toBe('(a:"x"|b:"y")+c:"z"');
    expect(both('a:"x"+b:"y"', 'c:"z"')).toBe('a:"x"+b:"y"+c:"z"');
    expect(any(['a:"x"', 'b:"y"+c:"z"'])).toBe('a:"x"|(b:"y"+c:"z")');
    expect(any(['a:"x"'])).toBe('a:"x"');
    expect(any([])).toBe("");
  });
});
