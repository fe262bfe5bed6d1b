/** Everything about one asset. */

import type { Asset, Breakdown } from "../api/types";
import { Icon } from "../components/icons";
import { Link } from "../components/link";
import { Skeleton } from "../components/notes";
import { Gauge, Pairs, Panel } from "../components/panel";
import { useSettings } from "../components/settings";
import { amount, bytes, percent } from "../lib/format";

interface Props {
  title: string;
  asset: Asset | undefined;
  stale: boolean;
  inside: string | null;
  onClose: () => void;
}

export function AssetDetail({ title, asset, stale, inside, onClose }: Props) {
  return (
    <Panel title={title} note={asset?.type ?? ""} onClose={onClose}>
      {asset ? (
        <Content asset={asset} inside={inside} />
      ) : (
        <section>
          {stale ? (
            <Skeleton height={300} />
          ) : (
            <p className="muted">
              It is not on this page of the table. Close this, or change page, window or filter.
            </p>
          )}
        </section>
      )}
    </Panel>
  );
}

const PARTS: readonly [keyof Breakdown, string, string][] = [
  ["user", "User", "c0"],
  ["system", "System", "c4"],
  ["other", "Other", "c5"],
  ["idle", "Idle", "c-idle"],
];

function Parts({ title, breakdown }: { title: string; breakdown: Breakdown | undefined }) {
  if (!breakdown || PARTS.every(([part]) => !breakdown[part])) return null;
  return (
    <div className="use-block">
      <h4>{title}</h4>
      {PARTS.map(([part, name, colour]) => (
        <Gauge
          key={part}
          name={name}
          share={breakdown[part]}
          text={percent(breakdown[part])}
          colour={colour}
        />
      ))}
    </div>
  );
}

function Content({ asset, inside }: { asset: Asset; inside: string | null }) {
  const { money, clock } = useSettings();
  const { properties } = asset;
  const cost = (value: number | undefined) => (value ? money.full(value) : "");
  const isDisk = asset.bytes !== undefined;
  const hasParts = [asset.cpuBreakdown, asset.ramBreakdown, asset.breakdown].some(
    (breakdown) => breakdown && PARTS.some(([part]) => breakdown[part]),
  );
  return (
    <>
      <section>
        <p className="tile-like">
          <b data-figure="detail-total">{money.full(asset.totalCost)}</b>
          {inside && (
            <Link className="button small" to={inside}>
              What it consists of <Icon name="right" size={12} />
            </Link>
          )}
        </p>
      </section>
      <section>
        <h3>Costs</h3>
        <Pairs
          pairs={[
            ["CPU", cost(asset.cpuCost)],
            ["Memory", cost(asset.ramCost)],
            ["GPU", cost(asset.gpuCost)],
            ["Discount", asset.discount ? percent(asset.discount) : ""],
            ["Adjustment", asset.adjustment ? money.change(asset.adjustment) : "None"],
          ]}
        />
      </section>
      {hasParts && (
        <section>
          <h3>{isDisk ? "What the space is used for" : "What the time is used for"}</h3>
          <Parts title="CPU" breakdown={asset.cpuBreakdown} />
          <Parts title="Memory" breakdown={asset.ramBreakdown} />
          <Parts title="Space" breakdown={asset.breakdown} />
        </section>
      )}
      <section>
        <h3>More</h3>
        <Pairs
          pairs={[
            ["From", clock.full(asset.start)],
            ["To", clock.full(asset.end)],
            ["Cluster", properties.cluster],
            ["Provider", properties.provider],
            ["Account", properties.account],
            ["Project", properties.project],
            ["Category", properties.category],
            ["Provider ID", properties.providerID],
            ["Machine type", asset.nodeType],
            [
              "Preemptible",
              asset.nodeType === undefined ? "" : asset.preemptible ? percent(asset.preemptible) : "No",
            ],
            ["CPU", asset.cpuCores ? amount(asset.cpuCores, "cores") : ""],
            ["CPU hours", asset.cpuCoreHours ? amount(asset.cpuCoreHours, "core hours") : ""],
            ["Memory", asset.ramBytes ? bytes(asset.ramBytes) : ""],
            ["GPU", asset.gpuCount ? amount(asset.gpuCount) : ""],
            [
              "Overhead",
              asset.overhead?.OverheadCostFraction ? percent(asset.overhead.OverheadCostFraction) : "",
            ],
            ["Size", isDisk ? bytes(asset.bytes) : ""],
            ["Most used", asset.byteUsageMax ? bytes(asset.byteUsageMax) : ""],
            ["Storage class", asset.storageClass],
            ["Volume", asset.volumeName],
            ["Claim", [asset.claimNamespace, asset.claimName].filter(Boolean).join(" / ")],
            ["Address", asset.ip],
            ["Private", asset.private === undefined ? "" : asset.private ? "Yes" : "No"],
            ...Object.entries(asset.labels ?? {}).map(
              ([name, value]) => [name.replace(/^label_/, "Label "), value] as const,
            ),
          ]}
        />
      </section>
    </>
  );
}
