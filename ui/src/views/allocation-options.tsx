/** What allocations are added up by, and how idle and shared costs are dealt with. */

import { useState } from "react";
import type { ValuesOf } from "../api/queries";
import { Combobox, Values } from "../components/combobox";
import { Icon } from "../components/icons";
import { Popover } from "../components/popover";
import { keyTitle } from "../lib/names";
import { autoStep } from "../lib/time";
import type { Changes } from "../state/url";
import type { AllocationState, IdleMode, Metric } from "../state/view";

const KEYS: Record<ValuesOf, readonly string[]> = {
  allocation: [
    "cluster",
    "namespace",
    "controllerKind",
    "controller",
    "pod",
    "container",
    "node",
    "service",
    "deployment",
    "daemonset",
    "statefulset",
    "job",
    "department",
    "environment",
    "owner",
    "product",
    "team",
    "all",
  ],
  assets: ["type", "cluster", "provider", "account", "project", "category", "service", "name"],
};

interface KeyProps {
  of: ValuesOf;
  window: string;
  keys: readonly string[];
  onChange: (keys: string[]) => void;
  /** What the button says when there is no key. */
  none?: string;
}

/** One or several keys, among them labels. */
export function KeyPicker({ of, window, keys, onChange, none = "…" }: KeyProps) {
  const title = keys.length ? keys.map(keyTitle).join(" + ") : none;
  const toggle = (key: string) => {
    if (key === "all") return onChange(["all"]);
    const others = keys.filter((one) => one !== "all");
    const next = others.includes(key) ? others.filter((one) => one !== key) : [...others, key];
    return onChange(next);
  };
  return (
    <Popover
      label={
        <>
          <span className="muted">By</span>
          {title}
          <Icon name="down" size={12} />
        </>
      }
      title={`Add up by: ${title}`}
    >
      {(close) => (
        <div className="form keys">
          <ul className="menu keys-list" aria-label="Keys">
            {KEYS[of].map((key) => {
              const isOn = keys.includes(key);
              return (
                <li key={key} className="toolbar">
                  <button
                    type="button"
                    aria-pressed={isOn}
                    onClick={() => {
                      onChange([key]);
                      close();
                    }}
                  >
                    {keyTitle(key)}
                  </button>
                  {key !== "all" && (
                    <button
                      type="button"
                      className="grow also"
                      aria-label={isOn ? `Without ${keyTitle(key)}` : `Also by ${keyTitle(key)}`}
                      disabled={isOn && keys.length === 1}
                      onClick={() => toggle(key)}
                    >
                      <Icon name={isOn ? "close" : "plus"} size={12} />
                    </button>
                  )}
                </li>
              );
            })}
          </ul>
          <div className="labelled">
            <span>By a label</span>
            <Combobox
              of={of}
              window={window}
              field="label"
              label="Name of a label to add up by"
              placeholder="Search labels"
              onPick={(name) => {
                onChange([`label:${name}`]);
                close();
              }}
            />
          </div>
          {of === "allocation" && (
            <div className="labelled">
              <span>By an annotation</span>
              <Combobox
                of={of}
                window={window}
                field="annotation"
                label="Name of an annotation to add up by"
                placeholder="Search annotations"
                onPick={(name) => {
                  onChange([`annotation:${name}`]);
                  close();
                }}
              />
            </div>
          )}
        </div>
      )}
    </Popover>
  );
}

const STEPS: readonly { value: string; title: string }[] = [
  { value: "1h", title: "Hourly" },
  { value: "6h", title: "Every 6 hours" },
  { value: "1d", title: "Daily" },
  { value: "1w", title: "Weekly" },
];

export function StepPicker({
  window,
  step,
  onChange,
}: {
  window: string;
  step: string;
  onChange: (step: string | null) => void;
}) {
  const auto = STEPS.find(({ value }) => value === autoStep(window))?.title ?? "";
  return (
    <label>
      <span className="hidden-visually">Step of the picture over time</span>
      <select
        className="field button"
        value={step}
        onChange={(event) => onChange(event.target.value || null)}
      >
        <option value="">{auto}</option>
        {STEPS.filter(({ value }) => value !== autoStep(window) || value === step).map(({ value, title }) => (
          <option key={value} value={value}>
            {title}
          </option>
        ))}
      </select>
    </label>
  );
}

const IDLE: readonly { value: IdleMode; title: string }[] = [
  { value: "separate", title: "One item of its own" },
  { value: "split", title: "An item for each cluster or node" },
  { value: "share", title: "Shared among what used them" },
  { value: "hide", title: "Left out" },
];

const METRICS: readonly { value: Metric; title: string }[] = [
  { value: "cumulative", title: "For the whole window" },
  { value: "hourly", title: "Per hour" },
  { value: "daily", title: "Per day" },
  { value: "monthly", title: "Per month" },
];

export function AllocationOptions({
  state,
  onChange,
}: {
  state: AllocationState;
  onChange: (changes: Changes) => void;
}) {
  const changedCount = [
    state.idle !== "separate" || state.idleByNode,
    state.metric !== "cumulative",
    state.shareNamespaces,
    state.shareLabels,
    state.shareCost,
    state.shareTenancyCosts,
  ].filter(Boolean).length;
  return (
    <Popover
      end
      label={
        <>
          <Icon name="settings" />
          Idle and sharing
          {changedCount > 0 && <span className="badge">{changedCount}</span>}
        </>
      }
      title="Idle and shared costs"
    >
      {() => <Options state={state} onChange={onChange} />}
    </Popover>
  );
}

function list(text: string): string[] {
  return text.split(",").filter(Boolean);
}

function Options({ state, onChange }: { state: AllocationState; onChange: (changes: Changes) => void }) {
  const [cost, setCost] = useState(state.shareCost);
  return (
    <div className="form">
      <label className="labelled">
        <span>Costs are shown</span>
        <select
          className="field"
          value={state.metric}
          onChange={({ target }) => onChange({ metric: target.value === "cumulative" ? null : target.value })}
        >
          {METRICS.map(({ value, title }) => (
            <option key={value} value={value}>
              {title}
            </option>
          ))}
        </select>
      </label>
      <div className="form-row">
        <label className="labelled">
          <span>Idle cost is</span>
          <select
            className="field"
            value={state.idle}
            onChange={({ target }) => onChange({ idle: target.value === "separate" ? null : target.value })}
          >
            {IDLE.map(({ value, title }) => (
              <option key={value} value={value}>
                {title}
              </option>
            ))}
          </select>
        </label>
        <label className="labelled">
          <span>Computed by</span>
          <select
            className="field"
            value={state.idleByNode ? "node" : "cluster"}
            disabled={state.idle === "hide"}
            onChange={({ target }) => onChange({ idleBy: target.value === "node" ? "node" : null })}
          >
            <option value="cluster">Cluster</option>
            <option value="node">Node</option>
          </select>
        </label>
      </div>
      <div className="labelled">
        <span>Namespaces whose cost the others share</span>
        <Values
          of="allocation"
          window={state.window}
          field="namespace"
          label="Namespace to share out"
          placeholder="Such as kube-system"
          values={list(state.shareNamespaces)}
          onChange={(values) => onChange({ shareNamespaces: values.join(",") })}
        />
      </div>
      <SharedLabels state={state} onChange={onChange} />
      <div className="form-row">
        <form
          className="labelled"
          onSubmit={(event) => {
            event.preventDefault();
            onChange({ shareCost: cost });
          }}
        >
          <label htmlFor="share-cost">Overhead per month</label>
          <input
            id="share-cost"
            className="field"
            type="number"
            min="0"
            step="any"
            value={cost}
            placeholder="0"
            onChange={({ target }) => setCost(target.value)}
            onBlur={() => cost !== state.shareCost && onChange({ shareCost: cost })}
          />
        </form>
        <label className="labelled">
          <span>Shared costs are split</span>
          <select
            className="field"
            value={state.shareSplit}
            onChange={({ target }) => onChange({ shareSplit: target.value === "even" ? "even" : null })}
          >
            <option value="weighted">By cost</option>
            <option value="even">Evenly</option>
          </select>
        </label>
      </div>
      <label className="check">
        <input
          type="checkbox"
          checked={state.shareTenancyCosts}
          onChange={({ target }) => onChange({ shareFees: target.checked ? "true" : null })}
        />
        Share the fees of clusters too
      </label>
    </div>
  );
}

function SharedLabels({ state, onChange }: { state: AllocationState; onChange: (changes: Changes) => void }) {
  const [name, setName] = useState("");
  const labels = list(state.shareLabels);
  return (
    <div className="labelled">
      <span>Labels whose cost the others share</span>
      <ul className="picked">
        {labels.map((label) => (
          <li key={label} className="chip">
            <span>{label}</span>
            <button
              type="button"
              aria-label={`Take ${label} away`}
              onClick={() => onChange({ shareLabels: labels.filter((other) => other !== label).join(",") })}
            >
              <Icon name="close" size={12} />
            </button>
          </li>
        ))}
      </ul>
      {name ? (
        <Combobox
          key={name}
          of="allocation"
          window={state.window}
          field={`label:${name}`}
          label={`Value of the label ${name}`}
          placeholder={`Value of ${name}`}
          autoFocus
          onPick={(value) => {
            onChange({ shareLabels: [...labels, `${name}:${value}`].join(",") });
            setName("");
          }}
        />
      ) : (
        <Combobox
          of="allocation"
          window={state.window}
          field="label"
          label="Name of a label to share out"
          placeholder="Name of a label"
          onPick={setName}
        />
      )}
    </div>
  );
}
