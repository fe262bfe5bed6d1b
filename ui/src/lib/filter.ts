/** The filter language of the API (docs/api.md): conditions joined by `+` (and) or `|` (or). */

export type Operator = ":" | "!:" | "~:" | "!~:" | "<~:" | "!<~:" | "~>:" | "!~>:";

/** Each operator with how it reads between a field and its values. */
export const OPERATORS: readonly { op: Operator; reads: string }[] = [
  { op: ":", reads: "is" },
  { op: "!:", reads: "is not" },
  { op: "~:", reads: "contains" },
  { op: "!~:", reads: "does not contain" },
  { op: "<~:", reads: "starts with" },
  { op: "!<~:", reads: "does not start with" },
  { op: "~>:", reads: "ends with" },
  { op: "!~>:", reads: "does not end with" },
];

export interface Condition {
  /** Such as `namespace`, `label[team]`, or `label` for the names of labels. */
  field: string;
  op: Operator;
  /** Any of them will do; with a negative operator, none of them may hold. */
  values: string[];
}

/** Longest first, so that `:` is not taken for the beginning of none of them. */
const BY_LENGTH = OPERATORS.map(({ op }) => op).sort((a, b) => b.length - a.length);
const FIELD = /[A-Za-z]+(\[[^\]"]+\])?/y;
const VALUE = /"((?:[^"]|"")*)"/y;

/** Two quotes inside a value stand for one. */
function quote(value: string): string {
  return `"${value.replaceAll('"', '""')}"`;
}

export function writeCondition({ field, op, values }: Condition): string {
  return field + op + values.map(quote).join(",");
}

/** All of the conditions hold. */
export function writeConditions(conditions: readonly Condition[]): string {
  return conditions.map(writeCondition).join("+");
}

/**
 * The conditions of a filter that only joins them by `+`; null for one that needs more, which people then edit as
 * text. The server decides what is a filter and what is not.
 */
export function readConditions(text: string): Condition[] | null {
  const conditions: Condition[] = [];
  let at = 0;
  const skipSpaces = () => {
    while (text[at] === " ") at += 1;
  };
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match) at += match[0].length;
    return match;
  };
  skipSpaces();
  while (at < text.length) {
    const field = take(FIELD)?.[0];
    const op = BY_LENGTH.find((candidate) => text.startsWith(candidate, at));
    if (!field || !op) return null;
    at += op.length;
    const values: string[] = [];
    do {
      const value = take(VALUE);
      if (!value) return null;
      values.push((value[1] ?? "").replaceAll('""', '"'));
    } while (text[at] === "," && (at += 1));
    conditions.push({ field, op, values });
    skipSpaces();
    if (at === text.length) break;
    if (text[at] !== "+") return null;
    at += 1;
    skipSpaces();
    if (at === text.length) return null;
  }
  return conditions;
}

/** Both filters hold; an empty one is no condition. */
export function both(one: string, other: string): string {
  if (!one || !other) return one || other;
  return `${parenthesised(one)}+${parenthesised(other)}`;
}

function parenthesised(filter: string): string {
  return readConditions(filter) ? filter : `(${filter})`;
}

/** At least one of the filters holds. */
export function any(filters: readonly string[]): string {
  if (filters.length < 2) return filters[0] ?? "";
  return filters
    .map((filter) => ((readConditions(filter)?.length ?? 2) === 1 ? filter : `(${filter})`))
    .join("|");
}
