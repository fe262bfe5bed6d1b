/** Which days or hours there is data of. */

import type { Cluster } from "../api/types";

export interface Cell {
  start: number;
  end: number;
  /** `outside` is before the cluster's first data, or after now. */
  state: "there" | "gap" | "outside";
}

export interface CoveredSet {
  start: number;
  end: number;
  /** Clusters that cost anything in it. */
  clusters: ReadonlySet<string>;
}

/**
 * What there is of a cluster in each set: a set between its first and its last one in which it cost nothing is a gap,
 * and so is each after its last one while other clusters have data. `notBefore` is from when on sets are kept at all.
 */
export function coverage(
  cluster: Pick<Cluster, "id" | "firstWindow">,
  sets: readonly CoveredSet[],
  notBefore = Number.NEGATIVE_INFINITY,
): Cell[] {
  const first = Math.max(
    notBefore,
    cluster.firstWindow ? Date.parse(cluster.firstWindow) : Number.POSITIVE_INFINITY,
  );
  const last = Math.max(
    Number.NEGATIVE_INFINITY,
    ...sets.filter(({ clusters }) => clusters.size > 0).map(({ end }) => end),
  );
  return sets.map(({ start, end, clusters }) => ({
    start,
    end,
    state: clusters.has(cluster.id) ? "there" : end <= first || start >= last ? "outside" : "gap",
  }));
}
