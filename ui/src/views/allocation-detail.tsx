/** Everything about one item: what it costs, asked for and used. */

import { useAllocations } from "../api/queries";
import type { Allocation } from "../api/types";
import { Icon } from "../components/icons";
import { Link } from "../components/link";
import { Failure, Skeleton } from "../components/notes";
import { Gauge, Pairs, Panel } from "../components/panel";
import { useSettings } from "../components/settings";
import { amount, bytes, percent } from "../lib/format";
import { both } from "../lib/filter";
import { filterOfName, isIdle, keyTitle, readable } from "../lib/names";
import { allocationParameters, type AllocationState } from "../state/view";
import { only } from "./allocation-figures";

interface Props {
  state: AllocationState;
  name: string;
  /** The item, when a table has it already. */
  found: Allocation | undefined;
  into: string | null;
  onClose: () => void;
}

export function AllocationDetail({ state, name, found, into, onClose }: Props) {
  // A link may lead to an item that is on another page of the table.
  const filter = filterOfName(name, state.by);
  const parameters = allocationParameters(state);
  const asked = useAllocations(
    { ...parameters, filter: both(filter ?? "", String(parameters["filter"] ?? "")), limit: 5 },
    found === undefined && filter !== null,
  );
  const item = found ?? only(asked.data).find((one) => one.name === name);
  const title = isIdle(name) ? "Idle" : name.split("/").map(readable).join(" / ") || "Everything";
  return (
    <Panel title={title} note={state.by.map(keyTitle).join(" / ")} onClose={onClose}>
      {item ? (
        <Content item={item} into={into} />
      ) : asked.error ? (
        <Failure of={[asked]} />
      ) : asked.isLoading ? (
        <section>
          <Skeleton height={300} />
        </section>
      ) : (
        <section>
          <p className="muted">
            There is no such item among what is shown. Close this, or change window and filter.
          </p>
        </section>
      )}
    </Panel>
  );
}

function Content({ item, into }: { item: Allocation; into: string | null }) {
  const { money, clock } = useSettings();
  const costs: readonly [string, number, number, number][] = [
    ["CPU", item.cpuCost, item.cpuCostAdjustment, item.cpuCostIdle],
    ["Memory", item.ramCost, item.ramCostAdjustment, item.ramCostIdle],
    ["GPU", item.gpuCost, item.gpuCostAdjustment, item.gpuCostIdle],
    ["Volumes", item.pvCost, item.pvCostAdjustment, 0],
    ["Network", item.networkCost, item.networkCostAdjustment, 0],
    ["Load balancers", item.loadBalancerCost, item.loadBalancerCostAdjustment, 0],
    ["Shared", item.sharedCost, 0, 0],
    ["External", item.externalCost, 0, 0],
  ];
  const hasIdle = costs.some(([, , , idle]) => idle !== 0);
  const uses: readonly [string, number, number, number, (value: number) => string, string][] = [
    [
      "CPU",
      item.cpuCoreRequestAverage,
      item.cpuCoreUsageAverage,
      item.cpuCores,
      (value) => amount(value, "cores"),
      "c0",
    ],
    ["Memory", item.ramByteRequestAverage, item.ramByteUsageAverage, item.ramBytes, bytes, "c4"],
    ["GPU", item.gpuRequestAverage, item.gpuUsageAverage, item.gpuCount, (value) => amount(value), "c2"],
  ];
  const { properties } = item;
  const volumes = Object.entries(item.pvs ?? {}).toSorted(([, one], [, other]) => other.cost - one.cost);
  const balancers = Object.values(item.lbAllocations ?? {});
  return (
    <>
      <section>
        <p className="tile-like">
          <b data-figure="detail-total">{money.full(item.totalCost)}</b>
          {!isIdle(item.name) && <span className="muted">{percent(item.totalEfficiency)} efficient</span>}
          {into && (
            <Link className="button small" to={into}>
              Look into it <Icon name="right" size={12} />
            </Link>
          )}
        </p>
      </section>
      <section>
        <h3>Costs</h3>
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Resource</th>
              <th scope="col" className="num">
                Cost
              </th>
              <th scope="col" className="num">
                Adjustment
              </th>
              {hasIdle && (
                <th scope="col" className="num">
                  Of it idle
                </th>
              )}
            </tr>
          </thead>
          <tbody>
            {costs
              .filter(([, cost, adjustment]) => cost !== 0 || adjustment !== 0)
              .map(([name, cost, adjustment, idle]) => (
                <tr key={name}>
                  <th scope="row">{name}</th>
                  <td className="num">{money.full(cost)}</td>
                  <td className="num">{adjustment === 0 ? "–" : money.change(adjustment)}</td>
                  {hasIdle && <td className="num">{idle === 0 ? "–" : money.full(idle)}</td>}
                </tr>
              ))}
          </tbody>
        </table>
      </section>
      {!isIdle(item.name) && (
        <section>
          <h3>Requested and used</h3>
          {uses
            .filter(([, requested, used, allocated]) => requested > 0 || used > 0 || allocated > 0)
            .map(([name, requested, used, allocated, write, colour]) => {
              const most = Math.max(requested, used, allocated);
              return (
                <div key={name} className="use-block">
                  <h4>{name}</h4>
                  <Gauge name="Requested" share={requested / most} text={write(requested)} colour={colour} />
                  <Gauge name="Used" share={used / most} text={write(used)} colour={colour} />
                  <Gauge name="Paid for" share={allocated / most} text={write(allocated)} colour={colour} />
                </div>
              );
            })}
          <p className="hint">
            Averages over the time that it ran. Paid for is the larger of requested and used at each moment.
          </p>
        </section>
      )}
      {(volumes.length > 0 || balancers.length > 0) && (
        <section>
          <h3>Volumes and load balancers</h3>
          <Pairs
            pairs={[
              ...volumes
                .slice(0, 20)
                .map(
                  ([name, { cost }]) =>
                    [name.replace(/^cluster=(.*):name=/, "$1 / "), money.full(cost)] as const,
                ),
              ...(volumes.length > 20 ? [[`${volumes.length - 20} more`, ""] as const] : []),
              ...balancers.map(({ service, cost }) => [service, money.full(cost)] as const),
            ]}
          />
        </section>
      )}
      <section>
        <h3>More</h3>
        <Pairs
          pairs={[
            ["From", clock.full(item.start)],
            ["To", clock.full(item.end)],
            ["Cluster", properties.cluster],
            ["Node", properties.node],
            ["Namespace", properties.namespace],
            ["Controller", [properties.controllerKind, properties.controller].filter(Boolean).join(": ")],
            ["Pod", properties.pod],
            ["Container", properties.container],
            ["Provider ID", properties.providerID],
            ["Services", properties.services?.join(", ")],
            ["CPU hours", item.cpuCoreHours ? amount(item.cpuCoreHours, "core hours") : ""],
            ["GPU hours", item.gpuHours ? amount(item.gpuHours) : ""],
            ["Sent", item.networkTransferBytes ? bytes(item.networkTransferBytes) : ""],
            ["Received", item.networkReceiveBytes ? bytes(item.networkReceiveBytes) : ""],
            ["Across zones", item.networkCrossZoneCost ? money.full(item.networkCrossZoneCost) : ""],
            ["Across regions", item.networkCrossRegionCost ? money.full(item.networkCrossRegionCost) : ""],
            ["To the internet", item.networkInternetCost ? money.full(item.networkInternetCost) : ""],
            ...Object.entries(properties.labels ?? {})
              .slice(0, 40)
              .map(([name, value]) => [`Label ${name}`, value] as const),
          ]}
        />
      </section>
    </>
  );
}
