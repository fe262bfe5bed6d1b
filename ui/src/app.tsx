/** The frame around the views. */

import { useEffect, useRef } from "react";
import { useStatus } from "./api/queries";
import { Account } from "./components/access";
import { Icon } from "./components/icons";
import { Link } from "./components/link";
import { SavedViewsMenu } from "./components/saved-views";
import { SettingsProvider, useSettings } from "./components/settings";
import { ThemeSwitch } from "./components/theme";
import icon from "./icon.svg";
import { ago } from "./lib/format";
import { useSearch } from "./state/url";
import { readView, viewQuery, VIEWS, type View } from "./state/view";
import { Allocations } from "./views/allocations";
import { Assets } from "./views/assets";
import { Clusters } from "./views/clusters";
import { Overview } from "./views/overview";

const TITLES: Record<View, string> = {
  overview: "Overview",
  allocations: "Allocations",
  assets: "Assets",
  clusters: "Clusters",
};

const SHOWS: Record<View, () => React.JSX.Element> = {
  overview: Overview,
  allocations: Allocations,
  assets: Assets,
  clusters: Clusters,
};

export function App() {
  const search = useSearch();
  const view = readView(search);
  const before = useRef(view);
  useEffect(() => {
    document.title = `${TITLES[view]} · FedCost`;
    if (before.current === view) return;
    before.current = view;
    // As when a page is loaded: reading goes on at its beginning.
    document.getElementById("main")?.focus({ preventScroll: true });
    window.scrollTo({ top: 0 });
  }, [view]);
  const Shown = SHOWS[view];
  return (
    <SettingsProvider>
      <a className="skip" href="#main">
        Skip to the figures
      </a>
      <div className="shell">
        <header className="rail">
          <Link className="brand" to="">
            <img src={icon} alt="" />
            FedCost
          </Link>
          <nav aria-label="Views">
            <ul>
              {VIEWS.map((one) => (
                <li key={one}>
                  <Link to={viewQuery(search, one)} aria-current={one === view ? "page" : undefined}>
                    <Icon name={one} size={18} />
                    {TITLES[one]}
                  </Link>
                </li>
              ))}
            </ul>
          </nav>
          <div className="rail-foot">
            <State />
            <div className="toolbar">
              <SavedViewsMenu />
              <Account />
              <ThemeSwitch />
              <a className="button quiet small" href="api">
                API
              </a>
            </div>
          </div>
        </header>
        <main className="main" id="main" tabIndex={-1}>
          <Shown />
        </main>
      </div>
    </SettingsProvider>
  );
}

/** In one line: whether what is shown is current. */
function State() {
  const { data, error } = useStatus();
  const { clock } = useSettings();
  const busy = data?.ingest && data.ingest.state !== "idle";
  const mood = error
    ? "bad"
    : !data
      ? ""
      : !data.ready
        ? "warn"
        : data.ingest?.lastError
          ? "bad"
          : busy
            ? "warn"
            : "good";
  const text = error
    ? "Gateway not reachable"
    : !data
      ? "…"
      : !data.ready
        ? (data.reasons[0] ?? "Not ready")
        : busy
          ? `Ingest: ${data.ingest?.state}`
          : `Released ${ago(data.release?.published)}`;
  return (
    <p
      className="rail-state"
      role="status"
      title={
        data?.release ? `Release ${data.release.number}, ${clock.full(data.release.published)}` : undefined
      }
    >
      <span className={`dot ${mood}`} />
      <span className="rail-text">{text}</span>
    </p>
  );
}
