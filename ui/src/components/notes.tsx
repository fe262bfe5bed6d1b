/** What is shown in place of figures: why there are none, and what to do. */

import type { ReactNode } from "react";
import { ApiError } from "../api/client";
import { useClusters, useStatus } from "../api/queries";
import { changed, go, useSearch } from "../state/url";
import { ANEW } from "../state/view";
import { DAY, windowOf, windowTitle } from "../lib/time";
import { readWindow } from "../state/view";
import { useSettings } from "./settings";

export function Note({
  title,
  children,
  bad = false,
}: {
  title: string;
  children?: ReactNode;
  bad?: boolean;
}) {
  return (
    <div className={bad ? "note-box bad" : "note-box"} role={bad ? "alert" : "status"}>
      <h3>{title}</h3>
      {children}
    </div>
  );
}

function advice(error: unknown): string {
  const status = error instanceof ApiError ? error.status : -1;
  if (status === 0) return "Check that the gateway is running and that you can reach it, then try again.";
  if (status === 401) return "Sign in again.";
  if (status === 403) return "Ask whoever runs FedCost here for a role that allows it.";
  if (status === 400) return "Change what is asked for: the filter, the keys or the window.";
  if (status === 429) return "Others are asking at the same time. Try again in a moment.";
  if (status === 503) return "Costs are asked for again by themselves as soon as they can be.";
  if (status === 504) return "Ask for less time, a longer step, or fewer keys.";
  return "Try again; if it stays, the log of the gateway says what went wrong.";
}

/** What was asked of the gateway. */
interface Asked {
  error: Error | null;
  refetch: () => unknown;
}

/** The first failure of what was asked for; all of it is asked for again. */
export function Failure({ of }: { of: readonly Asked[] }) {
  const error: unknown = of.find((asked) => asked.error)?.error;
  const message = error instanceof Error ? error.message : String(error);
  return (
    <Note
      bad
      title={error instanceof ApiError && error.status === 400 ? "This cannot be asked" : "No answer"}
    >
      <p>{message}</p>
      <p>{advice(error)}</p>
      <button type="button" className="button" onClick={() => of.forEach((asked) => void asked.refetch())}>
        Try again
      </button>
    </Note>
  );
}

/** There is nothing in the window: where there would be something. */
export function Nothing({ filtered = false, what = "costs" }: { filtered?: boolean; what?: string }) {
  const search = useSearch();
  const { clock } = useSettings();
  const clusters = useClusters().data;
  const status = useStatus().data;
  const ends = (clusters ?? []).flatMap(({ lastWindow }) => (lastWindow ? [Date.parse(lastWindow)] : []));
  const starts = (clusters ?? []).flatMap(({ firstWindow }) =>
    firstWindow ? [Date.parse(firstWindow)] : [],
  );
  if (clusters && ends.length === 0) {
    const busy = status?.ingest && status.ingest.state !== "idle";
    return (
      <Note title="There is no data yet">
        <p>
          {busy
            ? "The bucket is being read; figures appear here when the first release is published."
            : "No cluster has written to the bucket. Let OpenCost or Kubecost agents export to it, or try the demo with make demo."}
        </p>
      </Note>
    );
  }
  const window = readWindow(search);
  const end = Math.max(...ends);
  const start = Math.max(Math.min(...starts), end - 7 * DAY);
  return (
    <Note title={`No ${what} in this window`}>
      {filtered && (
        <p>Nothing matches the filter in this window. Take conditions away, or choose another window.</p>
      )}
      {ends.length > 0 && (
        <>
          <p>
            Shown is {windowTitle(window, clock)}; the clusters have data from{" "}
            {clock.span({ start: Math.min(...starts), end })}.
          </p>
          <div className="toolbar">
            {filtered && (
              <button
                type="button"
                className="button"
                onClick={() => go(changed(search, { ...ANEW, filter: null, in: null }))}
              >
                Take all conditions away
              </button>
            )}
            <button
              type="button"
              className="button"
              onClick={() => go(changed(search, { ...ANEW, window: windowOf({ start, end }) }))}
            >
              Show {clock.span({ start, end })}
            </button>
          </div>
        </>
      )}
    </Note>
  );
}

/** Holds the place of what is being asked for. */
export function Skeleton({ height }: { height: number }) {
  return <div className="skeleton pulse" style={{ height }} aria-hidden="true" />;
}
