/** What machines, disks and load balancers cost. */

import { useMemo } from "react";
import { useAssets, useAssetTopline } from "../api/queries";
import type { Asset } from "../api/types";
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
import { both, writeConditions, type Condition } from "../lib/filter";
import { count } from "../lib/format";
import { isMadeUp, keyTitle, readable, splitName, UNDEFINED } from "../lib/names";
import { inOrder } from "../lib/order";
import { MOST_SERIES, timeline, type Series } from "../lib/series";
import { changed, go, useSearch, type Changes } from "../state/url";
import { ANEW, assetParameters, readAssets, stepOf, type AssetState } from "../state/view";
import { AssetDetail } from "./asset-detail";
import { windowBefore } from "../lib/time";
import { KeyPicker, StepPicker } from "./allocation-options";
import { Trend } from "./overview";

const CHARTS = [
  { value: "bars", title: "Bars" },
  { value: "lines", title: "Lines" },
  { value: "treemap", title: "Treemap" },
] as const;

const PICTURED = 50;

/** An asset with the name it is answered under. */
export interface NamedAsset extends Asset {
  name: string;
}

function named(sets: readonly Record<string, Asset>[] | undefined): NamedAsset[] {
  return Object.entries(sets?.[0] ?? {}).map(([name, asset]) => ({ ...asset, name }));
}

/** The condition for the members of an aggregate; null where no filter can say it. */
function conditionOf(key: string, value: string): Condition | null {
  const fields: Record<string, string> = { type: "assetType" };
  if (["type", "cluster", "provider", "account", "project", "category", "service", "name"].includes(key)) {
    return { field: fields[key] ?? key, op: ":", values: [value === UNDEFINED ? "" : value] };
  }
  const label = /^label:(.*)$/.exec(key);
  return label ? { field: `label[${label[1]}]`, op: ":", values: [value === UNDEFINED ? "" : value] } : null;
}

/** The query that lists what an aggregate consists of. */
function inside(search: string, state: AssetState, name: string): string | null {
  if (state.by.length === 0) return null;
  const parts = splitName(name, state.by.length);
  const conditions = state.by.map((key, index) => conditionOf(key, parts[index] ?? ""));
  if (conditions.some((condition) => condition === null)) return null;
  const filter = both(state.filter, writeConditions(conditions.filter((condition) => condition !== null)));
  // Types are still many assets of a kind; what is of one type is listed one by one.
  return changed(search, { ...ANEW, filter, by: state.by.includes("type") ? "none" : "type" });
}

export function Assets() {
  const search = useSearch();
  const { money } = useSettings();
  const state = useMemo(() => readAssets(search), [search]);
  const set = (changes: Changes) => go(changed(search, changes));
  const parameters = assetParameters(state);

  const topline = useAssetTopline(parameters);
  const earlierWindow = windowBefore(state.window);
  const earlier = useAssetTopline({ ...parameters, window: earlierWindow ?? "" }, earlierWindow !== null);
  const costliest = useAssets({ ...parameters, accumulate: true, limit: PICTURED });
  const paged = useAssets({
    ...parameters,
    accumulate: true,
    limit: state.size,
    offset: (state.page - 1) * state.size,
    sortBy: state.sort,
    sortByOrder: state.order,
  });
  const top = useMemo(() => inOrder(named(costliest.data), "totalCost", "desc"), [costliest.data]);
  const rows = useMemo(
    () => inOrder(named(paged.data), state.sort, state.order),
    [paged.data, state.sort, state.order],
  );
  const step = { window: state.window, filter: state.filter, step: stepOf(state) };
  const series = useAssets({
    ...step,
    aggregate: parameters["aggregate"],
    limit: state.by.length ? 200 : 5 * MOST_SERIES,
  });
  const totals = useAssets({ ...step, aggregate: "all" });
  const data = useMemo(() => {
    const costs = (sets: readonly Record<string, Asset>[] | undefined) =>
      (sets ?? []).map((assets) => {
        const list = Object.entries(assets);
        return {
          window: list[0]?.[1].window ?? { start: null, end: null },
          costs: Object.fromEntries(list.map(([name, { totalCost }]) => [name, totalCost])),
        };
      });
    const found = timeline(
      costs(series.data),
      top.map(({ name }) => name),
      costs(totals.data),
    );
    const titles = new Map(state.by.length ? [] : top.map((asset) => [asset.name, ownTitle(asset)]));
    return { ...found, series: found.series.map((one) => withTitle(one, titles.get(one.name))) };
  }, [series.data, totals.data, top, state.by]);

  const total = topline.isPlaceholderData ? undefined : topline.data;
  const earlierCost = earlierWindow && !earlier.isPlaceholderData ? earlier.data?.totalCost : undefined;
  const error = paged.error ?? topline.error;
  const isEmpty =
    paged.data !== undefined && !paged.isPlaceholderData && rows.length === 0 && state.page === 1;
  const label = state.by.length
    ? `Cost by ${state.by.map((key) => keyTitle(key).toLowerCase()).join(" and ")}`
    : "Cost of each asset";
  const open = state.item === null ? undefined : [...rows, ...top].find(({ name }) => name === state.item);

  return (
    <>
      <div className="view-head">
        <h1>Assets</h1>
        <StepPicker window={state.window} step={state.step} onChange={(next) => set({ step: next })} />
        <WindowPicker />
      </div>
      <div className="view">
        <div className="toolbar" role="group" aria-label="What is shown">
          <KeyPicker
            of="assets"
            window={state.window}
            keys={state.by}
            none="nothing: each by itself"
            onChange={(by) => set({ ...ANEW, by: by.join(",") })}
          />
          <FilterBar
            of="assets"
            window={state.window}
            filter={state.filter}
            onChange={(filter) => set({ ...ANEW, filter })}
          />
          <span className="grow" />
          <button
            type="button"
            className="button"
            aria-pressed={state.by.length === 0}
            onClick={() => set({ ...ANEW, by: state.by.length ? "none" : null })}
          >
            Each by itself
          </button>
        </div>
        {error ? (
          <section className="card">
            <Failure of={[paged, topline]} />
          </section>
        ) : isEmpty ? (
          <section className="card">
            <Nothing filtered={state.filter !== ""} what="assets" />
          </section>
        ) : (
          <>
            <section className="card" aria-labelledby="picture">
              <div className="card-head">
                <h2 id="picture">{label}</h2>
                <Segments
                  label="Picture"
                  value={state.chart}
                  options={CHARTS}
                  onChange={(chart) => set({ chart: chart === "bars" ? null : chart })}
                />
              </div>
              <div className={series.isPlaceholderData ? "card-body stale" : "card-body"}>
                {state.chart === "treemap" ? (
                  costliest.data && total ? (
                    <Treemap
                      label={label}
                      total={total.totalCost}
                      tiles={top.map((asset) => ({
                        name: asset.name,
                        title: state.by.length ? undefined : ownTitle(asset),
                        cost: asset.totalCost,
                        open: () =>
                          go(inside(search, state, asset.name) ?? changed(search, { item: asset.name })),
                      }))}
                    />
                  ) : (
                    <Skeleton height={320} />
                  )
                ) : (series.error ?? totals.error) ? (
                  <Failure of={[series, totals]} />
                ) : series.data && totals.data && costliest.data ? (
                  <TimeChart data={data} kind={state.chart} label={label} />
                ) : (
                  <Skeleton height={292} />
                )}
              </div>
            </section>
            <ItemsCard
              title={state.by.length ? state.by.map(keyTitle).join(" and ") : "Assets"}
              note={
                total && (
                  <span className="muted">
                    {money.full(total.totalCost)}
                    {earlierCost ? (
                      <span title={`${money.full(earlierCost)} in the window before`}>
                        {" "}
                        <Trend relative={total.totalCost / earlierCost - 1} small />
                        <span className="hidden-visually"> against the window before</span>
                      </span>
                    ) : null}
                  </span>
                )
              }
              path="model/assets"
              parameters={parameters}
              fileName="assets.csv"
              state={state}
              items={total?.numResults}
              set={set}
            >
              {paged.data && (
                <Items
                  search={search}
                  state={state}
                  rows={rows}
                  total={total?.totalCost}
                  adjustment={total?.adjustment}
                  stale={paged.isPlaceholderData}
                  set={set}
                />
              )}
            </ItemsCard>
          </>
        )}
        {state.item !== null && (
          <AssetDetail
            key={state.item}
            title={titleOf(state, state.item, open)}
            asset={open}
            stale={paged.isLoading}
            inside={inside(search, state, state.item)}
            onClose={() => set({ item: null })}
          />
        )}
      </div>
    </>
  );
}

/** A single asset as people know it; its name in answers is made of all that it is told apart by. */
function ownTitle({ properties, type }: Asset): string {
  return [properties.name, type, properties.cluster].filter(Boolean).join(" · ");
}

function withTitle(series: Series, title: string | undefined): Series {
  return title ? { ...series, title } : series;
}

function titleOf(state: AssetState, name: string, asset: Asset | undefined): string {
  if (state.by.length === 0) return asset?.properties.name ?? asset?.type ?? name;
  return splitName(name, state.by.length).map(readable).join(" / ");
}

interface ItemsProps {
  search: string;
  state: AssetState;
  rows: NamedAsset[];
  total: number | undefined;
  adjustment: number | undefined;
  stale: boolean;
  set: (changes: Changes) => void;
}

/** Parts of machines' cost. */
const PARTS = [
  ["cpuCost", "CPU"],
  ["ramCost", "Memory"],
  ["gpuCost", "GPU"],
] as const;

function Items({ search, state, rows, total, adjustment, stale, set }: ItemsProps) {
  const { money } = useSettings();
  const columns: Column<NamedAsset>[] =
    state.by.length > 0
      ? state.by.map((key, index) => ({
          id: key,
          title: keyTitle(key),
          ...(index === 0 ? { sort: "name" } : {}),
          className: "name",
          cell: (row) => {
            const part = readable(splitName(row.name, state.by.length)[index] ?? "");
            const query = index === 0 ? inside(search, state, row.name) : null;
            return query ? <Link to={query}>{part}</Link> : part;
          },
        }))
      : [
          {
            id: "name",
            title: "Name",
            sort: "name",
            className: "name",
            cell: (row) => row.properties.name ?? row.type ?? row.name,
          },
          { id: "type", title: "Type", cell: (row) => row.type ?? "" },
          { id: "cluster", title: "Cluster", className: "name", cell: (row) => row.properties.cluster ?? "" },
          {
            id: "kind",
            title: "Kind",
            className: "name",
            cell: (row) => row.nodeType || row.storageClass || "",
          },
        ];
  columns.push(...costColumns(money, rows, total));
  for (const [id, title] of PARTS) {
    if (!rows.some((row) => row[id])) continue;
    columns.push({
      id,
      title,
      sort: id,
      numeric: true,
      cell: (row) => (row[id] === undefined ? "–" : money.full(row[id])),
    });
  }
  columns.push({
    id: "adjustment",
    title: "Adjustment",
    sort: "adjustment",
    numeric: true,
    cell: (row) => (row.adjustment ? money.change(row.adjustment) : "–"),
    total: adjustment ? money.change(adjustment) : "–",
  });
  if (rows.some((row) => row.cpuCores)) {
    columns.push({
      id: "cores",
      title: "Cores",
      numeric: true,
      cell: (row) => (row.cpuCores ? count(Math.round(row.cpuCores)) : "–"),
    });
  }
  columns.push(detailColumn(state, set, (row) => row.properties.name ?? row.name));
  return (
    <Table
      caption={state.by.length ? `Costs by ${state.by.map(keyTitle).join(" and ")}` : "Assets"}
      columns={columns}
      rows={rows}
      keyOf={({ name }) => name}
      rowClass={({ name }) =>
        name === state.item
          ? "open"
          : state.by.length && name.split("/").some(isMadeUp)
            ? "made-up"
            : undefined
      }
      sort={state.sort}
      order={state.order}
      onSort={(sort, order) => set(sorting(sort, order))}
      hasTotals
      stale={stale}
    />
  );
}
