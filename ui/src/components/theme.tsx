/** Light, dark, or as the system says. It is remembered in this browser. */

import { useState } from "react";
import { Icon, type IconName } from "./icons";

const KEY = "fedcost-theme";
const THEMES = ["auto", "light", "dark"] as const;
type Theme = (typeof THEMES)[number];

const LOOKS: Record<Theme, { icon: IconName; title: string }> = {
  auto: { icon: "auto", title: "Colours as the system has them" },
  light: { icon: "sun", title: "Light colours" },
  dark: { icon: "moon", title: "Dark colours" },
};

function stored(): Theme {
  try {
    const theme = localStorage.getItem(KEY);
    return THEMES.find((known) => known === theme) ?? "auto";
  } catch {
    // Storage may be forbidden; then the choice lasts as long as the page.
    return "auto";
  }
}

/** Takes up what was chosen, before anything is drawn. */
export function applyTheme(theme: Theme = stored()): void {
  if (theme === "auto") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
}

export function ThemeSwitch() {
  const [theme, setTheme] = useState(stored);
  const { icon, title } = LOOKS[theme];
  const next = () => {
    const chosen = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "auto";
    setTheme(chosen);
    applyTheme(chosen);
    try {
      localStorage.setItem(KEY, chosen);
    } catch {
      // As above.
    }
  };
  return (
    <button
      type="button"
      className="button quiet icon"
      aria-label={`${title}; change`}
      title={title}
      onClick={next}
    >
      <Icon name={icon} />
    </button>
  );
}
