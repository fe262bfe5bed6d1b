/** A table of items that the server sorts and pages. */

import type { ReactNode } from "react";
import { PAGE_SIZES } from "../state/view";
import { count } from "../lib/format";
import { Icon } from "./icons";

export interface Column<T> {
  id: string;
  title: string;
  /** The API's name for ordering by it; a column without it cannot be sorted by. */
  sort?: string;
  numeric?: boolean;
  className?: string;
  cell: (row: T) => ReactNode;
  total?: ReactNode;
}

interface Props<T> {
  caption: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  keyOf: (row: T) => string;
  rowClass?: (row: T) => string | undefined;
  sort: string;
  order: "asc" | "desc";
  onSort: (sort: string, order: "asc" | "desc") => void;
  hasTotals?: boolean;
  stale?: boolean;
}

export function Table<T>({
  caption,
  columns,
  rows,
  keyOf,
  rowClass,
  sort,
  order,
  onSort,
  hasTotals,
  stale,
}: Props<T>) {
  return (
    <div className="table-wrap" tabIndex={0} role="region" aria-label={caption}>
      <table className={stale ? "table stale" : "table"} aria-busy={stale}>
        <caption className="hidden-visually">{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => {
              const sorted = column.sort === sort;
              return (
                <th
                  key={column.id}
                  scope="col"
                  className={column.numeric ? "num" : undefined}
                  aria-sort={
                    !column.sort
                      ? undefined
                      : sorted
                        ? order === "asc"
                          ? "ascending"
                          : "descending"
                        : "none"
                  }
                >
                  {column.sort ? (
                    <button
                      type="button"
                      onClick={() => {
                        const first = column.numeric ? "desc" : "asc";
                        const other = order === "asc" ? "desc" : "asc";
                        onSort(column.sort ?? "", sorted ? other : first);
                      }}
                    >
                      {column.title}
                      {sorted && <Icon name={order === "asc" ? "up" : "down"} size={11} />}
                    </button>
                  ) : (
                    column.title
                  )}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)} className={rowClass?.(row)}>
              {columns.map((column, index) => {
                const name =
                  [column.numeric ? "num" : "", column.className ?? ""].join(" ").trim() || undefined;
                return index === 0 ? (
                  <th key={column.id} scope="row" className={name}>
                    {column.cell(row)}
                  </th>
                ) : (
                  <td key={column.id} className={name}>
                    {column.cell(row)}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
        {hasTotals && (
          <tfoot>
            <tr>
              {columns.map((column, index) =>
                index === 0 ? (
                  <th key={column.id} scope="row">
                    Total
                  </th>
                ) : (
                  <td key={column.id} className={column.numeric ? "num" : undefined}>
                    {column.total}
                  </td>
                ),
              )}
            </tr>
          </tfoot>
        )}
      </table>
    </div>
  );
}

interface PagerProps {
  page: number;
  size: number;
  /** How many items there are on all pages. */
  items: number | undefined;
  onPage: (page: number) => void;
  onSize: (size: number) => void;
  children?: ReactNode;
}

export function Pager({ page, size, items, onPage, onSize, children }: PagerProps) {
  const first = (page - 1) * size + 1;
  const last = Math.min(page * size, items ?? page * size);
  const pages = Math.max(1, Math.ceil((items ?? 1) / size));
  return (
    <div className="table-foot">
      <span aria-live="polite">
        {items === undefined
          ? "…"
          : items === 0
            ? "No items"
            : `${count(first)}–${count(last)} of ${count(items)}`}
      </span>
      <label className="check">
        <span className="hidden-visually">Rows on a page</span>
        <select className="field" value={size} onChange={(event) => onSize(Number(event.target.value))}>
          {PAGE_SIZES.map((option) => (
            <option key={option} value={option}>
              {option} rows
            </option>
          ))}
        </select>
      </label>
      <span className="grow">{children}</span>
      <button
        type="button"
        className="button small icon"
        aria-label="Page before"
        disabled={page <= 1}
        onClick={() => onPage(page - 1)}
      >
        <Icon name="left" size={14} />
      </button>
      <span>
        {count(page)} / {count(pages)}
      </span>
      <button
        type="button"
        className="button small icon"
        aria-label="Next page"
        disabled={page >= pages}
        onClick={() => onPage(page + 1)}
      >
        <Icon name="right" size={14} />
      </button>
    </div>
  );
}
