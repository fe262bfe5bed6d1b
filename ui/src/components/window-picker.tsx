/** Which time is looked at: presets, or days in a calendar. */

import { useState } from "react";
import { DayPicker, type DateRange } from "react-day-picker";
import { PRESETS, spanOf, windowOf, windowTitle } from "../lib/time";
import { changed, go, useSearch } from "../state/url";
import { ANEW, DEFAULT_WINDOW, readWindow } from "../state/view";
import { Icon } from "./icons";
import { Popover } from "./popover";
import { useSettings } from "./settings";

export function WindowPicker() {
  const search = useSearch();
  const { clock } = useSettings();
  const window = readWindow(search);
  const choose = (next: string) =>
    go(changed(search, { ...ANEW, window: next === DEFAULT_WINDOW ? null : next }));
  return (
    <Popover
      end
      label={
        <>
          <Icon name="calendar" />
          {windowTitle(window, clock)}
          <Icon name="down" size={12} />
        </>
      }
      title={`Window: ${windowTitle(window, clock)}`}
    >
      {(close) => (
        <div className="window-pop">
          <div className="menu" role="group" aria-label="Presets">
            {PRESETS.map((preset) => (
              <button
                key={preset.window}
                type="button"
                aria-pressed={preset.window === window}
                onClick={() => {
                  choose(preset.window);
                  close();
                }}
              >
                {preset.title}
              </button>
            ))}
          </div>
          <Calendar
            window={window}
            choose={(next) => {
              choose(next);
              close();
            }}
          />
        </div>
      )}
    </Popover>
  );
}

function Calendar({ window, choose }: { window: string; choose: (window: string) => void }) {
  const { clock } = useSettings();
  // The calendar's dates are just years, months and days, whatever this browser's time zone is.
  const dateOf = (time: number) => new Date(...clock.date(time));
  const span = spanOf(window);
  const [range, setRange] = useState<DateRange | undefined>(
    span ? { from: dateOf(span.start), to: dateOf(span.end - 1) } : undefined,
  );
  const instant = (date: Date, days = 0) =>
    clock.instant(date.getFullYear(), date.getMonth(), date.getDate() + days);
  const from = range?.from;
  const to = range?.to ?? from;
  return (
    <div className="calendar">
      <DayPicker
        mode="range"
        selected={range}
        onSelect={setRange}
        defaultMonth={range?.to ?? new Date()}
        disabled={{ after: new Date() }}
        weekStartsOn={0}
        showOutsideDays
        fixedWeeks
      />
      <div className="form-end">
        <span className="hint" aria-live="polite">
          {from && to
            ? clock.span({ start: instant(from), end: instant(to, 1) })
            : "Choose the first and the last day"}
        </span>
        <button
          type="button"
          className="button small primary"
          disabled={!from || !to}
          onClick={() => from && to && choose(windowOf({ start: instant(from), end: instant(to, 1) }))}
        >
          Apply
        </button>
      </div>
    </div>
  );
}
