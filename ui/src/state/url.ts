/**
 * The page's state is its address: whoever opens the link sees the same. Everything that a view needs is a parameter
 * after `?`; what has its default is left out.
 */

import { useSyncExternalStore } from "react";

const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener("popstate", listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("popstate", listener);
  };
}

/** Goes to an address of the page: `query` with or without its `?`. */
export function go(query: string, how: "push" | "replace" = "push"): void {
  const text = query.replace(/^\?/, "");
  const url = text ? `?${text}` : window.location.pathname;
  if (how === "push") window.history.pushState(null, "", url);
  else window.history.replaceState(null, "", url);
  for (const listener of listeners) listener();
}

/** What is after `?`, as it changes. */
export function useSearch(): string {
  return useSyncExternalStore(subscribe, () => window.location.search);
}

export type Changes = Record<string, string | readonly string[] | null | undefined>;

/** The query after some parameters were set; null, undefined, "" and [] take a parameter away. */
export function changed(search: string, changes: Changes): string {
  const query = new URLSearchParams(search);
  for (const [name, value] of Object.entries(changes)) {
    query.delete(name);
    for (const one of Array.isArray(value)
      ? (value as readonly string[])
      : [value as string | null | undefined]) {
      if (one) query.append(name, one);
    }
  }
  return query.toString();
}
