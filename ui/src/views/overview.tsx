/** What everything costs, at a glance. */

import { useMemo } from "react";
import { useAllocations, useAllocationTopline, useClusters, useSummaries } from "../api/queries";
import type { Allocation, Cluster } from "../api/types";
import { Failure, Nothing, Skeleton } from "../components/notes";
import { Icon } from "../components/icons";
import { Link } from "../components/link";
import { TimeChart } from "../components/chart";
import { useSettings } from "../components/settings";
import { WindowPicker } from "../components/window-picker";
import { ago, change, percent } from "../lib/format";
import { IDLE, isIdle, readable } from "../lib/names";
import { inOrder } from "../lib/order";
import { MOST_SERIES, timeline } from "../lib/series";
import { autoStep, before, HOUR, spanOf, wholeStep, windowOf, windowTitle } from "../lib/time";
import { useSearch } from "../state/url";
import { readWindow, viewQuery } from "../state/view";
import { only } from "./allocation-figures";

/** What a cluster costs, and how much of it nobody used. */
interface ClusterCost {
  name: string;
  used: number;
  idle: number;
  total: number;
  efficiency: number;
}

function clusterCosts(items: readonly Allocation[]): ClusterCost[] {
  const byName = new Map<string, ClusterCost>();
  for (const item of items) {
    const name = isIdle(item.name) ? item.name.slice(0, -IDLE.length - 1) : item.name;
    const cost = byName.get(name) ?? { name, used: 0, idle: 0, total: 0, efficiency: 0 };
    if (isIdle(item.name)) cost.idle += item.totalCost;
    else {
      cost.used += item.totalCost;
      cost.efficiency = item.totalEfficiency;
    }
    cost.total = cost.used + cost.idle;
    byName.set(name, cost);
  }
  return inOrder([...byName.values()], "total", "desc");
}

const sum = (list: readonly number[]) => list.reduce((one, next) => one + next, 0);

export function Overview() {
  const search = useSearch();
  const { clock } = useSettings();
  const window = readWindow(search);
  const asked = {
    aggregate: "cluster",
    step: wholeStep(window),
    idle: true,
    splitIdle: true,
    shareTenancyCosts: false,
    includeSharedCostBreakdown: false,
  };
  const now = useAllocations({ ...asked, window });
  const items = only(now.data);
  const sets = useSummaries({ ...asked, window, step: autoStep(window) }, items.length > 0);
  // An item knows only when it cost something, and a preset not when it begins.
  const whole = sets.isPlaceholderData ? undefined : sets.data?.window;
  const asSpan =
    spanOf(window) ??
    (whole?.start && whole.end ? { start: Date.parse(whole.start), end: Date.parse(whole.end) } : null);
  const past = asSpan && items.length > 0 ? before(asSpan) : undefined;
  const then = useAllocations({ ...asked, window: past ? windowOf(past) : undefined }, past !== undefined);
  const topline = useAllocationTopline({ ...asked, window });
  const clusters = useClusters();

  return (
    <>
      <div className="view-head">
        <h1>Overview</h1>
        <WindowPicker />
      </div>
      <div className="view">
        {now.error ? (
          <section className="card">
            <Failure of={[now]} />
          </section>
        ) : now.data && items.length === 0 ? (
          <section className="card">
            <Nothing />
          </section>
        ) : (
          <Figures
            items={now.data ? items : undefined}
            past={then.data && !then.isPlaceholderData ? only(then.data) : undefined}
            pastTitle={past ? clock.span(past) : ""}
            sets={sets}
            efficiency={topline.data?.combined.allocations.total.totalEfficiency}
            title={windowTitle(window, clock)}
            stale={now.isPlaceholderData}
            search={search}
          />
        )}
        <Freshness asked={clusters} />
      </div>
    </>
  );
}

interface FiguresProps {
  items: Allocation[] | undefined;
  past: Allocation[] | undefined;
  pastTitle: string;
  sets: ReturnType<typeof useSummaries>;
  efficiency: number | undefined;
  title: string;
  stale: boolean;
  search: string;
}

function Figures({ items, past, pastTitle, sets, efficiency, title, stale, search }: FiguresProps) {
  const { money } = useSettings();
  const costs = useMemo(() => (items ? clusterCosts(items) : []), [items]);
  const total = sum(costs.map((cost) => cost.total));
  const idle = sum(costs.map((cost) => cost.idle));
  const pastCosts = past ? clusterCosts(past) : undefined;
  const pastTotal = pastCosts && sum(pastCosts.map((cost) => cost.total));
  const series = useMemo(() => {
    const byCluster = (sets.data?.sets ?? []).map(({ window, allocations }) => {
      const cost: Record<string, number> = {};
      for (const one of Object.values(allocations)) cost[one.name] = one.totalCost;
      return { window, costs: cost };
    });
    return timeline(
      byCluster,
      costs.map(({ name }) => name),
    );
  }, [sets.data, costs]);

  if (!items) {
    return (
      <>
        <div className="tiles">
          {["Total cost", "Against the window before", "Idle", "Efficiency"].map((name) => (
            <section className="card tile" key={name}>
              <h2>{name}</h2>
              <Skeleton height={40} />
            </section>
          ))}
        </div>
        <div className="columns">
          <section className="card card-body">
            <div className="card-head" />
            <Skeleton height={280} />
          </section>
          <section className="card card-body">
            <div className="card-head" />
            <Skeleton height={280} />
          </section>
        </div>
      </>
    );
  }
  return (
    <div className={stale ? "view stale" : "view"} aria-busy={stale}>
      <div className="tiles">
        <section className="card tile" aria-labelledby="tile-total">
          <h2 id="tile-total">Total cost</h2>
          <p className="value" data-figure="total">
            {money.full(total)}
          </p>
          <p className="note">{title}</p>
        </section>
        <section className="card tile" aria-labelledby="tile-trend">
          <h2 id="tile-trend">Against the window before</h2>
          <p className="value" data-figure="trend">
            {pastTotal ? <Trend relative={total / pastTotal - 1} /> : <span className="muted">–</span>}
          </p>
          <p className="note">
            {pastTotal === undefined
              ? " "
              : pastTotal
                ? `${money.full(pastTotal)} in ${pastTitle}`
                : `No data in ${pastTitle}`}
          </p>
        </section>
        <section className="card tile" aria-labelledby="tile-idle">
          <h2 id="tile-idle">Idle</h2>
          <p className="value" data-figure="idle">
            {money.full(idle)}
          </p>
          <p className="note">{percent(idle / total)} of the cost is of machines that nothing asked for</p>
        </section>
        <section className="card tile" aria-labelledby="tile-efficiency">
          <h2 id="tile-efficiency">Efficiency</h2>
          <p className="value" data-figure="efficiency">
            {percent(efficiency)}
          </p>
          <p className="note">of requested CPU and memory is used</p>
        </section>
      </div>
      <div className="columns">
        <section className="card" aria-labelledby="by-time">
          <div className="card-head">
            <h2 id="by-time">Cost over time</h2>
            <Link className="button quiet small" to={viewQuery(search, "allocations", { by: "cluster" })}>
              Allocations <Icon name="right" size={12} />
            </Link>
          </div>
          <div className="card-body">
            {sets.error ? (
              <Failure of={[sets]} />
            ) : sets.data ? (
              <TimeChart data={series} kind="bars" height={288} label="Cost by cluster over time" />
            ) : (
              <Skeleton height={320} />
            )}
          </div>
        </section>
        <section className="card" aria-labelledby="by-cluster">
          <div className="card-head">
            <h2 id="by-cluster">By cluster</h2>
            <Link className="button quiet small" to={viewQuery(search, "clusters")}>
              Clusters <Icon name="right" size={12} />
            </Link>
          </div>
          <div className="card-body">
            <ul className="bars">
              {costs.map((cost, place) => {
                const earlier = pastCosts?.find(({ name }) => name === cost.name)?.total;
                const most = costs[0]?.total || 1;
                return (
                  <li key={cost.name} data-cluster={cost.name}>
                    <div className="bar-head">
                      <Link
                        to={viewQuery(search, "allocations", {
                          in: [`cluster=${cost.name}`],
                          by: "namespace",
                        })}
                      >
                        {readable(cost.name)}
                      </Link>
                      {earlier ? <Trend relative={cost.total / earlier - 1} small /> : null}
                      <span className="cost">{money.full(cost.total)}</span>
                    </div>
                    <div className="track" aria-hidden="true">
                      <i
                        className={place < MOST_SERIES ? `c${place}` : "c-other"}
                        style={{ width: `${(cost.used / most) * 100}%` }}
                      />
                      <i className="c-idle" style={{ width: `${(cost.idle / most) * 100}%` }} />
                    </div>
                    <div className="bar-foot">
                      <span>{percent(cost.total / total)} of all</span>
                      <span>{money.full(cost.idle)} idle</span>
                      <span>{percent(cost.efficiency)} efficient</span>
                    </div>
                  </li>
                );
              })}
            </ul>
          </div>
        </section>
      </div>
    </div>
  );
}

/** A change in cost; more is not good. */
export function Trend({ relative, small = false }: { relative: number; small?: boolean }) {
  const kind = relative > 0.0005 ? "up" : relative < -0.0005 ? "down" : "";
  return (
    <span className={`trend ${kind}`}>
      {kind && <Icon name={kind} size={small ? 11 : 18} />}
      <span className="hidden-visually">
        {kind === "up" ? "more by " : kind === "down" ? "less by " : ""}
      </span>
      {change(relative)}
    </span>
  );
}

/** How old what a cluster wrote may be before somebody should look. */
const FRESH = 3 * HOUR;
const STALE = 36 * HOUR;

export function freshness(cluster: Cluster): "good" | "warn" | "bad" {
  const age = cluster.lastUpload ? Date.now() - Date.parse(cluster.lastUpload) : Number.POSITIVE_INFINITY;
  return age < FRESH ? "good" : age < STALE ? "warn" : "bad";
}

function Freshness({ asked }: { asked: ReturnType<typeof useClusters> }) {
  const { clock } = useSettings();
  const clusters = asked.data;
  return (
    <section className="card" aria-labelledby="freshness">
      <div className="card-head">
        <h2 id="freshness">Data of each cluster</h2>
      </div>
      {asked.error && !clusters ? (
        <Failure of={[asked]} />
      ) : !clusters ? (
        <div className="card-body">
          <Skeleton height={120} />
        </div>
      ) : (
        <div className="table-wrap" tabIndex={0} role="region" aria-label="Data of each cluster">
          <table className="table">
            <thead>
              <tr>
                <th scope="col">Cluster</th>
                <th scope="col">Last upload</th>
                <th scope="col">Data until</th>
                <th scope="col">Data from</th>
                <th scope="col">Files that cannot be read</th>
              </tr>
            </thead>
            <tbody>
              {clusters.map((cluster) => (
                <tr key={cluster.id}>
                  <th scope="row">{cluster.name || cluster.id}</th>
                  <td>
                    <span className={`badge ${freshness(cluster)}`} title={clock.full(cluster.lastUpload)}>
                      <span className={`dot ${freshness(cluster)}`} />
                      {ago(cluster.lastUpload)}
                    </span>
                  </td>
                  <td>{clock.full(cluster.lastWindow)}</td>
                  <td>{clock.full(cluster.firstWindow)}</td>
                  <td>
                    {cluster.filesSetAside ? (
                      <span className="badge bad">{cluster.filesSetAside}</span>
                    ) : (
                      "None"
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
