/** A panel at the right with everything about one item. Escape closes it. */

import { useEffect, useRef, type ReactNode } from "react";
import { Icon } from "./icons";

export function Panel({
  title,
  note,
  onClose,
  children,
}: {
  title: string;
  note?: ReactNode;
  onClose: () => void;
  children: ReactNode;
}) {
  const panel = useRef<HTMLElement>(null);
  useEffect(() => {
    // Back to where the panel was opened from.
    const before = document.activeElement;
    panel.current?.focus();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <aside
      className="panel"
      ref={panel}
      tabIndex={-1}
      role="dialog"
      aria-label={`Details of ${title}`}
      onKeyDown={(event) => {
        if (event.key === "Escape") onClose();
      }}
    >
      <div className="panel-head">
        <div>
          <h2>{title}</h2>
          <p className="muted">{note}</p>
        </div>
        <button type="button" className="button quiet icon" aria-label="Close the details" onClick={onClose}>
          <Icon name="close" />
        </button>
      </div>
      {children}
    </aside>
  );
}

/** Names and what they are; what is empty is left out. */
export function Pairs({ pairs }: { pairs: readonly (readonly [string, ReactNode])[] }) {
  return (
    <dl className="pairs">
      {pairs
        .filter(([, value]) => value !== undefined && value !== null && value !== "")
        .map(([name, value]) => [<dt key={`${name} dt`}>{name}</dt>, <dd key={name}>{value}</dd>])}
    </dl>
  );
}

/** A part of one as a bar, with what it says. */
export function Gauge({
  name,
  share,
  text,
  colour = "",
}: {
  name: string;
  share: number;
  text: string;
  colour?: string;
}) {
  const width = `${Math.min(100, Math.max(0, share * 100))}%`;
  return (
    <div className="gauge">
      <span>{name}</span>
      <span className="track">
        <i className={colour} style={{ width }} />
      </span>
      <span>{text}</span>
    </div>
  );
}
