/** The card of a table whose items the server sorts and pages: its head, CSV, pages, and the columns that all have. */

import type { ReactNode } from "react";
import { address, type Parameters } from "../api/client";
import { percent, type Money } from "../lib/format";
import type { Changes } from "../state/url";
import { ANEW } from "../state/view";
import { Icon } from "./icons";
import { Skeleton } from "./notes";
import { Pager, type Column } from "./table";

/** What the address says of a table. */
export interface TableState {
  sort: string;
  order: "asc" | "desc";
  page: number;
  size: number;
  item: string | null;
}

interface CardProps {
  title: string;
  note?: ReactNode;
  /** Where all items are asked for, with what is asked besides order and format. */
  path: string;
  parameters: Parameters;
  fileName: string;
  state: TableState;
  /** How many items there are on all pages. */
  items: number | undefined;
  set: (changes: Changes) => void;
  /** The table; what holds its place until there is an answer is shown without it. */
  children: ReactNode;
}

export function ItemsCard({
  title,
  note,
  path,
  parameters,
  fileName,
  state,
  items,
  set,
  children,
}: CardProps) {
  const order = { sortBy: state.sort, sortByOrder: state.order };
  return (
    <section className="card" aria-labelledby="items">
      <div className="card-head">
        <h2 id="items">{title}</h2>
        {note}
        <a
          className="button quiet small"
          href={address(path, { ...parameters, ...order, accumulate: true, format: "csv" })}
          download={fileName}
        >
          <Icon name="download" size={14} />
          CSV
        </a>
      </div>
      {children ?? (
        <div className="card-body">
          <Skeleton height={420} />
        </div>
      )}
      <Pager
        page={state.page}
        size={state.size}
        items={items}
        onPage={(page) => set({ page: page === 1 ? null : String(page), item: null })}
        onSize={(size) => set({ ...ANEW, size: String(size) })}
      />
    </section>
  );
}

/** The changes that order a table; what is its order anyway is left out of the address. */
export function sorting(sort: string, order: "asc" | "desc"): Changes {
  return { page: null, sort: sort === "totalCost" ? null : sort, order: order === "desc" ? null : order };
}

interface Costly {
  name: string;
  totalCost: number;
}

/** Cost, with a bar against the costliest item, and part of all; `colour` is the class of an item's bar. */
export function costColumns<T extends Costly>(
  money: Money,
  rows: readonly T[],
  total: number | undefined,
  colour: (row: T) => string = () => "",
): Column<T>[] {
  const most = Math.max(...rows.map(({ totalCost }) => totalCost), 0) || 1;
  return [
    {
      id: "total",
      title: "Total",
      sort: "totalCost",
      numeric: true,
      className: "cost-cell",
      total: money.full(total),
      cell: (row) => (
        <>
          {money.full(row.totalCost)}
          <span className="meter" aria-hidden="true">
            <i
              className={colour(row)}
              style={{ width: `${Math.min(1, Math.max(0, row.totalCost / most)) * 100}%` }}
            />
          </span>
        </>
      ),
    },
    {
      id: "share",
      title: "Share",
      numeric: true,
      total: total ? percent(1) : "",
      cell: (row) => (total ? percent(row.totalCost / total) : "–"),
    },
  ];
}

/** The button that opens an item's details. */
export function detailColumn<T extends Costly>(
  state: TableState,
  set: (changes: Changes) => void,
  title: (row: T) => string,
): Column<T> {
  return {
    id: "details",
    title: "",
    cell: (row) => (
      <button
        type="button"
        className="button quiet small icon"
        aria-label={`Details of ${title(row)}`}
        aria-pressed={state.item === row.name}
        onClick={() => set({ item: row.name })}
      >
        <Icon name="details" size={14} />
      </button>
    ),
  };
}
