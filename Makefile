# The project's tasks. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

CARGO ?= cargo
# How long `make demo` runs; empty: until Ctrl-C.
SECONDS ?=
# How long each fuzz target runs; `make test` takes 10.
FUZZ_SECONDS ?= 60

# command=package: what the tests, the demo and the benches need of Debian.
RUN_PROGRAMS := cc=gcc unshare=util-linux $(if $(filter-out 0,$(shell id -u)),newuidmap=uidmap) \
	prometheus=prometheus prometheus-alertmanager=prometheus-alertmanager
TEST_PROGRAMS := $(RUN_PROGRAMS) promtool=prometheus g++=g++ ip=iproute2 ipcmk=util-linux python3=python3 \
	chromium=chromium chromedriver=chromium-driver npm=npm \
	victoria-metrics=victoria-metrics vmagent=victoria-metrics vmalert=victoria-metrics
PACKAGE_PROGRAMS := cc=gcc git=git objdump=binutils pip3=python3-pip
PACKAGE_TEST_PROGRAMS := $(PACKAGE_PROGRAMS) curl=curl lintian=lintian rpm=rpm rpmlint=rpmlint setpriv=util-linux \
	systemd-analyze=systemd unshare=util-linux
BENCH_PROGRAMS := $(RUN_PROGRAMS) python3=python3 ip=iproute2 setpriv=util-linux strace=strace mtail=mtail wrk=wrk \
	prometheus-process-exporter=prometheus-process-exporter prometheus-node-exporter=prometheus-node-exporter \
	prometheus-blackbox-exporter=prometheus-blackbox-exporter

# How long `make endure` goes on; `make test` takes one.
MINUTES ?= 60

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## A module dies, the operator is notified, it is repaired: on a simulated host; SECONDS=60 ends it by itself
	@.ci/need $(RUN_PROGRAMS)
	$(CARGO) build --workspace --locked --example demo --bins
	@exec .ci/namespaces "$$($(CARGO) metadata --format-version 1 --no-deps --locked | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')/debug/examples/demo" $(SECONDS)

.PHONY: test
test: FUZZ_SECONDS := 10
test: lint test-all fuzz ## Everything CI runs: format, lints, all tests, the fuzz targets

.PHONY: lint
lint:
	@.ci/need $(TEST_PROGRAMS)
	$(CARGO) fmt --all --check
	.ci/deny
	$(CARGO) metadata --manifest-path fuzz/Cargo.toml --locked --format-version 1 >/dev/null
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

.PHONY: test-all
test-all:
	@.ci/need $(TEST_PROGRAMS)
	$(CARGO) build --workspace --all-targets --locked
	$(CARGO) test --workspace --locked -- --skip soak::
	$(CARGO) test --workspace --locked --test integration -- soak::

.PHONY: soak
soak: ## Write gigabytes of logs as fast as can be, and compare every counter with the truth
	@.ci/need $(TEST_PROGRAMS)
	$(CARGO) build --workspace --locked
	$(CARGO) test --workspace --locked --test integration -- soak:: --nocapture

.PHONY: endure
endure: ## An hour of everything at once, or MINUTES: answers in time, nothing grows, every counter right in the end
	@.ci/need $(TEST_PROGRAMS)
	$(CARGO) build --workspace --release --locked
	TEST_LIMIT=$$(( $(MINUTES) * 60 + 600 )) CAMPAIGN_ENDURE_MINUTES=$(MINUTES) \
		$(CARGO) test --workspace --release --locked --test integration -- soak::endure:: --nocapture

.PHONY: fuzz
fuzz: ## Fuzz every parser for FUZZ_SECONDS (60) each, over the kept corpus
	@.ci/need $(TEST_PROGRAMS)
	fuzz/run.sh $(FUZZ_SECONDS)

.PHONY: generate
generate: ## Rewrite what is rendered from the catalog: alerts/, docs/metrics.md
	CAMPAIGN_GENERATE=1 $(CARGO) test --workspace --locked --test integration current

.PHONY: golden
golden: ## Rewrite the golden files in tests/fixtures
	CAMPAIGN_GOLDEN=1 $(CARGO) test --workspace --locked --test integration golden

.PHONY: pictures
pictures: ## Take the pictures of README.md anew, into docs/pictures
	@.ci/need $(TEST_PROGRAMS)
	$(CARGO) build --workspace --locked
	CAMPAIGN_PICTURES=docs/pictures $(CARGO) test --workspace --locked --test integration -- pages::

.PHONY: bench
bench: ## Measure against process-exporter, mtail, blackbox_exporter and node_exporter; needs root and a quiet machine
	@.ci/need $(BENCH_PROGRAMS)
	$(CARGO) build --quiet --workspace --release --locked
	benches/defaults.py
	benches/scrapes.py
	benches/faults.py
	benches/mtail.py
	benches/rules.py

.PHONY: package
package: ## The .deb, the .rpm and the tarball of a release, in target/package/dist
	@.ci/need $(PACKAGE_PROGRAMS)
	packaging/build.sh

.PHONY: package-test
package-test: ## Install, upgrade, run, remove and purge the packages in a copy of this system; needs root
	@.ci/need $(PACKAGE_TEST_PROGRAMS)
	$(CARGO) build --quiet --locked --package campaign_simulator
	packaging/test.sh
