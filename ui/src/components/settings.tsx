/** What all views share: the currency, the server's clock. */

import { createContext, useContext, useMemo, type ReactNode } from "react";
import { useCurrency, useStatus } from "../api/queries";
import { money, WAITING, type Money } from "../lib/format";
import { clock, type Clock } from "../lib/time";

interface Settings {
  money: Money;
  clock: Clock;
}

const SettingsContext = createContext<Settings>({ money: WAITING, clock: clock(0) });

export function SettingsProvider({ children }: { children: ReactNode }) {
  const currency = useCurrency();
  const offset = useStatus().data?.utcOffsetMinutes ?? 0;
  const settings = useMemo(
    () => ({ money: currency === undefined ? WAITING : money(currency), clock: clock(offset) }),
    [currency, offset],
  );
  return <SettingsContext value={settings}>{children}</SettingsContext>;
}

export function useSettings(): Settings {
  return useContext(SettingsContext);
}
