# The few commands that a person needs. `make` alone lists them.

CARGO ?= cargo

.DEFAULT_GOAL := help
.PHONY: help demo test test-stores test-helm test-alerts test-jaeger test-clients soak lint bench bench-storage bench-crates

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Build, fill a bucket under .fedcost with made-up clusters, and serve it at http://127.0.0.1:9090
	@echo "building fedcost, without optimisation; the first build takes some minutes, and cargo shows how far it is"
	$(CARGO) run --package fedcost -- up --demo

test: ## Run all tests; they install what they need under target/
	$(CARGO) test --workspace

test-stores: ## Test the storage gateway over MinIO, Azurite and fake-gcs-server; installs them under target/ with Go and npm
	$(CARGO) test --package storage-svc --test storage --test stores -- --test-threads 2

test-helm: ## Check the Helm chart, its network policies and the alert rules; installs helm and kubeconform with Go
	tests/helm/run.sh

test-alerts: ## Test the alert rules on made-up series; needs promtool (Debian's package prometheus)
	tests/alerts/run.sh

test-jaeger: ## Check the traces of a question and of a cycle in a real Jaeger, installed with Go
	tests/jaeger/run.sh

test-clients: ## Run the example clients in Go and Python, and the questions of the Grafana dashboard of costs
	tests/clients/run.sh

soak: ## Ten minutes of traffic with rolling restarts and renewed certificates: no failed request, no growth in memory
	$(CARGO) build --release --package fedcost --package storage-svc --package ingest-svc --package query-svc --package gateway-svc
	python3 tests/soak/soak.py --bin target/release

lint: ## Check the format, and deny the warnings of clippy
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- --deny warnings
	$(CARGO) clippy --package storage-svc --test stores -- --deny warnings

bench: ## Time questions over a month of 900,000 rows, beside DuckDB over the same files
	tests/bench/month.sh

bench-storage: ## Time reads and writes through the storage gateway, beside the same on MinIO and a local folder
	$(CARGO) bench --package storage-svc --bench gateway

bench-crates: ## Run the benchmarks of the crates
	$(CARGO) bench --workspace --benches
