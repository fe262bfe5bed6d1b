/** The page's questions, each asked once at a time and remembered for a while. */

import { type QueryClient, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { ApiError, ask, type Parameters, request } from "./client";
import type {
  Allocation,
  AllocationTopline,
  Asset,
  AssetTopline,
  Cluster,
  IngestionRecord,
  MultiCluster,
  SavedView,
  SavedViews,
  Status,
  SummarySets,
  Who,
} from "./types";

/** Answers change when a release is published, which the page learns within this time. */
const FRESH_MS = 60_000;

/** Whether the answer to one question may stand in for that to another until it is there. */
function isAlike(one: Parameters | undefined, other: Parameters): boolean {
  return one !== undefined && ["aggregate", "filter", "field"].every((name) => one[name] === other[name]);
}

function useAnswer<T>(path: string, parameters: Parameters, enabled = true) {
  return useQuery({
    queryKey: [path, parameters],
    queryFn: ({ signal }) => ask<T>(path, parameters, signal),
    // Names mean something by the keys and within the filter that they were asked with, and nothing otherwise.
    placeholderData: (before, query) =>
      isAlike(query?.queryKey[1] as Parameters | undefined, parameters) ? before : undefined,
    staleTime: FRESH_MS,
    enabled,
  });
}

/** One set of allocations over the whole window, in order. */
export function useAllocations(parameters: Parameters, enabled = true) {
  return useAnswer<Record<string, Allocation>[]>(
    "model/allocation",
    { ...parameters, accumulate: true },
    enabled,
  );
}

/** What everything together cost, and how many items there are. */
export function useAllocationTopline(parameters: Parameters) {
  return useAnswer<AllocationTopline>("model/allocation/summary/topline", parameters);
}

export function useSummaries(parameters: Parameters, enabled = true) {
  return useAnswer<SummarySets>("model/allocation/summary", parameters, enabled);
}

export function useAssets(parameters: Parameters, enabled = true) {
  return useAnswer<Record<string, Asset>[]>("model/assets", parameters, enabled);
}

export function useAssetTopline(parameters: Parameters, enabled = true) {
  return useAnswer<AssetTopline>("model/assets/topline", parameters, enabled);
}

export type ValuesOf = "allocation" | "assets";

/** Values of a field that contain a text. */
export function useValues(of: ValuesOf, window: string, field: string, search: string, enabled: boolean) {
  const query = useAnswer<{ data: string[] }>(
    `model/${of}/autocomplete`,
    { window, field, search, limit: 50 },
    enabled && field !== "",
  );
  return { values: query.data?.data ?? [], busy: query.isFetching, error: query.error };
}

export function useClusters() {
  return useQuery({
    queryKey: ["clusters"],
    queryFn: ({ signal }) => ask<Cluster[]>("model/clusters/status", {}, signal),
    staleTime: FRESH_MS,
    refetchInterval: FRESH_MS,
  });
}

/** How each cluster's pipelines are. A gateway that does not know answers 404. */
export function useHealth() {
  return useQuery({
    queryKey: ["health"],
    queryFn: ({ signal }) => ask<MultiCluster>("model/diagnostics/multicluster", {}, signal),
    staleTime: FRESH_MS,
    refetchInterval: ({ state }) => (state.error ? false : FRESH_MS),
  });
}

/** Files that cannot be read; so many that people can go through them. */
export function useSetAside(enabled: boolean) {
  return useAnswer<IngestionRecord[]>(
    "model/debug/ingestionRecords",
    { state: "setAside", limit: 100 },
    enabled,
  );
}

/** Undefined until it is known; null when it cannot be found out. */
export function useCurrency(): string | null | undefined {
  const query = useQuery({
    queryKey: ["configs"],
    queryFn: ({ signal }) => ask<{ currencyCode: string }>("model/productConfigs", {}, signal),
    staleTime: Number.POSITIVE_INFINITY,
  });
  return query.error ? null : query.data?.currencyCode;
}

/** Release and ingest, watched more closely while ingest works. */
export function useStatus() {
  return useQuery({
    queryKey: ["status"],
    queryFn: ({ signal }) => request<Status>("status", { signal }),
    refetchInterval: ({ state }) =>
      state.data?.ingest?.state === "idle" && state.data.ready ? 15_000 : 2_000,
  });
}

export function useSavedViews() {
  const queries = useQueryClient();
  const list = useQuery({
    queryKey: ["views"],
    queryFn: ({ signal }) => request<SavedViews>("views", { signal }),
    staleTime: FRESH_MS,
  });
  const reload = () => queries.invalidateQueries({ queryKey: ["views"] });
  const save = useMutation({
    mutationFn: ({ name, query }: SavedView) =>
      request<SavedView>(`views/${encodeURIComponent(name)}`, {
        method: "PUT",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ query }),
      }),
    onSettled: reload,
  });
  const remove = useMutation({
    mutationFn: (name: string) =>
      request<undefined>(`views/${encodeURIComponent(name)}`, { method: "DELETE" }),
    onSettled: reload,
  });
  return { list, save, remove };
}

const WHO = ["who"];

/** Who is signed in. */
export function useWho() {
  return useQuery({
    queryKey: WHO,
    queryFn: ({ signal }) => request<Who>("auth/me", { signal }),
    staleTime: FRESH_MS,
  });
}

/** Forgets the session, and goes on to where the issuer forgets it too. */
export function useSignOut() {
  return useMutation({
    mutationFn: () => request<{ to: string }>("auth/logout", { method: "POST" }),
    onSuccess: ({ to }) => window.location.assign(to),
  });
}

/** What is to be done when a question fails: who is not known any more is to sign in. */
export function failed(queries: QueryClient, error: Error) {
  if (error instanceof ApiError && error.status === 401) void queries.invalidateQueries({ queryKey: WHO });
}

/** Only what may go away by itself is tried again. */
export function retry(failures: number, error: Error): boolean {
  const status = error instanceof ApiError ? error.status : 0;
  return failures < 2 && (status === 0 || status === 429 || status >= 503);
}
