# `make help` lists the targets. Variables that may be set on the command line:
#   JOBS=N        processes of a campaign (default: one per core)
#   DURATION=30m  length of each part of `make soak`
#   FLOOR=90      lowest line coverage, in per cent, that `make coverage` accepts
#   BENCHFLAGS=…  options of `make bench-cluster`, for instance `--runs 5 --medium disk`
#   MUTANTFLAGS=… options of `make mutants`, for instance `--report report.json`
#   SWIFTFLAGS=…  added to every build, for instance `-j 1`

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

SWIFT ?= swift
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)
DURATION ?= 30m
FLOOR ?= 90

# A crash report keeps pipes open, which hangs whatever reads the output.
export SWIFT_BACKTRACE := enable=no
export SWIFT

checked := --explicit-target-dependency-import-check error $(SWIFTFLAGS)
# With Swift's libraries inside: calls into them are a twentieth of a campaign's time faster, its processes start at once, and
# the binary runs where no Swift is installed. scripts/demo and scripts/bench build the same way.
campaign := $(SWIFT) build -c release --traits Contracts -Xswiftc -cross-module-optimization --static-swift-stdlib \
  --scratch-path .build-contracts $(checked)
rsl := $(SWIFT) build -c release -Xswiftc -cross-module-optimization --static-swift-stdlib $(checked)
# What waits for sockets and processes runs by itself: beside what keeps every thread of the test process busy for a minute and
# more (simulations, and the crash images of a real journal), deadlines would pass before anybody looked. And what measures how
# long a client waits, for word of a full disk or beside a snapshot that is sent, has the machine for itself.
test_parts := '--skip=^(RSLClientTests[.]|RealRuntimeTests[.](?!CheckedRegionTests))' \
  '--filter=^(RSLClientTests[.]|RealRuntimeTests[.](?!CheckedRegionTests|FullDiskTests|TransferTests))' \
  '--filter=^RealRuntimeTests[.](FullDiskTests|TransferTests)'
swift_folders := $(wildcard Sources Tests Examples Benchmarks)

.PHONY: help bootstrap demo test examples build release lint format coverage bench bench-cluster \
  redis-benchmark mutants failover flush-errors storage-matrix guest soak soak-simulator soak-cluster fuzz-decoders docs-check clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

bootstrap: ## Check the toolchain, install missing Debian packages
	@scripts/bootstrap

demo: bootstrap ## A campaign, one planted bug, its replay: the two-minute tour
	@scripts/demo

test: bootstrap ## All tests (debug build, contracts on), then the number of test cases
	@mkdir -p artifacts
	$(SWIFT) build $(checked) --build-tests
	@: > artifacts/test.log
	@for part in $(test_parts); do \
	  echo "== swift test $$part"; \
	  $(SWIFT) test $(checked) --skip-build --disable-xctest "$$part" 2>&1 | tee -a artifacts/test.log \
	    || { scripts/test-failures artifacts/test.log; exit 1; }; \
	done
	@scripts/count-cases artifacts/test.log

examples: bootstrap ## The tests of every package in Examples/
	@for package in Examples/*/; do \
	  echo "== $$package"; \
	  scripts/example "$$(basename "$$package")" test $(SWIFTFLAGS) --parallel || exit 1; \
	done

build: ## Debug build of everything
	$(SWIFT) build $(checked) --build-tests

release: ## Optimised rsl-sim with contracts: the binary that campaigns run
	$(campaign) --product rsl-sim
	@echo "built $$($(campaign) --show-bin-path)/rsl-sim"

lint: ## Formatting and style, and that the manifest of Benchmarks is right, as CI checks them
	$(SWIFT) format lint --strict --parallel --recursive $(swift_folders) Package.swift
	@$(SWIFT) package --package-path Benchmarks --scratch-path Benchmarks/.build-lint show-dependencies > /dev/null

format: ## Rewrite the sources in the project's format
	$(SWIFT) format --in-place --parallel --recursive $(swift_folders) Package.swift

# Without what waits for sockets and processes: it covers the runtime, and is slowed until its deadlines pass.
coverage: bootstrap ## Line coverage of Protocol and Simulator; fails below FLOOR
	@mkdir -p artifacts
	$(SWIFT) test $(checked) --enable-code-coverage --scratch-path .build-coverage --disable-xctest \
	  $(firstword $(test_parts)) > artifacts/coverage.log 2>&1 || { tail -n 40 artifacts/coverage.log; exit 1; }
	@scripts/coverage \
	  "$$($(SWIFT) test --show-codecov-path --scratch-path .build-coverage)" $(FLOOR) \
	  Sources/Protocol Sources/Simulator

bench: ## Protocol steps per second and simulated over wall time, 3 to 9 replicas
	@scripts/bench

redis-benchmark: bootstrap ## redis-benchmark against three durable nodes of Examples/KeyValueStore
	@scripts/redis-benchmark

bench-cluster: ## Processes on this machine, and their ratio to a bare loop without a protocol
	@scripts/bench-cluster $(BENCHFLAGS)

mutants: release ## Plant every bug of Tests/Mutants and measure how fast the swarm finds it
	@scripts/mutants --baseline "$$($(campaign) --show-bin-path)/rsl-sim" $(MUTANTFLAGS)

failover: ## Kill -9 of the leader fifty times: how long writes stand still, and what is lost
	$(rsl) --product rsl
	"$$($(rsl) --show-bin-path)/rsl" demo --kills 50 --seconds 0.5

flush-errors: bootstrap ## EIO at each of the first 200 writes of a real replica's journal
	FLUSH_ERRORS=200 $(SWIFT) test $(checked) --filter FlushErrorTests

storage-matrix: bootstrap ## One fault in each field of each file of a real replica; the table in artifacts/
	@mkdir -p artifacts
	$(SWIFT) build $(checked) --build-tests
	@: > artifacts/storage-matrix.txt
	RSL_STORAGE_MATRIX=$(CURDIR)/artifacts/storage-matrix.txt $(SWIFT) test $(checked) --skip-build --disable-xctest \
	  --filter StorageMatrixTests > artifacts/storage-matrix.log 2>&1 \
	  || { cat artifacts/storage-matrix.txt; scripts/test-failures artifacts/storage-matrix.log; exit 1; }
	@RSL_STORAGE_MATRIX=$(CURDIR)/artifacts/storage-matrix.txt $(SWIFT) test $(checked) --skip-build --disable-xctest \
	  --filter JournalDamageTests >> artifacts/storage-matrix.log 2>&1 \
	  || { scripts/test-failures artifacts/storage-matrix.log; exit 1; }
	@cat artifacts/storage-matrix.txt

guest: bootstrap ## Journals on an emulated NVDIMM in a QEMU guest, which is killed under load
	$(SWIFT) build $(checked) --build-tests
	@bin=$$($(SWIFT) build $(checked) --show-bin-path); scripts/guest "$$bin/rsl" "$$bin/swift-rslPackageTests.xctest"

soak: soak-simulator soak-cluster ## Both of the next two, one after the other

soak-simulator: release ## A long campaign (DURATION, JOBS); reports and failing seeds in artifacts/soak
	@mkdir -p artifacts/soak
	"$$($(campaign) --show-bin-path)/rsl-sim" fuzz --duration $(DURATION) --jobs $(JOBS) \
	  --report artifacts/soak/report.json --junit artifacts/soak/junit.xml --require-coverage \
	  --keep artifacts/soak/seeds

soak-cluster: release ## Real processes under real faults (DURATION); what failed is kept in artifacts/soak
	@mkdir -p artifacts/soak
	$(rsl) --product rsl
	"$$($(rsl) --show-bin-path)/rsl" soak --duration $(DURATION) \
	  --rsl-sim "$$($(campaign) --show-bin-path)/rsl-sim" --directory artifacts/soak

fuzz-decoders: bootstrap ## libFuzzer on every decoder, 10 million executions
	@scripts/fuzz-decoders

docs-check: ## Links, specs and the other tidy rules
	$(SWIFT) test $(checked) --filter TidyTests

clean: ## Remove build products and artifacts (kept seeds live in seeds/)
	rm -rf .build .build-* artifacts
