/** Views that were given a name, kept at the gateway: for who saved them, or for all where nobody is told apart. */

import { useState } from "react";
import { useSavedViews, useWho } from "../api/queries";
import { useSearch } from "../state/url";
import { Icon } from "./icons";
import { Link } from "./link";
import { Popover } from "./popover";

export function SavedViewsMenu() {
  return (
    <Popover end className="button quiet icon" label={<Icon name="star" />} title="Saved views">
      {(close) => <Content close={close} />}
    </Popover>
  );
}

function Content({ close }: { close: () => void }) {
  const search = useSearch();
  const { list, save, remove } = useSavedViews();
  const user = useWho().data?.user;
  const [name, setName] = useState("");
  const views = list.data?.views ?? [];
  const query = search.replace(/^\?/, "");
  const unavailable = list.data?.unavailable ?? list.error?.message;
  const failure = save.error ?? remove.error;
  return (
    <div className="form">
      <h3>Saved views</h3>
      {unavailable ? (
        <p className="hint">{unavailable}</p>
      ) : (
        <>
          {list.isPending && <p className="hint">Looking…</p>}
          {list.data && views.length === 0 && (
            <p className="hint">
              None yet. A view is what this page shows now, under a name;{" "}
              {user ? "you alone see it." : "all who use this gateway see it."}
            </p>
          )}
          <ul className="menu" aria-label="Saved views">
            {views.map((view) => (
              <li key={view.name} className="toolbar">
                <Link
                  to={view.query}
                  aria-current={view.query === query ? "true" : undefined}
                  onClick={close}
                >
                  {view.name}
                </Link>
                <button
                  type="button"
                  className="button quiet small icon grow"
                  aria-label={`Delete ${view.name}`}
                  onClick={() => remove.mutate(view.name)}
                >
                  <Icon name="close" size={12} />
                </button>
              </li>
            ))}
          </ul>
          {user && !user.saves && <p className="hint">No role lets you save views.</p>}
          <form
            hidden={user?.saves === false}
            className="toolbar"
            onSubmit={(event) => {
              event.preventDefault();
              save.mutate({ name: name.trim(), query }, { onSuccess: () => setName("") });
            }}
          >
            <label className="labelled">
              <span>Save what is shown as</span>
              <input
                className="field"
                value={name}
                maxLength={100}
                onChange={(event) => setName(event.target.value)}
              />
            </label>
            <button type="submit" className="button primary" disabled={!name.trim() || save.isPending}>
              Save
            </button>
          </form>
          {failure && (
            <p className="hint" role="alert">
              {failure.message}
            </p>
          )}
        </>
      )}
    </div>
  );
}
