# What each target needs: Rust, a C compiler and git. `e2e` also builds a control plane and helm
# with Go, once, into a cache.

CARGO ?= cargo
SEEDS ?= 500
SEED ?= 1
FUZZ_SECONDS ?= 60
STATES ?= 150000

.PHONY: help demo check test sim planted explore e2e fuzz bench oracle docs bless ci

help: ## Show the targets
	@sed -n 's/^\([a-z0-9]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

demo: ## Watch a change go staging, canary, production, and a bad one being stopped
	$(CARGO) run --quiet --release -- demo

check: ## Format, lints, tidy, licences
	$(CARGO) fmt --check
	$(CARGO) clippy --quiet --all-targets --locked -- -D warnings
	$(CARGO) test --quiet --locked --test it tidy::
	@if command -v cargo-deny >/dev/null; then cargo deny --log-level error check; \
	else echo "check: cargo-deny is not installed, so licences and advisories were not checked"; fi

test: ## Unit and integration tests and SEEDS random histories, without a network or a cluster
	$(CARGO) test --locked
	$(MAKE) --no-print-directory sim

sim: ## The laws under SEEDS random histories, from SEED on
	$(CARGO) run --quiet --release --locked -- sim check --seeds $(SEEDS) --seed $(SEED)

planted: SEEDS = 2000
planted: ## Look for each planted fault in SEEDS histories
	FITOUT_PLANTED=$(SEEDS) $(CARGO) test --release --locked --lib every_planted -- --nocapture

explore: ## Every order of events of small rollouts with two faults, up to STATES states each
	FITOUT_EXPLORE=$(STATES) $(CARGO) test --locked --lib explore_tests:: -- --nocapture

e2e: ## The main job on three real control planes, with the real helm and kubectl
	tools=$$(tests/controlplane/build.sh) && export $$tools && \
	FITOUT_E2E=1 $(CARGO) test --locked --test it e2e:: -- --nocapture --test-threads=1

fuzz: ## Each fuzz target for FUZZ_SECONDS; needs cargo-fuzz and a nightly compiler
	for target in template functions yaml archive set; do \
		$(CARGO) +nightly fuzz run --sanitizer none $$target -- \
			-max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=4096 -timeout=60 || exit 1; \
	done

bench: ## Ratios against helm, and figures of the engine
	$(CARGO) bench --locked --bench bench

oracle: ## Record anew what the real helm, a real API server and Go's libraries do
	tools=$$(tests/controlplane/build.sh) && export $$tools && \
	FITOUT_ORACLE="$$FITOUT_HELM" $(CARGO) test --locked --test it charts:: && \
	FITOUT_E2E=1 FITOUT_BLESS=1 $(CARGO) test --locked --test it e2e::parity
	for oracle in tests/oracle/*/; do \
		(cd "$$oracle" && go run . "../../cases/$$(basename "$$oracle")") || exit 1; \
	done

docs: ## Rewrite the generated reference pages
	FITOUT_BLESS=1 $(CARGO) test --quiet --locked --test it -- reference:: parity::every_difference

bless: ## Accept every changed snapshot; read the diff afterwards
	INSTA_UPDATE=always FITOUT_BLESS=1 $(CARGO) test --locked

ci: check test e2e ## What .ci/run runs
