# `make` alone lists what there is.
.DEFAULT_GOAL := help
.PHONY: help run build test test-race test-faults fuzz bench lint docs fmt clean

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
CACHE   := $(CURDIR)/.cache

GOLANGCI_VERSION := v2.15.0
GOLANGCI         := $(CACHE)/bin/golangci-lint-$(GOLANGCI_VERSION)

# The rooms with goroutines of their own that share memory, and the tests that run them all together in one process.
RACE_ROOMS := ./internal/app/... ./internal/consume/... ./internal/format/... ./internal/httpapi/... ./internal/kafka/... ./internal/produce/... \
	./internal/registry/... ./internal/task/... ./tests

FUZZTIME ?= 20s
BENCH_ARGS ?= -out docs/benchmarks.md
export PEERS

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## try it: the proxy on 127.0.0.1:8082 with a Kafka broker in the same process
	go run ./cmd/kafka-rest dev

build: ## the static binary bin/kafka-rest
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/kafka-rest ./cmd/kafka-rest

# The black-box tests of tests/ run in their folder, since go test shows what a passing test prints only then: it is the count of conformance
# cases. The last line of all says what was not tested, if anything was not.
test: ## all tests; those against a real Kafka when Java 17 and Maven are there
	@.ci/check-java
	go test -timeout 9m $$(go list ./... | grep -v '^kafkarest/tests$$')
	go test -C tests -count 1 -timeout 9m
	@.ci/check-java

test-race: ## tests of the concurrent rooms with the race detector; needs a C compiler
	CGO_ENABLED=1 go test -race -timeout 15m $(RACE_ROOMS)

test-faults: ## brokers killed, frozen and cut off, three at a time; needs Java and Maven
	@.ci/check-java
	KAFKA_REST_FAULTS=1 go test -count 1 -timeout 25m ./tests/faults/...

fuzz: ## each fuzz target for FUZZTIME (20s)
	@grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n 1 dirname | sort -u | while read -r dir; do \
		for target in $$(grep -rhoE '^func Fuzz[A-Za-z0-9_]*' "$$dir"/*_test.go | sed 's/^func //'); do \
			echo "$$dir $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$dir" || exit 1; \
		done; \
	done

bench: ## the proxy beside a floor on a real Kafka; PEERS="name=URL@PID" adds other proxies, BENCH_ARGS=-quick is a look
	go run ./bench/cmd/bench $(BENCH_ARGS)

lint: $(GOLANGCI) ## golangci-lint with every linter on, see .golangci.yml
	$(GOLANGCI) run
	@test -z "$$(gofmt -l .)" || { echo "not formatted:"; gofmt -l .; exit 1; }

$(GOLANGCI):
	GOBIN=$(CACHE)/bin nice go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv $(CACHE)/bin/golangci-lint $@

docs: ## rewrites what is generated in docs/
	go test ./internal/config -run Documentation -update
	go test ./internal/kafka -run PropertiesDocumentation -update
	go test ./tests -run TestCompatibilityDocument -update

fmt: ## gofmt
	gofmt -w .

clean: ## removes what was built
	rm -rf bin/kafka-rest bench/out $(CACHE)
