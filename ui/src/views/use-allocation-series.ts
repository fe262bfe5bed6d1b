/** Costs over time of the items that a table shows first. */

import { useMemo } from "react";
import type { Parameters } from "../api/client";
import { useSummaries } from "../api/queries";
import type { SummarySets } from "../api/types";
import { any, both } from "../lib/filter";
import { filterOfName, isIdle } from "../lib/names";
import { MOST_SERIES, timeline, type CostSet } from "../lib/series";
import { allocationParameters, sharesAnything, stepOf, type AllocationState } from "../state/view";

/** Up to so many items, all of them are asked for; of more, only those that are shown. */
const FEW = 20;

function costSets(sets: SummarySets | undefined): CostSet[] {
  return (sets?.sets ?? []).map(({ window, allocations }) => ({
    window,
    costs: Object.fromEntries(Object.values(allocations).map(({ name, totalCost }) => [name, totalCost])),
  }));
}

/**
 * `names` are the items in order of cost, `items` how many there are in all; nothing is asked before they are known.
 */
export function useAllocationSeries(
  state: AllocationState,
  names: readonly string[] | undefined,
  items: number | undefined,
) {
  const top = useMemo(() => (names ?? []).filter((name) => !isIdle(name)).slice(0, MOST_SERIES), [names]);
  const all: Parameters = { ...allocationParameters(state), step: stepOf(state) };
  const known = names !== undefined && items !== undefined;
  const many = known && items > FEW;
  const filters = top.map((name) => filterOfName(name, state.by));
  // What a filter leaves of shared costs is not what is left without it, so then the largest of each set are taken.
  const canFilter = many && !sharesAnything(state) && filters.every((filter) => filter !== null);
  const some = canFilter
    ? {
        ...all,
        filter: both(any(filters.filter((filter) => filter !== null)), String(all["filter"] ?? "")),
        idle: false,
      }
    : many
      ? { ...all, limit: 5 * MOST_SERIES }
      : all;
  const shown = useSummaries(some, known);
  const totals = useSummaries({ ...all, aggregate: "all" }, many);
  const data = useMemo(
    () => timeline(costSets(shown.data), top, many ? costSets(totals.data) : undefined),
    [shown.data, totals.data, many, top],
  );
  const ready = shown.data !== undefined && (!many || totals.data !== undefined);
  return {
    data: ready && known ? data : undefined,
    error: shown.error ?? totals.error,
    asked: [shown, totals],
    stale: shown.isPlaceholderData || totals.isPlaceholderData,
  };
}
