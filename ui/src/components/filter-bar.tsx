/** The conditions on what is shown, as chips. */

import { useState } from "react";
import type { ValuesOf } from "../api/queries";
import { OPERATORS, readConditions, writeConditions, type Condition, type Operator } from "../lib/filter";
import { readable } from "../lib/names";
import { Combobox, Values } from "./combobox";
import { Icon } from "./icons";
import { Popover } from "./popover";

/** Fields that filters ask about, by what they ask of. */
const FIELDS: Record<ValuesOf, readonly string[]> = {
  allocation: [
    "cluster",
    "namespace",
    "controllerKind",
    "controllerName",
    "pod",
    "container",
    "node",
    "services",
    "label",
    "annotation",
    "provider",
    "department",
    "environment",
    "owner",
    "product",
    "team",
  ],
  assets: [
    "assetType",
    "cluster",
    "name",
    "category",
    "provider",
    "account",
    "project",
    "service",
    "providerID",
    "label",
  ],
};

interface Props {
  of: ValuesOf;
  window: string;
  filter: string;
  onChange: (filter: string) => void;
}

export function FilterBar({ of, window, filter, onChange }: Props) {
  const conditions = readConditions(filter);
  if (conditions === null) return <FilterText filter={filter} onChange={onChange} />;
  const replace = (index: number, next: Condition[]) =>
    onChange(writeConditions([...conditions.slice(0, index), ...next, ...conditions.slice(index + 1)]));
  return (
    <>
      {conditions.map((condition, index) => (
        <span className="chip" key={index}>
          <Popover
            className=""
            label={<Reads condition={condition} />}
            title={`Change: ${textOf(condition)}`}
          >
            {(close) => (
              <Editor
                of={of}
                window={window}
                condition={condition}
                onDone={(next) => {
                  replace(index, [next]);
                  close();
                }}
              />
            )}
          </Popover>
          <button
            type="button"
            aria-label={`Take away: ${textOf(condition)}`}
            onClick={() => replace(index, [])}
          >
            <Icon name="close" size={12} />
          </button>
        </span>
      ))}
      <Popover
        className="button quiet"
        label={
          <>
            <Icon name="filter" />
            Filter
          </>
        }
        title="Add a condition"
      >
        {(close) => (
          <Adder
            of={of}
            window={window}
            filter={filter}
            onDone={(next) => {
              onChange(next);
              close();
            }}
          />
        )}
      </Popover>
    </>
  );
}

function readsOf(op: Operator): string {
  return OPERATORS.find((one) => one.op === op)?.reads ?? op;
}

function textOf({ field, op, values }: Condition): string {
  return `${field} ${readsOf(op)} ${values.map(readable).join(" or ")}`;
}

function Reads({ condition: { field, op, values } }: { condition: Condition }) {
  return (
    <>
      <span className="key">
        {field} {readsOf(op)}
      </span>
      {values.length > 3
        ? `${values.slice(0, 2).map(readable).join(", ")} and ${values.length - 2} more`
        : values.map(readable).join(", ")}
    </>
  );
}

interface EditorProps {
  of: ValuesOf;
  window: string;
  condition: Condition;
  onDone: (condition: Condition) => void;
}

/** The name that is asked about in a map: `team` of `label[team]`. */
function splitField(field: string): { field: string; inside: string } {
  const match = /^(label|annotation)\[(.+)\]$/.exec(field);
  return match ? { field: match[1] ?? "", inside: match[2] ?? "" } : { field, inside: "" };
}

function Editor({ of, window, condition, onDone }: EditorProps) {
  const [field, setField] = useState(splitField(condition.field));
  const [op, setOp] = useState<Operator>(condition.op);
  const [values, setValues] = useState<string[]>(condition.values);
  const isMap = field.field === "label" || field.field === "annotation";
  const suggested = isMap && field.inside ? `${field.field}:${field.inside}` : field.field;
  return (
    <form
      className="form"
      onSubmit={(event) => {
        event.preventDefault();
        if (values.length)
          onDone({ field: field.inside ? `${field.field}[${field.inside}]` : field.field, op, values });
      }}
    >
      <div className="form-row">
        <label className="labelled">
          <span>Field</span>
          <select
            className="field"
            value={field.field}
            onChange={(event) => {
              setField({ field: event.target.value, inside: "" });
              setValues([]);
            }}
          >
            {FIELDS[of].map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <label className="labelled">
          <span>Comparison</span>
          <select className="field" value={op} onChange={(event) => setOp(event.target.value as Operator)}>
            {OPERATORS.map((one) => (
              <option key={one.op} value={one.op}>
                {one.reads}
              </option>
            ))}
          </select>
        </label>
      </div>
      {isMap && (
        <div className="labelled">
          <span>Which {field.field}</span>
          {field.inside ? (
            <span className="chip">
              <span>{field.inside}</span>
              <button
                type="button"
                aria-label={`Choose another ${field.field}`}
                onClick={() => setField({ ...field, inside: "" })}
              >
                <Icon name="close" size={12} />
              </button>
            </span>
          ) : (
            <Combobox
              of={of}
              window={window}
              field={field.field}
              label={`Name of the ${field.field}`}
              placeholder="Any: then its name is compared"
              onPick={(inside) => {
                setField({ ...field, inside });
                setValues([]);
              }}
            />
          )}
        </div>
      )}
      <div className="labelled">
        <span>{values.length > 1 ? "Any of these values" : "Value"}</span>
        <Values
          of={of}
          window={window}
          field={suggested}
          label="Value"
          placeholder="Type to search"
          values={values}
          onChange={setValues}
        />
      </div>
      <div className="form-end">
        <button type="submit" className="button primary" disabled={values.length === 0}>
          Apply
        </button>
      </div>
    </form>
  );
}

function Adder({
  of,
  window,
  filter,
  onDone,
}: {
  of: ValuesOf;
  window: string;
  filter: string;
  onDone: (filter: string) => void;
}) {
  const [asText, setAsText] = useState(false);
  if (asText) return <TextForm filter={filter} onDone={onDone} />;
  return (
    <>
      <Editor
        of={of}
        window={window}
        condition={{ field: FIELDS[of][0] ?? "cluster", op: ":", values: [] }}
        onDone={(next) => onDone(writeConditions([...(readConditions(filter) ?? []), next]))}
      />
      <button type="button" className="button quiet small" onClick={() => setAsText(true)}>
        Write all conditions as text
      </button>
    </>
  );
}

function TextForm({ filter, onDone }: { filter: string; onDone: (filter: string) => void }) {
  const [text, setText] = useState(filter);
  return (
    <form
      className="form"
      onSubmit={(event) => {
        event.preventDefault();
        onDone(text.trim());
      }}
    >
      <label className="labelled">
        <span>Filter</span>
        <textarea
          className="field"
          rows={4}
          value={text}
          onChange={(event) => setText(event.target.value)}
          spellCheck={false}
        />
      </label>
      <p className="hint">
        Conditions such as <code>namespace:"web","data"</code> or <code>label[team]!:"core"</code>, joined by
        + (and) or | (or), in parentheses where both occur.
      </p>
      <div className="form-end">
        <button type="submit" className="button primary">
          Apply
        </button>
      </div>
    </form>
  );
}

/** A filter that is more than a list of conditions. */
function FilterText({ filter, onChange }: { filter: string; onChange: (filter: string) => void }) {
  return (
    <span className="chip">
      <Popover
        className=""
        label={<span className="mono">{filter}</span>}
        title={`Change the filter: ${filter}`}
      >
        {(close) => (
          <TextForm
            filter={filter}
            onDone={(next) => {
              onChange(next);
              close();
            }}
          />
        )}
      </Popover>
      <button type="button" aria-label="Take the filter away" onClick={() => onChange("")}>
        <Icon name="close" size={12} />
      </button>
    </span>
  );
}
