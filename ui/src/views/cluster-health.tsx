/** Whether each cluster's files are fresh, complete and readable, and those that are not. */

import { ApiError } from "../api/client";
import { useHealth, useSetAside } from "../api/queries";
import type { ClusterHealth, PipelineHealth } from "../api/types";
import { Failure, Skeleton } from "../components/notes";
import { useSettings } from "../components/settings";
import { ago, bytes, count } from "../lib/format";

/** What a pipeline of a resolution is called: `allocations/1d`. */
function pipelineTitle(name: string): string {
  const [pipeline = "", resolution = ""] = name.split("/");
  const length = { "1d": "daily", "1h": "hourly" }[resolution] ?? resolution;
  return `${pipeline.charAt(0).toUpperCase()}${pipeline.slice(1)}, ${length}`;
}

export function Health() {
  const health = useHealth();
  const { data } = health;
  // This gateway is of a version that does not answer this.
  if (health.error instanceof ApiError && health.error.status === 404) return null;
  const names = [
    ...new Set(Object.values(data?.clusters ?? {}).flatMap(({ pipelines }) => Object.keys(pipelines))),
  ].sort();
  const overview = data?.overview;
  return (
    <section className="card" aria-labelledby="health">
      <div className="card-head">
        <h2 id="health">Health of the data</h2>
        {overview && (
          <span className="toolbar">
            <Count mood="good" number={overview.healthy} text="healthy" />
            <Count mood="warn" number={overview.stale} text="stale" />
            <Count mood="warn" number={overview.incomplete} text="incomplete" />
            <Count mood="bad" number={overview.withErrors} text="with errors" />
          </span>
        )}
      </div>
      {health.error && !data ? (
        <Failure of={[health]} />
      ) : !data ? (
        <div className="card-body">
          <Skeleton height={160} />
        </div>
      ) : (
        <div className="table-wrap" tabIndex={0} role="region" aria-label="Health of each cluster's data">
          <table className="table">
            <thead>
              <tr>
                <th scope="col">Cluster</th>
                {names.map((name) => (
                  <th key={name} scope="col">
                    {pipelineTitle(name)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {Object.entries(data.clusters).map(([id, cluster]) => (
                <Row key={id} id={id} cluster={cluster} names={names} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function Count({ mood, number, text }: { mood: string; number: number; text: string }) {
  if (number === 0) return null;
  return (
    <span className={`badge ${mood}`}>
      {count(number)} {text}
    </span>
  );
}

function Row({ id, cluster, names }: { id: string; cluster: ClusterHealth; names: readonly string[] }) {
  return (
    <tr>
      <th scope="row">{id}</th>
      {names.map((name) => {
        const pipeline = cluster.pipelines[name];
        return (
          <td key={name}>{pipeline ? <State pipeline={pipeline} /> : <span className="muted">none</span>}</td>
        );
      })}
    </tr>
  );
}

function State({ pipeline }: { pipeline: PipelineHealth }) {
  const { clock } = useSettings();
  const troubles = [
    pipeline.freeOfErrors ? "" : `${count(pipeline.filesSetAside)} set aside`,
    pipeline.complete ? "" : `${count(pipeline.missingWindows)} missing`,
    pipeline.fresh ? "" : `last ${ago(pipeline.lastWindow)}`,
  ].filter(Boolean);
  const mood = !pipeline.freeOfErrors ? "bad" : troubles.length ? "warn" : "good";
  return (
    <span
      className={`badge ${mood}`}
      title={`${count(pipeline.windows)} windows until ${clock.full(pipeline.lastWindow)}`}
    >
      <span className={`dot ${mood}`} />
      {troubles.length ? troubles.join(", ") : "Good"}
    </span>
  );
}

/** Files that could not be read, with the reason. */
export function SetAside() {
  const { clock } = useSettings();
  const health = useHealth();
  const files = useSetAside((health.data?.overview.withErrors ?? 0) > 0);
  const { data } = files;
  if (files.error && !data) {
    return (
      <section className="card">
        <Failure of={[files]} />
      </section>
    );
  }
  if (!data || data.length === 0) return null;
  return (
    <section className="card" aria-labelledby="set-aside">
      <div className="card-head">
        <h2 id="set-aside">Files that cannot be read</h2>
        <span className="hint">They are read again when they change; what earlier versions gave stays</span>
      </div>
      <div className="table-wrap" tabIndex={0} role="region" aria-label="Files that cannot be read">
        <table className="table">
          <thead>
            <tr>
              <th scope="col">File</th>
              <th scope="col">Why</th>
              <th scope="col">Written</th>
              <th scope="col" className="num">
                Size
              </th>
            </tr>
          </thead>
          <tbody>
            {data.map((file) => (
              <tr key={file.path}>
                <th scope="row" className="name mono" title={file.path}>
                  {file.path}
                </th>
                <td>{file.error}</td>
                <td title={clock.full(file.lastModified)}>{ago(file.lastModified)}</td>
                <td className="num">{bytes(file.size)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
