/** Where the figures come from: each cluster's data, and how far ingest is. */

import { useMemo } from "react";
import { useAllocations, useClusters, useStatus, useSummaries } from "../api/queries";
import type { Cluster, Status, SummarySets } from "../api/types";
import { Failure, Nothing, Skeleton } from "../components/notes";
import { Link } from "../components/link";
import { Pairs } from "../components/panel";
import { useSettings } from "../components/settings";
import { WindowPicker } from "../components/window-picker";
import { ago, bytes, count, percent } from "../lib/format";
import { coverage, type Cell, type CoveredSet } from "../lib/coverage";
import { DAY, HOUR, windowOf, windowTitle } from "../lib/time";
import { useSearch } from "../state/url";
import { readWindow, viewQuery } from "../state/view";
import { Health, SetAside } from "./cluster-health";
import { freshness } from "./overview";
import { only } from "./allocation-figures";

/** Agents keep hourly sets for about this long. */
const HOURS = 48;

export function Clusters() {
  const search = useSearch();
  const { clock } = useSettings();
  const window = readWindow(search);
  const clusters = useClusters();
  const costs = useAllocations({ window, aggregate: "cluster", idle: false, shareTenancyCosts: false });
  const known = clusters.data;
  return (
    <>
      <div className="view-head">
        <h1>Clusters</h1>
        <WindowPicker />
      </div>
      <div className="view">
        <Pipeline />
        <section className="card" aria-labelledby="clusters">
          <div className="card-head">
            <h2 id="clusters">{known ? `${count(known.length)} clusters` : "Clusters"}</h2>
            <span className="hint">Costs of {windowTitle(window, clock)}</span>
          </div>
          {clusters.error && !known ? (
            <Failure of={[clusters]} />
          ) : !known ? (
            <div className="card-body">
              <Skeleton height={180} />
            </div>
          ) : known.length === 0 ? (
            <Nothing />
          ) : (
            <ClusterTable
              clusters={known}
              costs={new Map(only(costs.data).map(({ name, totalCost }) => [name, totalCost]))}
              search={search}
            />
          )}
        </section>
        {known && known.length > 0 && (
          <>
            <Health />
            <SetAside />
          </>
        )}
        {known && known.length > 0 && (
          <>
            <Coverage
              title="Days"
              note={windowTitle(window, clock)}
              clusters={known}
              window={window}
              step="1d"
            />
            <HourCoverage clusters={known} />
          </>
        )}
      </div>
    </>
  );
}

interface TableProps {
  clusters: readonly Cluster[];
  costs: ReadonlyMap<string, number>;
  search: string;
}

function ClusterTable({ clusters, costs, search }: TableProps) {
  const { money, clock } = useSettings();
  return (
    <div className="table-wrap" tabIndex={0} role="region" aria-label="Clusters">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Cluster</th>
            <th scope="col">Last upload</th>
            <th scope="col">Provider</th>
            <th scope="col">Region</th>
            <th scope="col">Account or project</th>
            <th scope="col">Data</th>
            <th scope="col" className="num">
              Rows
            </th>
            <th scope="col" className="num">
              Set aside
            </th>
            <th scope="col" className="num">
              Cost without idle
            </th>
          </tr>
        </thead>
        <tbody>
          {clusters.map((cluster) => (
            <tr key={cluster.id}>
              <th scope="row" className="name">
                <Link
                  to={viewQuery(search, "allocations", { in: [`cluster=${cluster.id}`], by: "namespace" })}
                >
                  {cluster.name || cluster.id}
                </Link>
              </th>
              <td>
                <span className={`badge ${freshness(cluster)}`} title={clock.full(cluster.lastUpload)}>
                  <span className={`dot ${freshness(cluster)}`} />
                  {ago(cluster.lastUpload)}
                </span>
              </td>
              <td>{cluster.provider || "–"}</td>
              <td>{cluster.region || "–"}</td>
              <td>{cluster.account || cluster.project || "–"}</td>
              <td>
                {cluster.firstWindow && cluster.lastWindow
                  ? clock.span({
                      start: Date.parse(cluster.firstWindow),
                      end: Date.parse(cluster.lastWindow),
                    })
                  : "–"}
              </td>
              <td className="num">{count(cluster.rows)}</td>
              <td className="num">
                {cluster.filesSetAside ? (
                  <span className="badge bad">{count(cluster.filesSetAside)}</span>
                ) : (
                  "0"
                )}
              </td>
              <td className="num">{money.full(costs.get(cluster.id))}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Release and ingest, live. */
function Pipeline() {
  const { clock } = useSettings();
  const status = useStatus();
  const { data } = status;
  return (
    <section className="card" aria-labelledby="pipeline">
      <div className="card-head">
        <h2 id="pipeline">Release and ingest</h2>
        {data && <Mood status={data} />}
      </div>
      <div className="card-body">
        {status.error && !data ? (
          <Failure of={[status]} />
        ) : !data ? (
          <Skeleton height={70} />
        ) : (
          <>
            <Progress status={data} />
            <div className="halves">
              <Pairs
                pairs={[
                  ["Release", data.release ? `No. ${count(data.release.number)}` : "None yet"],
                  [
                    "Published",
                    data.release
                      ? `${clock.full(data.release.published)} (${ago(data.release.published)})`
                      : "",
                  ],
                  ["Answers from it", data.release ? `since ${clock.full(data.release.loaded)}` : ""],
                  ["Not ready because", data.reasons.join("; ")],
                ]}
              />
              <Pairs
                pairs={[
                  [
                    "Ingest",
                    data.ingest
                      ? `${data.ingest.state}, cycle ${count(data.ingest.cycle)}`
                      : (data.ingestError ?? "unknown"),
                  ],
                  [
                    "Last cycle",
                    data.ingest?.cycleEnded
                      ? `${clock.full(data.ingest.cycleEnded)} (${ago(data.ingest.cycleEnded)})`
                      : "",
                  ],
                  ["Next cycle", data.ingest?.nextCycle ? ago(data.ingest.nextCycle) : ""],
                  [
                    "Files read",
                    data.ingest?.progress
                      ? `${count(data.ingest.progress.filesRead)} of ${count(data.ingest.progress.filesFound)} found, ${bytes(data.ingest.progress.bytesRead)}`
                      : "",
                  ],
                  [
                    "Could not be read",
                    data.ingest?.progress?.filesFailed ? count(data.ingest.progress.filesFailed) : "",
                  ],
                  ["Last error", data.ingest?.lastError ?? ""],
                ]}
              />
            </div>
          </>
        )}
      </div>
    </section>
  );
}

function Mood({ status }: { status: Status }) {
  const busy = status.ingest !== null && status.ingest.state !== "idle";
  const [mood, text] = !status.ready
    ? (["warn", "Not ready"] as const)
    : status.ingestError || status.ingest?.lastError
      ? (["bad", "Ingest has trouble"] as const)
      : busy
        ? (["warn", "Ingest works"] as const)
        : (["good", "Up to date"] as const);
  return (
    <span className={`badge ${mood}`} role="status">
      <span className={`dot ${mood}`} />
      {text}
    </span>
  );
}

function Progress({ status }: { status: Status }) {
  const progress = status.ingest?.progress;
  if (!progress || status.ingest?.state === "idle" || progress.bytesToRead === 0) return null;
  return (
    <label className="progress">
      <progress max={progress.bytesToRead} value={progress.bytesRead} />
      <span>
        {count(progress.filesRead)} of {count(progress.filesToRead)} files, {bytes(progress.bytesRead)} of{" "}
        {bytes(progress.bytesToRead)}, {count(progress.rows)} rows
      </span>
    </label>
  );
}

function HourCoverage({ clusters }: { clusters: readonly Cluster[] }) {
  const last = Math.max(...clusters.map(({ lastWindow }) => (lastWindow ? Date.parse(lastWindow) : 0)));
  // The last window of daily sets ends in the future.
  const end = Math.min(last, Math.ceil(Date.now() / HOUR) * HOUR);
  const window = windowOf({ start: end - HOURS * HOUR, end });
  return (
    <Coverage
      title="Hours"
      note={`The last ${HOURS} of the data; agents keep hourly sets for about two days`}
      clusters={clusters}
      window={window}
      step="1h"
    />
  );
}

function coveredSets(sets: SummarySets | undefined): CoveredSet[] {
  return (sets?.sets ?? []).flatMap(({ window, allocations }) =>
    window.start && window.end
      ? [
          {
            start: Date.parse(window.start),
            end: Date.parse(window.end),
            clusters: new Set(Object.values(allocations).map(({ name }) => name)),
          },
        ]
      : [],
  );
}

interface CoverageProps {
  title: string;
  note: string;
  clusters: readonly Cluster[];
  window: string;
  step: "1d" | "1h";
}

/** The days or hours that each cluster sent anything of. */
function Coverage({ title, note, clusters, window, step }: CoverageProps) {
  const { clock } = useSettings();
  const asked = useSummaries({ window, step, aggregate: "cluster", idle: false, shareTenancyCosts: false });
  const sets = useMemo(() => coveredSets(asked.data), [asked.data]);
  // Hourly sets are kept for a while only; before the first of any cluster nothing is missing.
  const firstHour = sets.find(({ clusters: there }) => there.size > 0)?.start;
  const first = sets[0];
  const last = sets.at(-1);
  return (
    <section className="card" aria-label={`${title} with data`}>
      <div className="card-head">
        <h2>{title} with data</h2>
        <span className="hint">{note}</span>
      </div>
      <div className="card-body">
        {asked.error ? (
          <Failure of={[asked]} />
        ) : !asked.data ? (
          <Skeleton height={30 * clusters.length} />
        ) : (
          <div className={asked.isPlaceholderData ? "coverage stale" : "coverage"}>
            {clusters.map((cluster) => (
              <Strip
                key={cluster.id}
                cluster={cluster}
                cells={coverage(cluster, sets, step === "1h" ? firstHour : undefined)}
                isDays={step === "1d"}
              />
            ))}
            {first && last && (
              <>
                <span />
                <span className="scale">
                  <span>
                    {step === "1d"
                      ? clock.day(first.start)
                      : `${clock.day(first.start)}, ${clock.time(first.start)}`}
                  </span>
                  <span>
                    {step === "1d"
                      ? clock.day(last.end - DAY)
                      : `${clock.day(last.end)}, ${clock.time(last.end)}`}
                  </span>
                </span>
                <span />
              </>
            )}
          </div>
        )}
      </div>
    </section>
  );
}

function Strip({ cluster, cells, isDays }: { cluster: Cluster; cells: readonly Cell[]; isDays: boolean }) {
  const { clock } = useSettings();
  const there = cells.filter(({ state }) => state === "there").length;
  const gaps = cells.filter(({ state }) => state === "gap");
  const asked = there + gaps.length;
  const write = (cell: Cell) => (isDays ? clock.weekday(cell.start) : clock.full(cell.start));
  const words = { there: "data", gap: "no data", outside: "not asked of this cluster" };
  const missing = gaps.length
    ? `Missing: ${gaps.slice(0, 12).map(write).join("; ")}${gaps.length > 12 ? " and more" : ""}`
    : "Nothing is missing";
  return (
    <>
      <span className="cluster-name" title={cluster.id}>
        {cluster.name || cluster.id}
      </span>
      <span
        className="cells"
        role="img"
        aria-label={`${there} of ${asked}. ${missing}`}
        data-coverage={cluster.id}
      >
        {cells.map((cell) => (
          <i
            key={cell.start}
            className={cell.state === "there" ? undefined : cell.state}
            title={`${write(cell)}: ${words[cell.state]}`}
          />
        ))}
      </span>
      <span className="muted num" title={missing}>
        {asked ? (gaps.length ? percent(there / asked) : "complete") : "–"}
      </span>
    </>
  );
}
