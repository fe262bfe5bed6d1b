import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { retry } from "./api/queries";
import { App } from "./app";
import { applyTheme } from "./components/theme";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/layout.css";
import "./styles/controls.css";
import "./styles/calendar.css";
import "./styles/tiles.css";
import "./styles/charts.css";
import "./styles/tables.css";
import "./styles/notes.css";
import "./styles/details.css";

applyTheme();

const queries = new QueryClient({
  defaultOptions: { queries: { retry, refetchOnWindowFocus: false } },
});
const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <App />
      </QueryClientProvider>
    </StrictMode>,
  );
}
