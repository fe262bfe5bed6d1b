/** How much of what was asked for was used. */

import type { Allocation } from "../api/types";
import { useSettings } from "../components/settings";
import { percent } from "../lib/format";
import { isIdle, readable } from "../lib/names";
import { costsOf } from "./allocation-figures";

const MOST = 15;

/** What was paid for CPU and memory that were requested and not used. */
function unused(item: Allocation): number {
  const { cpuCost, ramCost } = costsOf(item);
  const part = (efficiency: number) => Math.max(0, 1 - efficiency);
  return cpuCost * part(item.cpuEfficiency) + ramCost * part(item.ramEfficiency);
}

export function Efficiency({ items }: { items: readonly Allocation[] }) {
  const { money } = useSettings();
  const shown = items
    .filter(({ name }) => !isIdle(name))
    .toSorted((one, other) => unused(other) - unused(one))
    .slice(0, MOST);
  return (
    <div className="table-wrap" tabIndex={0} role="region" aria-label="Efficiency">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Where most was asked for and not used</th>
            <th scope="col">CPU used of requested</th>
            <th scope="col">Memory used of requested</th>
            <th scope="col" className="num">
              Unused
            </th>
          </tr>
        </thead>
        <tbody>
          {shown.map((item) => (
            <tr key={item.name}>
              <th scope="row" className="name">
                {item.name.split("/").map(readable).join(" / ") || "Everything"}
              </th>
              <td>
                <Use share={item.cpuEfficiency} asked={item.cpuCoreRequestAverage > 0} colour="c0" />
              </td>
              <td>
                <Use share={item.ramEfficiency} asked={item.ramByteRequestAverage > 0} colour="c4" />
              </td>
              <td className="num">{money.full(unused(item))}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Use({ share, asked, colour }: { share: number; asked: boolean; colour: string }) {
  if (!asked) return <span className="muted">nothing requested</span>;
  return (
    <span className="use">
      <span className="track" aria-hidden="true">
        <i className={share > 1 ? "over" : colour} style={{ width: `${Math.min(1, share) * 100}%` }} />
      </span>
      {percent(share)}
    </span>
  );
}
