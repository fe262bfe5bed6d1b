/** Objects lose the order of names that are whole numbers, such as accounts; this restores it. */
export function inOrder<T extends object>(rows: readonly T[], by: string, order: "asc" | "desc"): T[] {
  const sign = order === "asc" ? 1 : -1;
  const valueOf = (row: T) => (row as Record<string, unknown>)[by];
  return rows.toSorted((one, other) => {
    const [a, b] = [valueOf(one), valueOf(other)];
    if (typeof a === "number" && typeof b === "number") return sign * (a - b);
    return sign * String(a ?? "").localeCompare(String(b ?? ""), "en");
  });
}
