/** The names of aggregated allocations, and how to ask about just one of them. */

import { type Condition, writeConditions } from "./filter";

export const IDLE = "__idle__";
export const UNALLOCATED = "__unallocated__";
export const UNMOUNTED = "__unmounted__";
export const UNDEFINED = "__undefined__";

/** What people read for the names that the API makes up. */
const READS: Record<string, string> = {
  [IDLE]: "Idle",
  [UNALLOCATED]: "Unallocated",
  [UNMOUNTED]: "Unmounted",
  [UNDEFINED]: "Not known",
  "": "Not set",
};

/** A part of a name as people read it. */
export function readable(part: string): string {
  return READS[part] ?? part;
}

export function isMadeUp(part: string): boolean {
  return part in READS;
}

/** True for idle cost, of all or of one cluster or node. */
export function isIdle(name: string): boolean {
  return name === IDLE || name.endsWith(`/${IDLE}`);
}

/**
 * A name in the parts of its keys. A value may hold slashes itself (annotations do), which can only be told apart
 * when there is one key; with several, the last one takes what is left.
 */
export function splitName(name: string, keys: number): string[] {
  if (keys <= 1 || isIdle(name)) return [name];
  const parts = name.split("/");
  if (parts.length <= keys) return parts;
  return [...parts.slice(0, keys - 1), parts.slice(keys - 1).join("/")];
}

/** What a key reads as above a column. */
export function keyTitle(key: string): string {
  const titles: Record<string, string> = {
    controllerKind: "Controller kind",
    daemonset: "DaemonSet",
    statefulset: "StatefulSet",
    providerID: "Provider ID",
    all: "Everything",
  };
  const named = /^(label|annotation):(.*)$/.exec(key);
  if (named) return `${named[1] === "label" ? "Label" : "Annotation"} ${named[2]}`;
  return titles[key] ?? key.charAt(0).toUpperCase() + key.slice(1);
}

const FIELDS: Record<string, string> = {
  cluster: "cluster",
  node: "node",
  namespace: "namespace",
  controllerKind: "controllerKind",
  pod: "pod",
  container: "container",
  providerID: "providerID",
  department: "department",
  environment: "environment",
  owner: "owner",
  product: "product",
  team: "team",
};

const KINDS = new Set(["deployment", "daemonset", "statefulset", "job"]);

/** The conditions that hold for what has this value of a key; null where no filter can say it. */
export function conditionsOf(key: string, value: string): Condition[] | null {
  const is = (field: string, text = value): Condition => ({ field, op: ":", values: [text] });
  if (value === IDLE || value === UNMOUNTED) return null;
  const field = FIELDS[key];
  if (field) return [is(field)];
  const named = /^(label|annotation):(.*)$/.exec(key);
  if (named) return [is(`${named[1]}[${named[2]}]`)];
  if (key === "controller") {
    const [kind, ...name] = value.split(":");
    // Without a colon it is the controller's name alone, or that there is none.
    if (name.length === 0) return [is("controllerName")];
    return [is("controllerKind", kind), is("controllerName", name.join(":"))];
  }
  if (KINDS.has(key)) return value === UNALLOCATED ? null : [is("controllerKind", key), is("controllerName")];
  // Of several services the first one counts, which no filter can ask about.
  return null;
}

/** The filter for just what has this name; null where no filter can say it. */
export function filterOfName(name: string, keys: readonly string[]): string | null {
  if (isIdle(name)) return null;
  const parts = splitName(name, keys.length);
  if (parts.length !== keys.length || keys.includes("all")) return null;
  const conditions = keys.map((key, index) => conditionsOf(key, parts[index] ?? ""));
  return conditions.some((list) => list === null)
    ? null
    : writeConditions(conditions.flatMap((list) => list ?? []));
}

/** What contains what. */
export const LEVELS = ["cluster", "namespace", "controller", "pod", "container"] as const;

/** The key to look into something by, after these keys; null when there is nothing inside. */
export function nextLevel(keys: readonly string[]): string | null {
  const deepest = Math.max(...keys.map((key) => LEVELS.indexOf(key as (typeof LEVELS)[number])));
  if (keys.some((key) => KINDS.has(key))) return "pod";
  if (deepest === LEVELS.length - 1) return null;
  if (deepest >= 0) return LEVELS[deepest + 1] ?? null;
  return keys.includes("node") ? "pod" : "namespace";
}
