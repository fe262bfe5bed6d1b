/** Costs over time by name: the largest ones, and the rest as one. */

import { isIdle } from "./names";

export interface Series {
  name: string;
  /** What people read, where it is not the name. */
  title?: string;
  /** One for each step; what is not there costs nothing. */
  values: number[];
  total: number;
  kind: "item" | "other" | "idle";
  /** Which of the palette's colours it has, from 0; for items only. */
  colour: number;
}

export interface Timeline {
  /** Where each step begins and ends, in milliseconds. */
  steps: { start: number; end: number }[];
  series: Series[];
  /** Of all series, for each step. */
  totals: number[];
}

export interface CostSet {
  window: { start: string | null; end: string | null };
  costs: Record<string, number>;
}

/** How many items have a colour of their own. */
export const MOST_SERIES = 10;

/**
 * Orders sets in time and splits their costs into the `top` names in their order, idle cost, and the rest. `totals`
 * are the costs of everything in the same sets, where `sets` has only some names.
 */
export function timeline(
  sets: readonly CostSet[],
  top: readonly string[],
  totals?: readonly CostSet[],
): Timeline {
  const whole = totals ?? sets;
  const steps = whole.flatMap(({ window }) =>
    window.start && window.end ? [{ start: Date.parse(window.start), end: Date.parse(window.end) }] : [],
  );
  const byStart = (list: readonly CostSet[]) =>
    new Map(list.map((set) => [set.window.start ? Date.parse(set.window.start) : Number.NaN, set.costs]));
  const some = byStart(sets);
  const all = byStart(whole);
  const names = top.filter((name) => !isIdle(name)).slice(0, MOST_SERIES);
  const values = new Map(names.map((name) => [name, steps.map(() => 0)]));
  const idle = steps.map(() => 0);
  const other = steps.map(() => 0);
  const sums = steps.map(() => 0);
  steps.forEach(({ start }, at) => {
    let rest = 0;
    for (const [name, cost] of Object.entries(all.get(start) ?? {})) {
      sums[at] = (sums[at] ?? 0) + cost;
      if (isIdle(name)) idle[at] = (idle[at] ?? 0) + cost;
      else rest += cost;
    }
    const costs = some.get(start) ?? {};
    for (const [name, list] of values) {
      const cost = costs[name] ?? 0;
      list[at] = cost;
      rest -= cost;
    }
    // What is left of rounding is nothing.
    other[at] = Math.abs(rest) < 0.0005 ? 0 : rest;
  });
  const sum = (list: readonly number[]) => list.reduce((one, next) => one + next, 0);
  const series: Series[] = [...values].map(([name, list], colour) => ({
    name,
    values: list,
    total: sum(list),
    kind: "item",
    colour,
  }));
  if (other.some((cost) => cost !== 0)) {
    series.push({ name: "Other", values: other, total: sum(other), kind: "other", colour: -1 });
  }
  if (idle.some((cost) => cost !== 0)) {
    series.push({ name: "Idle", values: idle, total: sum(idle), kind: "idle", colour: -1 });
  }
  return { steps, series, totals: sums };
}
