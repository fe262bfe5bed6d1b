import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { failed, retry } from "./api/queries";
import { App } from "./app";
import { Gate } from "./components/access";
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

const onError = (error: Error) => failed(queries, error);
const queries: QueryClient = new QueryClient({
  queryCache: new QueryCache({ onError }),
  mutationCache: new MutationCache({ onError }),
  defaultOptions: { queries: { retry, refetchOnWindowFocus: false } },
});
const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <Gate>
          <App />
        </Gate>
      </QueryClientProvider>
    </StrictMode>,
  );
}
