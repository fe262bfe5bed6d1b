/** What workloads cost, by whatever they are told apart by. */

import { useMemo } from "react";
import { useAllocations, useAllocationTopline } from "../api/queries";
import type { Allocation, Summary } from "../api/types";
import { TimeChart } from "../components/chart";
import { FilterBar } from "../components/filter-bar";
import { costColumns, detailColumn, ItemsCard, sorting } from "../components/items-card";
import { Link } from "../components/link";
import { Failure, Nothing, Skeleton } from "../components/notes";
import { Segments } from "../components/segments";
import { useSettings } from "../components/settings";
import { Table, type Column } from "../components/table";
import { Treemap } from "../components/treemap";
import { WindowPicker } from "../components/window-picker";
import { percent } from "../lib/format";
import { isIdle, isMadeUp, keyTitle, readable, splitName } from "../lib/names";
import { inOrder } from "../lib/order";
import { changed, go, useSearch, type Changes } from "../state/url";
import {
  allocationParameters,
  ANEW,
  backTo,
  into,
  readAllocations,
  type AllocationChart,
  type AllocationState,
} from "../state/view";
import { AllocationDetail } from "./allocation-detail";
import { costsOf, only, pagedItems } from "./allocation-figures";
import { AllocationOptions, KeyPicker, StepPicker } from "./allocation-options";
import { Efficiency } from "./efficiency";
import { useAllocationSeries } from "./use-allocation-series";

const CHARTS: readonly { value: AllocationChart; title: string }[] = [
  { value: "bars", title: "Bars" },
  { value: "lines", title: "Lines" },
  { value: "treemap", title: "Treemap" },
  { value: "efficiency", title: "Efficiency" },
];

/** How many of the costliest items pictures are made of. */
const PICTURED = 50;

export function Allocations() {
  const search = useSearch();
  const state = useMemo(() => readAllocations(search), [search]);
  const set = (changes: Changes) => go(changed(search, changes));
  const parameters = allocationParameters(state);

  const topline = useAllocationTopline(parameters);
  const costliest = useAllocations({ ...parameters, limit: PICTURED });
  const isFirstPage =
    state.sort === "totalCost" && state.order === "desc" && state.page === 1 && state.size <= PICTURED;
  const paged = useAllocations(
    {
      ...parameters,
      limit: state.size,
      offset: (state.page - 1) * state.size,
      sortBy: state.sort,
      sortByOrder: state.order,
    },
    !isFirstPage,
  );
  const top = useMemo(() => inOrder(only(costliest.data), "totalCost", "desc"), [costliest.data]);
  const list = isFirstPage ? costliest : paged;
  const rows = useMemo(() => {
    if (!isFirstPage) return inOrder(only(paged.data), state.sort, state.order);
    const idle = top.filter(({ name }) => isIdle(name));
    const items = top.filter(({ name }) => !isIdle(name)).slice(0, state.size);
    return inOrder([...items, ...idle], "totalCost", "desc");
  }, [isFirstPage, paged.data, top, state.sort, state.order, state.size]);
  const idleItems = top.filter(({ name }) => isIdle(name)).length;
  const items = topline.isPlaceholderData ? undefined : pagedItems(topline.data, idleItems);
  const names = useMemo(
    () => (costliest.data && !costliest.isPlaceholderData ? top.map(({ name }) => name) : undefined),
    [costliest.data, costliest.isPlaceholderData, top],
  );
  const series = useAllocationSeries(state, names, items);
  const total = topline.data?.combined.allocations.total;
  const error = list.error ?? topline.error;
  const isEmpty = list.data !== undefined && !list.isPlaceholderData && rows.length === 0 && state.page === 1;
  const isFiltered = state.filter !== "" || state.within.length > 0;
  const open = state.item === null ? undefined : [...rows, ...top].find(({ name }) => name === state.item);

  return (
    <>
      <div className="view-head">
        <h1>Allocations</h1>
        <StepPicker window={state.window} step={state.step} onChange={(step) => set({ step })} />
        <WindowPicker />
      </div>
      <div className="view">
        <div className="toolbar" role="group" aria-label="What is shown">
          <KeyPicker
            of="allocation"
            window={state.window}
            keys={state.by}
            onChange={(by) => set({ ...ANEW, by: by.join(",") })}
          />
          <FilterBar
            of="allocation"
            window={state.window}
            filter={state.filter}
            onChange={(filter) => set({ ...ANEW, filter })}
          />
          <span className="grow" />
          <AllocationOptions state={state} onChange={(changes) => set({ ...ANEW, ...changes })} />
        </div>
        <Crumbs search={search} state={state} />
        {error ? (
          <section className="card">
            <Failure of={[list, topline]} />
          </section>
        ) : isEmpty ? (
          <section className="card">
            <Nothing filtered={isFiltered} />
          </section>
        ) : (
          <>
            <section className="card" aria-labelledby="picture">
              <div className="card-head">
                <h2 id="picture">{pictureTitle(state)}</h2>
                {state.chart === "treemap" && idleItems > 0 && <span className="hint">without idle</span>}
                <Segments
                  label="Picture"
                  value={state.chart}
                  options={CHARTS}
                  onChange={(chart) => set({ chart: chart === "bars" ? null : chart })}
                />
              </div>
              <div className={series.stale || costliest.isPlaceholderData ? "card-body stale" : "card-body"}>
                {state.chart === "treemap" || state.chart === "efficiency" ? (
                  costliest.data && total ? (
                    state.chart === "treemap" ? (
                      <Treemap
                        label={pictureTitle(state)}
                        total={
                          total.totalCost -
                          top.reduce((sum, one) => sum + (isIdle(one.name) ? one.totalCost : 0), 0)
                        }
                        tiles={top.map((item) => ({
                          name: item.name,
                          cost: item.totalCost,
                          open: opener(search, state, item.name),
                        }))}
                      />
                    ) : (
                      <Efficiency items={top} />
                    )
                  ) : (
                    <Skeleton height={320} />
                  )
                ) : series.error ? (
                  <Failure of={series.asked} />
                ) : series.data ? (
                  <TimeChart data={series.data} kind={state.chart} label={pictureTitle(state)} />
                ) : (
                  <Skeleton height={292} />
                )}
              </div>
            </section>
            <ItemsCard
              title={state.by.map(keyTitle).join(" and ")}
              path="model/allocation"
              parameters={parameters}
              fileName="allocations.csv"
              state={state}
              items={items}
              set={set}
            >
              {list.data && (
                <Items
                  search={search}
                  state={state}
                  rows={rows}
                  total={topline.isPlaceholderData ? undefined : total}
                  stale={list.isPlaceholderData}
                  set={set}
                />
              )}
            </ItemsCard>
          </>
        )}
        {state.item !== null && (
          <AllocationDetail
            key={state.item}
            state={state}
            name={state.item}
            found={open}
            into={into(search, state, state.item)}
            onClose={() => set({ item: null })}
          />
        )}
      </div>
    </>
  );
}

function opener(search: string, state: AllocationState, name: string): () => void {
  const inside = into(search, state, name);
  return () => go(inside ?? changed(search, { item: name }));
}

function pictureTitle(state: AllocationState): string {
  const keys = state.by.map((key) => keyTitle(key).toLowerCase()).join(" and ");
  const per = {
    cumulative: "Cost",
    hourly: "Cost per hour",
    daily: "Cost per day",
    monthly: "Cost per month",
  }[state.metric];
  if (state.chart === "efficiency") return `Requested and used by ${keys}`;
  if (state.by.includes("all")) return per;
  return `${per} by ${keys}`;
}

/** What was looked into, outermost first. */
function Crumbs({ search, state }: { search: string; state: AllocationState }) {
  if (state.within.length === 0) return null;
  return (
    <nav className="crumbs" aria-label="Where this is">
      <ol>
        <li>
          <Link to={backTo(search, state, 0)}>All</Link>
        </li>
        {state.within.map(({ key, value }, index) => {
          const text = (
            <>
              <span className="key">{keyTitle(key).toLowerCase()}</span>
              {readable(value)}
            </>
          );
          const isLast = index === state.within.length - 1;
          return (
            <li key={`${index} ${key}`}>
              {isLast ? (
                <span aria-current="page">{text}</span>
              ) : (
                <Link to={backTo(search, state, index + 1)}>{text}</Link>
              )}
            </li>
          );
        })}
      </ol>
    </nav>
  );
}

interface ItemsProps {
  search: string;
  state: AllocationState;
  rows: Allocation[];
  total: Summary | undefined;
  stale: boolean;
  set: (changes: Changes) => void;
}

type Money = (costs: Omit<Summary, "name" | "start" | "end">) => number;

/** Costs by resource. Those that nothing has are left out, but for the first ones. */
const RESOURCES: readonly { id: string; title: string; of: Money; always?: boolean }[] = [
  { id: "cpuCost", title: "CPU", of: (costs) => costs.cpuCost, always: true },
  { id: "ramCost", title: "Memory", of: (costs) => costs.ramCost, always: true },
  { id: "gpuCost", title: "GPU", of: (costs) => costs.gpuCost },
  { id: "pvCost", title: "Volumes", of: (costs) => costs.pvCost, always: true },
  { id: "networkCost", title: "Network", of: (costs) => costs.networkCost },
  { id: "loadBalancerCost", title: "Load balancers", of: (costs) => costs.loadBalancerCost },
  { id: "sharedCost", title: "Shared", of: (costs) => costs.sharedCost },
  { id: "externalCost", title: "External", of: (costs) => costs.externalCost },
];

function Items({ search, state, rows, total, stale, set }: ItemsProps) {
  const { money } = useSettings();
  // Idle cost is often more than all items; beside it they would all look the same.
  const items = rows.filter(({ name }) => !isIdle(name));
  const columns: Column<Allocation>[] = state.by.map((key, index) => ({
    id: key,
    title: keyTitle(key),
    ...(index === 0 ? { sort: "name" } : {}),
    className: "name",
    cell: (row) => {
      const parts = splitName(row.name, state.by.length);
      if (isIdle(row.name)) return index === 0 ? idleTitle(row.name) : "";
      const part = key === "all" ? "Everything" : readable(parts[index] ?? "");
      const inside = index === 0 ? into(search, state, row.name) : null;
      return inside ? (
        <Link to={inside} title={`Look into ${part}`}>
          {part}
        </Link>
      ) : (
        <span title={part}>{part}</span>
      );
    },
  }));
  columns.push(
    ...costColumns(money, items.length ? items : rows, total?.totalCost, (row) =>
      isIdle(row.name) ? "c-idle" : "",
    ),
  );
  for (const { id, title, of, always } of RESOURCES) {
    if (!always && !rows.some((row) => of(costsOf(row)) !== 0) && !(total && of(total) !== 0)) continue;
    columns.push({
      id,
      title,
      sort: id,
      numeric: true,
      cell: (row) => money.full(of(costsOf(row))),
      total: total ? money.full(of(total)) : "–",
    });
  }
  columns.push({
    id: "efficiency",
    title: "Efficiency",
    sort: "totalEfficiency",
    numeric: true,
    cell: (row) => (isIdle(row.name) ? "–" : percent(row.totalEfficiency)),
    total: total ? percent(total.totalEfficiency) : "–",
  });
  columns.push(detailColumn(state, set, ({ name }) => name));
  return (
    <Table
      caption={`Costs by ${state.by.map(keyTitle).join(" and ")}`}
      columns={columns}
      rows={rows}
      keyOf={({ name }) => name}
      rowClass={({ name }) => {
        if (name === state.item) return "open";
        return name.split("/").some(isMadeUp) && name !== "" ? "made-up" : undefined;
      }}
      sort={state.sort}
      order={state.order}
      onSort={(sort, order) => set(sorting(sort, order))}
      hasTotals
      stale={stale}
    />
  );
}

function idleTitle(name: string): string {
  const place = name.split("/").slice(0, -1).join("/");
  return place ? `Idle in ${place}` : "Idle";
}
