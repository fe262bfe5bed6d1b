/** Figures of allocations that the page makes out of the API's. */

import type { Allocation, AllocationTopline, Summary } from "../api/types";

/** What an allocation costs by resource, with adjustments, so that all add up to its total. */
export function costsOf(allocation: Allocation): Omit<Summary, "name" | "start" | "end"> {
  return {
    cpuCost: allocation.cpuCost + allocation.cpuCostAdjustment,
    gpuCost: allocation.gpuCost + allocation.gpuCostAdjustment,
    ramCost: allocation.ramCost + allocation.ramCostAdjustment,
    pvCost: allocation.pvCost + allocation.pvCostAdjustment,
    networkCost: allocation.networkCost + allocation.networkCostAdjustment,
    loadBalancerCost: allocation.loadBalancerCost + allocation.loadBalancerCostAdjustment,
    sharedCost: allocation.sharedCost,
    externalCost: allocation.externalCost,
    totalEfficiency: allocation.totalEfficiency,
    totalCost: allocation.totalCost,
  };
}

/** The set that a question over one window is answered with. */
export function only<T>(sets: readonly Record<string, T>[] | undefined): T[] {
  return Object.values(sets?.[0] ?? {});
}

/** The items that pages are made of: idle items come on every page and are counted apart. */
export function pagedItems(topline: AllocationTopline | undefined, idleItems: number): number | undefined {
  return topline && Math.max(0, topline.numResults - idleItems);
}
