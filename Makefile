# The few commands that a person needs. `make` alone lists them.

CARGO ?= cargo
NPM ?= npm

# The web page is built with Node.js, and the rest without it.
HAS_NODE := $(shell command -v $(NPM) >/dev/null && node ui/node-is-new-enough.cjs 2>/dev/null && echo yes)
UI_SOURCES := $(shell find ui/src ui/index.html ui/vite.config.ts ui/tsconfig.json -type f -not -name '*.test.ts')
UI_PAGE := ui/built/page/index.html
UI_PACKAGES := ui/node_modules/.package-lock.json

.DEFAULT_GOAL := help
.PHONY: help demo ui ui-if-possible test test-model test-stores test-helm test-alerts test-jaeger test-clients test-soak test-ui lint lint-ui bench bench-ingest bench-page bench-storage bench-crates

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ui-if-possible ## Build, fill a bucket under .fedcost with made-up clusters, and serve it at http://127.0.0.1:9090
	@echo "building fedcost, without optimisation; the first build takes some minutes, and cargo shows how far it is"
	$(CARGO) run --package fedcost -- up --demo

ui: $(UI_PAGE) ## Build the web page, which the next build of gateway-svc embeds; needs Node.js 20.19 or newer with npm

$(UI_PACKAGES): ui/package.json ui/package-lock.json ui/.npmrc
	cd ui && $(NPM) ci
	@touch $@

$(UI_PAGE): $(UI_PACKAGES) $(UI_SOURCES)
	cd ui && $(NPM) run build

ui-if-possible:
ifeq ($(HAS_NODE),yes)
	@$(MAKE) --no-print-directory ui
else
	@echo "Node.js 20.19 or newer with npm is missing, so this is built without the web page; the API is complete"
endif

test: ## Run all tests; they install what they need under target/
	$(CARGO) test --workspace

test-model: ## Play 500 random histories of a bucket against a model of what its tables must hold
	FEDCOST_SEQUENCES=500 $(CARGO) test --release --package ingest-svc --lib -- model --nocapture

test-stores: ## Test the storage gateway over MinIO, Azurite and fake-gcs-server; installs them under target/ with Go and npm
	$(CARGO) test --workspace --test storage --test stores -- --test-threads 2

test-helm: ## Check the Helm chart, its network policies and the alert rules; installs helm and kubeconform with Go
	tests/helm/run.sh

test-alerts: ## Test the alert rules on made-up series; needs promtool (Debian's package prometheus)
	tests/alerts/run.sh

test-jaeger: ## Test the traces in a real Jaeger; installs it under target/ with Go
	tests/jaeger/run.sh

test-clients: ## Run the example clients in Go and Python, and the questions of the Grafana dashboard of costs
	tests/clients/run.sh

test-soak: ## Ten minutes of traffic with rolling restarts and renewed certificates: no failed request, no growth in memory
	tests/soak/run.sh

test-ui: ui ## Test the web page: its logic, and in Chromium over the golden bucket; installs Debian's chromium
	cd ui && $(NPM) test
	ui/tests/install-chromium.sh
	@# The program as `make test` builds it: by itself it would be built anew, with fewer features.
	$(CARGO) test --workspace --no-run --test fedcost
	cd ui && $(NPM) run test:browser

lint-ui: $(UI_PACKAGES)
	cd ui && $(NPM) run lint

# The page's types and format too, where there is Node.js.
ifeq ($(HAS_NODE),yes)
lint: lint-ui
endif
lint: ## Check the format, and deny the warnings of clippy
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- --deny warnings
	$(CARGO) clippy --workspace --test stores -- --deny warnings

bench: ## Time questions over a month of 900,000 rows, beside DuckDB over the same files
	tests/bench/month.sh

bench-ingest: ## Time ingest: a month of 900,000 rows, a changed file, and a cycle over 56,000 files without news
	tests/bench/ingest.sh

bench-page: ui ## Time the web page's first figures in a fresh Chromium, on the month that `make bench` leaves
	$(CARGO) build --release
	python3 tests/bench/page.py

bench-storage: ## Time reads and writes through the storage gateway, beside the same on MinIO and a local folder
	$(CARGO) bench --package storage-svc --bench gateway

bench-crates: ## Run the benchmarks of the crates
	$(CARGO) bench --workspace --benches
