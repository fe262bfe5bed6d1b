/** Who is signed in, and what is shown to who is not. The gateway holds to it; this only says so. */

import { useEffect, type ReactNode } from "react";
import { useSignOut, useWho } from "../api/queries";
import { useSearch } from "../state/url";
import type { User } from "../api/types";
import { Icon } from "./icons";
import { Note } from "./notes";
import { Popover } from "./popover";

/** Shows the page to those who may see it. */
export function Gate({ children }: { children: ReactNode }) {
  const { data, isPending } = useWho();
  const search = useSearch();
  const shown = !data || data.mode === "open" || data.user?.views === true;
  useEffect(() => {
    if (!shown) document.title = "FedCost";
  }, [shown]);
  // Nothing is asked before it is known whether it will be answered.
  if (isPending) return null;
  if (shown) return children;
  const back = `/${search}${window.location.hash}`;
  return (
    <main className="main gate" id="main" tabIndex={-1}>
      {data.user ? (
        <Note title="There are no costs for you to see">
          <p>
            You are {data.user.name}, and no role lets you see costs. Ask whoever runs FedCost here for one
            that does.
          </p>
          <SignOut />
        </Note>
      ) : data.signIn ? (
        <Note title="Sign in to see costs">
          <p>You are not signed in, or your session has ended. This view is kept for you meanwhile.</p>
          <a className="button primary" href={`${data.signIn}?back=${encodeURIComponent(back)}`}>
            Sign in
          </a>
        </Note>
      ) : data.mode === "trusted-header" ? (
        <Note title="Come by way of your company's sign-in">
          <p>
            This gateway believes a proxy in front of it, which did not say who you are. Open the address that
            the proxy serves, or ask whoever runs FedCost here.
          </p>
        </Note>
      ) : (
        <Note title="This gateway answers machines">
          <p>It takes API tokens alone. Ask whoever runs FedCost here where people may see costs.</p>
        </Note>
      )}
    </main>
  );
}

/** Who is signed in; nothing where people are not told apart. */
export function Account() {
  const { data } = useWho();
  if (!data?.user) return null;
  const { name } = data.user;
  return (
    <Popover end className="button quiet icon" label={<Icon name="person" />} title={`Signed in as ${name}`}>
      {() => <Details user={data.user as User} canSignOut={data.signOut !== null} />}
    </Popover>
  );
}

function Details({ user, canSignOut }: { user: User; canSignOut: boolean }) {
  return (
    <div className="form">
      <h3>{user.name}</h3>
      {user.id !== user.name && <p className="hint">{user.id}</p>}
      <p className="hint">
        {user.roles.length === 1 ? "Role" : "Roles"}: {user.roles.join(", ")}
      </p>
      {user.limited && (
        <p className="hint">
          You see a part of all clusters. Figures are made of that part alone, and are complete for it.
        </p>
      )}
      {canSignOut && <SignOut />}
    </div>
  );
}

function SignOut() {
  const signOut = useSignOut();
  return (
    <>
      <button type="button" className="button" disabled={signOut.isPending} onClick={() => signOut.mutate()}>
        Sign out
      </button>
      {signOut.error && (
        <p className="hint" role="alert">
          {signOut.error.message}
        </p>
      )}
    </>
  );
}
