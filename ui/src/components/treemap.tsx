/** Costs as areas. */

import { hierarchy, treemap } from "d3-hierarchy";
import { isIdle, readable } from "../lib/names";
import { MOST_SERIES } from "../lib/series";
import { percent } from "../lib/format";
import { useWidth } from "./chart";
import { useSettings } from "./settings";

export interface Tile {
  name: string;
  /** What people read, where it is not the name. */
  title?: string | undefined;
  cost: number;
  /** What a click does; a tile without it does nothing. */
  open?: (() => void) | undefined;
}

/** Tiles that would be too small to read are one. */
const MOST_TILES = 40;

export function Treemap({
  tiles,
  total,
  height = 320,
  label,
}: {
  tiles: readonly Tile[];
  total: number;
  height?: number;
  label: string;
}) {
  const [box, width] = useWidth<HTMLDivElement>();
  const { money } = useSettings();
  const costly = tiles.filter(({ name, cost }) => cost > 0 && !isIdle(name)).slice(0, MOST_TILES);
  const rest = total - costly.reduce((sum, { cost }) => sum + cost, 0);
  const shown = rest > total * 0.0005 ? [...costly, { name: "Other", cost: rest }] : costly;
  const root = hierarchy<{ tiles?: Tile[]; tile?: Tile }>({ tiles: shown }, ({ tiles: inside }) =>
    inside?.map((tile) => ({ tile })),
  ).sum(({ tile }) => tile?.cost ?? 0);
  const placed = treemap<{ tiles?: Tile[]; tile?: Tile }>().size([width, height]).paddingInner(2).round(true)(
    root,
  );
  return (
    <div className="treemap" ref={box} style={{ height }} role="group" aria-label={label}>
      {width > 0 &&
        placed.leaves().map(({ data, x0, x1, y0, y1 }) => {
          const tile = data.tile;
          if (!tile || x1 - x0 < 3 || y1 - y0 < 3) return null;
          const place = shown.indexOf(tile);
          const colour = tile.name === "Other" || place >= MOST_SERIES ? "c-other" : `c${place}`;
          const name = tile.title ?? (tile.name.split("/").map(readable).join(" / ") || "Everything");
          const cost = `${money.full(tile.cost)} · ${percent(tile.cost / total)}`;
          const roomy = x1 - x0 > 48 && y1 - y0 > 40;
          const shape = {
            className: colour,
            style: { left: x0, top: y0, width: x1 - x0, height: y1 - y0 },
            title: `${name}: ${cost}`,
          };
          const content = roomy && (
            <>
              <b>{name}</b>
              <span>{cost}</span>
            </>
          );
          return tile.open ? (
            <button
              key={tile.name}
              type="button"
              {...shape}
              aria-label={`${name}: ${cost}`}
              onClick={tile.open}
            >
              {content}
            </button>
          ) : (
            <div key={tile.name} {...shape}>
              {content}
            </div>
          );
        })}
    </div>
  );
}
