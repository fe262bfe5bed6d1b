/** What each view reads from the page's address. */

import { changed, type Changes } from "./url";
import { conditionsOf, nextLevel, splitName, isIdle, UNMOUNTED } from "../lib/names";
import { both, writeConditions } from "../lib/filter";
import type { Parameters } from "../api/client";
import { autoStep, wholeStep } from "../lib/time";

export const VIEWS = ["overview", "allocations", "assets", "clusters"] as const;
export type View = (typeof VIEWS)[number];

export const DEFAULT_WINDOW = "7d";
export const PAGE_SIZES = [25, 50, 100, 250] as const;

export type IdleMode = "separate" | "split" | "share" | "hide";
export type Metric = "cumulative" | "hourly" | "daily" | "monthly";
export type AllocationChart = "bars" | "lines" | "treemap" | "efficiency";

/** A thing that was looked into: everything asked about is inside it. */
export interface Step {
  key: string;
  value: string;
}

export interface AllocationState {
  window: string;
  /** Keys to add up by. */
  by: string[];
  /** What was looked into, outermost first. */
  within: Step[];
  filter: string;
  step: string;
  idle: IdleMode;
  idleByNode: boolean;
  shareNamespaces: string;
  shareLabels: string;
  shareCost: string;
  shareSplit: "weighted" | "even";
  shareTenancyCosts: boolean;
  metric: Metric;
  chart: AllocationChart;
  sort: string;
  order: "asc" | "desc";
  page: number;
  size: number;
  /** The name of the item whose details are shown. */
  item: string | null;
}

export interface AssetState {
  window: string;
  by: string[];
  filter: string;
  step: string;
  chart: "bars" | "lines" | "treemap";
  sort: string;
  order: "asc" | "desc";
  page: number;
  size: number;
  item: string | null;
}

function oneOf<T extends string>(value: string | null, allowed: readonly T[], otherwise: T): T {
  return allowed.find((candidate) => candidate === value) ?? otherwise;
}

function list(value: string | null): string[] {
  return (value ?? "")
    .split(",")
    .map((one) => one.trim())
    .filter(Boolean);
}

function whole(value: string | null, otherwise: number): number {
  return value !== null && /^\d{1,9}$/.test(value) ? Number(value) : otherwise;
}

export function readView(search: string): View {
  return oneOf(new URLSearchParams(search).get("view"), VIEWS, "overview");
}

export function readWindow(search: string): string {
  return new URLSearchParams(search).get("window") || DEFAULT_WINDOW;
}

function readSize(query: URLSearchParams): number {
  const size = whole(query.get("size"), PAGE_SIZES[0]);
  return PAGE_SIZES.find((allowed) => allowed === size) ?? PAGE_SIZES[0];
}

export function readAllocations(search: string): AllocationState {
  const query = new URLSearchParams(search);
  const by = list(query.get("by"));
  return {
    window: readWindow(search),
    by: by.length ? by : ["namespace"],
    within: query.getAll("in").flatMap((text) => {
      const at = text.indexOf("=");
      return at > 0 ? [{ key: text.slice(0, at), value: text.slice(at + 1) }] : [];
    }),
    filter: query.get("filter") ?? "",
    step: query.get("step") ?? "",
    idle: oneOf<IdleMode>(query.get("idle"), ["separate", "split", "share", "hide"], "separate"),
    idleByNode: query.get("idleBy") === "node",
    shareNamespaces: query.get("shareNamespaces") ?? "",
    shareLabels: query.get("shareLabels") ?? "",
    shareCost: query.get("shareCost") ?? "",
    shareSplit: oneOf(query.get("shareSplit"), ["weighted", "even"], "weighted"),
    shareTenancyCosts: query.get("shareFees") === "true",
    metric: oneOf<Metric>(query.get("metric"), ["cumulative", "hourly", "daily", "monthly"], "cumulative"),
    chart: oneOf<AllocationChart>(query.get("chart"), ["bars", "lines", "treemap", "efficiency"], "bars"),
    ...readTable(query),
  };
}

/** What both tables have: their order, page, and which item is opened. */
function readTable(query: URLSearchParams) {
  return {
    sort: query.get("sort") ?? "totalCost",
    order: oneOf<"asc" | "desc">(query.get("order"), ["asc", "desc"], "desc"),
    page: whole(query.get("page"), 1) || 1,
    size: readSize(query),
    item: query.get("item"),
  };
}

export function readAssets(search: string): AssetState {
  const query = new URLSearchParams(search);
  return {
    window: readWindow(search),
    // `none` lists every asset by itself.
    by: query.get("by") === "none" ? [] : query.get("by") ? list(query.get("by")) : ["type"],
    filter: query.get("filter") ?? "",
    step: query.get("step") ?? "",
    chart: oneOf(query.get("chart"), ["bars", "lines", "treemap"], "bars"),
    ...readTable(query),
  };
}

/** The parameters that say which allocations are asked about and how their costs are shared, but not over which sets. */
export function allocationParameters(state: AllocationState): Parameters {
  const within = state.within.flatMap(({ key, value }) => conditionsOf(key, value) ?? []);
  return {
    window: state.window,
    step: wholeStep(state.window),
    aggregate: state.by.join(","),
    filter: both(writeConditions(within), state.filter),
    idle: state.idle !== "hide",
    splitIdle: state.idle === "split" || undefined,
    shareIdle: state.idle === "share" || undefined,
    idleByNode: (state.idleByNode && state.idle !== "hide") || undefined,
    shareNamespaces: state.shareNamespaces,
    shareLabels: state.shareLabels,
    shareCost: state.shareCost,
    shareSplit: state.shareSplit === "even" ? "even" : undefined,
    shareTenancyCosts: state.shareTenancyCosts,
    includeSharedCostBreakdown: false,
    costMetric: state.metric === "cumulative" ? undefined : state.metric,
  };
}

export function assetParameters(state: AssetState): Parameters {
  return {
    window: state.window,
    step: wholeStep(state.window),
    aggregate: state.by.join(","),
    filter: state.filter,
  };
}

export function stepOf(state: { window: string; step: string }): string {
  return state.step || autoStep(state.window);
}

/** How many costs of others are shared out; then what a filter leaves is not just a part of the whole. */
export function sharesAnything(state: AllocationState): boolean {
  return Boolean(
    state.idle === "share" ||
    state.shareNamespaces ||
    state.shareLabels ||
    state.shareCost ||
    state.shareTenancyCosts,
  );
}

/** The changes that begin a list anew; a page and an item of another list mean nothing. */
export const ANEW: Changes = { page: null, item: null };

/** The query that looks into an item; null when there is nothing inside, or no filter can say what is. */
export function into(search: string, state: AllocationState, name: string): string | null {
  if (isIdle(name) || state.by.includes("all")) return null;
  const next = nextLevel(state.by);
  const parts = splitName(name, state.by.length);
  if (!next || parts.length !== state.by.length) return null;
  const steps = state.by.map((key, index) => ({ key, value: parts[index] ?? "" }));
  if (steps.some(({ key, value }) => value === UNMOUNTED || conditionsOf(key, value) === null)) return null;
  return changed(search, { ...ANEW, by: next, in: [...state.within, ...steps].map(written) });
}

/** The query that goes back to where the `index`-th step was one of the items. */
export function backTo(search: string, state: AllocationState, index: number): string {
  const by = state.within[index]?.key;
  return changed(search, { ...ANEW, by, in: state.within.slice(0, index).map(written) });
}

function written({ key, value }: Step): string {
  return `${key}=${value}`;
}

/** The query of a view, which keeps the window alone. */
export function viewQuery(search: string, view: View, changes: Changes = {}): string {
  const window = new URLSearchParams(search).get("window");
  return changed("", { view: view === "overview" ? null : view, window, ...changes });
}
