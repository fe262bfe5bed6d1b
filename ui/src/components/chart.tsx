/** Costs over time: stacked bars, or lines. The table beside it has the same figures for those who see no picture. */

import { scaleBand, scaleLinear, scalePoint } from "d3-scale";
import { area, line } from "d3-shape";
import { useLayoutEffect, useRef, useState, type KeyboardEvent } from "react";
import type { Series, Timeline } from "../lib/series";
import { DAY } from "../lib/time";
import { readable } from "../lib/names";
import { useSettings } from "./settings";

const MARGIN = { top: 8, right: 4, bottom: 22, left: 52 };
/** More bars than this are too narrow to be bars, so that areas are drawn. */
const MOST_BARS = 120;

/** The width of an element, as it changes. */
export function useWidth<T extends HTMLElement>(): [React.RefObject<T | null>, number] {
  const element = useRef<T>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const found = element.current;
    if (!found) return undefined;
    setWidth(found.clientWidth);
    const observer = new ResizeObserver(() => setWidth(found.clientWidth));
    observer.observe(found);
    return () => observer.disconnect();
  }, []);
  return [element, width];
}

export function colourClass({ kind, colour }: Pick<Series, "kind" | "colour">): string {
  return kind === "item" ? `c${colour}` : `c-${kind}`;
}

function titleOf(series: Series): string {
  if (series.title) return series.title;
  return series.name.split("/").map(readable).join(" / ") || "Everything";
}

interface Props {
  data: Timeline;
  kind: "bars" | "lines";
  height?: number;
  /** What the picture is of, for who does not see it. */
  label: string;
}

export function TimeChart({ data, kind, height = 260, label }: Props) {
  const [box, width] = useWidth<HTMLDivElement>();
  const [active, setActive] = useState<number | null>(null);
  const steps = data.steps.length;
  const move = (event: KeyboardEvent) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || steps === 0) return;
    event.preventDefault();
    setActive((now) => Math.min(steps - 1, Math.max(0, now === null ? (by > 0 ? 0 : steps - 1) : now + by)));
  };
  return (
    <figure aria-label={label}>
      <div
        className="chart"
        ref={box}
        style={{ minHeight: height }}
        tabIndex={0}
        role="group"
        aria-label={`${label}. Left and right arrows read out each step.`}
        onKeyDown={move}
        onBlur={() => setActive(null)}
        onPointerLeave={() => setActive(null)}
      >
        {width > 0 && (
          <Drawing
            data={data}
            kind={kind}
            width={width}
            height={height}
            active={active}
            setActive={setActive}
          />
        )}
        {active !== null && data.steps[active] && <Tooltip data={data} at={active} width={width} />}
      </div>
      <Legend series={data.series} />
    </figure>
  );
}

interface DrawingProps {
  data: Timeline;
  kind: "bars" | "lines";
  width: number;
  height: number;
  active: number | null;
  setActive: (at: number) => void;
}

function Drawing({ data, kind, width, height, active, setActive }: DrawingProps) {
  const { money, clock } = useSettings();
  const { steps, series } = data;
  const inner = {
    left: MARGIN.left,
    right: width - MARGIN.right,
    top: MARGIN.top,
    bottom: height - MARGIN.bottom,
  };
  const places = steps.map((_, at) => at);
  const band = scaleBand<number>()
    .domain(places)
    .range([inner.left, inner.right])
    .paddingInner(0.22)
    .paddingOuter(0.08);
  const point = scalePoint<number>().domain(places).range([inner.left, inner.right]).padding(0.5);
  const highest =
    kind === "lines"
      ? Math.max(0, ...series.flatMap((one) => one.values))
      : Math.max(
          0,
          ...places.map((at) => series.reduce((sum, one) => sum + Math.max(0, one.values[at] ?? 0), 0)),
        );
  const y = scaleLinear()
    .domain([0, highest || 1])
    .range([inner.bottom, inner.top])
    .nice(4);
  const width1 = steps.length > 1 ? band.step() : inner.right - inner.left;
  const isLong = (steps[0] ? steps[0].end - steps[0].start : DAY) >= DAY;
  const every = Math.max(1, Math.ceil(64 / width1));
  const asAreas = kind === "bars" && steps.length > MOST_BARS;

  // From the bottom up: where each series begins at each step.
  const bases: number[][] = [];
  const heights = places.map(() => 0);
  for (const one of series) {
    bases.push([...heights]);
    one.values.forEach((value, at) => (heights[at] = (heights[at] ?? 0) + Math.max(0, value)));
  }
  const top = (index: number, at: number) =>
    (bases[index]?.[at] ?? 0) + Math.max(0, series[index]?.values[at] ?? 0);
  const x = (at: number) => point(at) ?? 0;

  return (
    <svg width={width} height={height} aria-hidden="true">
      <defs>
        <pattern
          id="idle-pattern"
          width="5"
          height="5"
          patternUnits="userSpaceOnUse"
          patternTransform="rotate(45)"
        >
          <rect width="5" height="5" fill="var(--series-idle)" />
          <line x1="0" y1="0" x2="0" y2="5" stroke="var(--series-idle-stroke)" strokeWidth="1.4" />
        </pattern>
      </defs>
      <g className="axis">
        {y.ticks(4).map((tick) => (
          <g key={tick}>
            <line
              className={tick === 0 ? "base" : "grid"}
              x1={inner.left}
              x2={inner.right}
              y1={y(tick)}
              y2={y(tick)}
            />
            <text x={inner.left - 8} y={y(tick)} dy="0.32em" textAnchor="end">
              {money.short(tick)}
            </text>
          </g>
        ))}
        {steps.map(({ start }, at) => {
          const sparse = steps.length - 1 - at;
          if (sparse % every !== 0) return null;
          const day = clock.day(start);
          const text = isLong ? day : clock.time(start) === "00:00" ? day : clock.time(start);
          return (
            <text key={start} x={x(at)} y={height - 6} textAnchor="middle">
              {text}
            </text>
          );
        })}
      </g>
      {kind === "lines"
        ? series.map((one) => (
            <path
              key={one.kind + one.name}
              className={`line stroke ${colourClass(one)}`}
              d={
                line<number>()
                  .x((_, at) => x(at))
                  .y((value) => y(value))(one.values) ?? ""
              }
            />
          ))
        : asAreas
          ? series.map((one, index) => (
              <path
                key={one.kind + one.name}
                className={`area fill ${colourClass(one)}`}
                d={
                  area<number>()
                    .x((_, at) => x(at))
                    .y0((_, at) => y(bases[index]?.[at] ?? 0))
                    .y1((_, at) => y(top(index, at)))(one.values) ?? ""
                }
              />
            ))
          : series.flatMap((one, index) =>
              one.values.map((value, at) =>
                value > 0 ? (
                  <rect
                    key={`${one.kind}${one.name} ${at}`}
                    className={`bar fill ${colourClass(one)}`}
                    x={band(at)}
                    width={Math.max(1, Math.min(band.bandwidth(), 96))}
                    transform={
                      band.bandwidth() > 96 ? `translate(${(band.bandwidth() - 96) / 2} 0)` : undefined
                    }
                    y={y(top(index, at))}
                    height={Math.max(0, y(bases[index]?.[at] ?? 0) - y(top(index, at)))}
                  />
                ) : null,
              ),
            )}
      {places.map((at) => (
        <rect
          key={at}
          className={at === active ? "band active" : "band"}
          x={x(at) - width1 / 2}
          width={width1}
          y={inner.top}
          height={inner.bottom - inner.top}
          onPointerEnter={() => setActive(at)}
          onPointerDown={() => setActive(at)}
        />
      ))}
    </svg>
  );
}

function Tooltip({ data, at, width }: { data: Timeline; at: number; width: number }) {
  const { money, clock } = useSettings();
  const step = data.steps[at];
  if (!step) return null;
  const isDay = step.end - step.start === DAY;
  const share = (at + 0.5) / data.steps.length;
  const place = MARGIN.left + share * (width - MARGIN.left - MARGIN.right);
  const style = share > 0.5 ? { right: width - place + 12 } : { left: place + 12 };
  const rows = data.series.filter(({ values }) => (values[at] ?? 0) !== 0).toReversed();
  return (
    <div className="tooltip" style={style} role="status">
      <h3>{isDay ? clock.weekday(step.start) : `${clock.span(step)}`}</h3>
      <ul>
        {rows.map((one) => (
          <li key={one.kind + one.name}>
            <span className={`swatch ${colourClass(one)}`} />
            <span className="name">{titleOf(one)}</span>
            <span className="cost">{money.full(one.values[at])}</span>
          </li>
        ))}
        <li className="sum">
          <span>Total</span>
          <span className="cost">{money.full(data.totals[at])}</span>
        </li>
      </ul>
    </div>
  );
}

export function Legend({ series }: { series: readonly Series[] }) {
  return (
    <ul className="legend">
      {series.map((one) => (
        <li key={one.kind + one.name} title={titleOf(one)}>
          <span className={`swatch ${colourClass(one)}`} />
          <span>{titleOf(one)}</span>
        </li>
      ))}
    </ul>
  );
}
