# The targets that people and CI use. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

GO ?= go
GO_MINOR := 26
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# The example service in four builds: version and behaviour.
HELLO := 1.0.0=good 1.1.0=good 1.2.0=crash 1.3.0=neverready

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: go-version
go-version:
	@command -v $(GO) >/dev/null || { \
	  echo "Shiplog is built with Go 1.$(GO_MINOR) or newer, and '$(GO)' is not there: see https://go.dev/dl/" >&2; exit 1; }
	@version=$$($(GO) env GOVERSION); minor=$${version#go1.}; minor=$${minor%%[!0-9]*}; \
	if [[ $$version == go1.* && $${minor:-0} -lt $(GO_MINOR) ]]; then \
	  echo "Shiplog is built with Go 1.$(GO_MINOR) or newer; '$(GO)' is $$version: see https://go.dev/dl/" >&2; exit 1; fi

.PHONY: build
build: go-version ## build bin/shiplog and the example service
	@echo "building bin/shiplog (the first time takes a few minutes; packages are named as they are done)"
	@$(GO) build -v -trimpath -ldflags "-X main.version=$(VERSION)" -o bin/shiplog .
	@mkdir -p bin/hello && cp examples/hello/score.yaml bin/hello/
	@for one in $(HELLO); do \
	  echo "building bin/hello/hello-$${one%=*} ($${one#*=})"; \
	  $(GO) build -trimpath -ldflags "-s -w -X main.version=$${one%=*} -X main.behaviour=$${one#*=}" \
	    -o bin/hello/hello-$${one%=*} ./examples/hello; \
	done

.PHONY: run
run: build ## build, start a server with the demo's story, and keep serving (SHIPLOG_… are obeyed)
	@exec bin/shiplog demo

# -parallel and -p fit two cores: more would only make timeouts of the machine.
.PHONY: test
test: go-version build ## run all Go tests with the race detector, on Postgres and on SQLite
	@$(GO) run ./test/withpostgres $(GO) run ./test/all -race -timeout 20m $$($(GO) list ./... | grep -v -e '/test/kube/' -e '/test/kube$$')

.PHONY: test-faults
test-faults: go-version ## try the program with kills, lost answers and random sequences, some 5 minutes; SHIPLOG_SEED=… repeats a run
	@$(FAULTS) -timeout 20m ./test/faults | $(QUIETLY)

.PHONY: test-faults-long
test-faults-long: go-version ## the same with 200 kills over 500 deployments and 2,000 sequences, some 40 minutes
	@SHIPLOG_FAULTS=long $(FAULTS) -timeout 90m ./test/faults | $(QUIETLY)

# All that the tests have to say, seeds and figures included.
FAULTS = $(GO) run ./test/withpostgres $(GO) test -race -count 1 -v
QUIETLY = awk '!/^=== /'

# One database after the other, because times are taken.
.PHONY: test-past-long
test-past-long: go-version ## ask for 200 moments of 1,000,000 deployments and compare with a replay, some 15 minutes
	@SHIPLOG_PAST=long $(GO) run ./test/withpostgres $(GO) test -count 1 -v -timeout 40m ./test/past | $(QUIETLY)

# At the same time, so that it takes little longer than the five minutes of one.
.PHONY: test-streams-long
test-streams-long: go-version ## follow logs of 1,000 lines a second for five minutes, cut at random
	@SHIPLOG_STREAMS=long $(GO) run ./test/withpostgres $(GO) test -v -parallel 4 -timeout 30m -run TestReconnectingForLong ./test/streams

.PHONY: test-clients
test-clients: build test/clients/node_modules/.package-lock.json ## run the tests of published npm clients against the server
	@cd test/clients && npm test --silent

test/clients/node_modules/.package-lock.json: test/clients/package-lock.json | node
	@echo "installing the npm packages of test/clients (a minute the first time)"
	@cd test/clients && npm ci --no-audit --no-fund --loglevel=error >/dev/null && touch node_modules/.package-lock.json

.PHONY: cluster-up
cluster-up: go-version ## start the Kubernetes cluster for tests on this machine, as root (test/kubernetes)
	@$(GO) run ./test/withcluster -up

.PHONY: cluster-down
cluster-down: go-version ## end it; WIPE=1 also forgets what it holds, but not what was built
	@$(GO) run ./test/withcluster -down $(if $(WIPE),-wipe)

# The harness itself is tested where it is used; a cluster that you have is not ours to kill.
.PHONY: test-kubernetes
test-kubernetes: go-version ## run the tests that need Kubernetes, on that cluster or on SHIPLOG_TEST_KUBECONFIG
	@$(GO) run ./test/withpostgres $(GO) run ./test/withcluster $(GO) run ./test/all -timeout 15m \
	  $$($(GO) list ./test/kube/... $(if $(SHIPLOG_TEST_KUBECONFIG),| grep -v /test/kube/life))
	@$(GO) run ./test/withpostgres $(GO) run ./test/withcluster $(GO) test -tags kubernetes -count 1 -run OnACluster ./test/faults

# With what a person would set by hand: a database that syncs, and one test after the other.
.PHONY: test-kubernetes-long
test-kubernetes-long: go-version ## measure 5,000 pods and 1,000 deployments on that cluster and kill replicas 150 times, some 15 minutes
	@SHIPLOG_SCALE=long $(GO) run ./test/withpostgres -durable $(GO) run ./test/withcluster $(GO) test -v -count 1 -parallel 1 -timeout 20m ./test/kube/scale | $(QUIETLY)
	@SHIPLOG_FAULTS=long $(GO) run ./test/withpostgres $(GO) run ./test/withcluster $(GO) test -v -tags kubernetes -count 1 -timeout 30m -run OnACluster ./test/faults | $(QUIETLY)

.PHONY: test-lines-long
test-lines-long: go-version ## follow 1,000 lines a second from a cluster for minutes, through kills of its API server and of Shiplog
	@SHIPLOG_LINES=long $(GO) run ./test/withcluster $(GO) test -v -count 1 -timeout 20m -run TestEveryNumberArrivesOnce ./test/kube/life

.PHONY: accept-schema
accept-schema: ## promise clients schema.graphql as it is now, with what it breaks
	@cp schema.graphql test/clients/testdata/released.graphql
	@git diff --stat -- test/clients/testdata/released.graphql

.PHONY: node
node:
	@command -v npm >/dev/null || { \
	  echo "installing nodejs and npm with apt"; apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm; }

.PHONY: demo-check
demo-check: build ## play the demo's story on a fresh database, check it, and end
	@dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; bin/shiplog demo --exit --data "$$dir/data" --listen 127.0.0.1:0

.PHONY: generate
generate: go-version ## generate the database client and the executable schema
	@echo "generating ent/db"; cd ent && $(GO) generate .
	@echo "generating graph"; $(GO) tool gqlgen generate
	@echo "generating server/transport/testschema"; $(GO) generate ./server/transport/testschema

.PHONY: generate-check
generate-check: generate ## generate, and fail when anything changes
	@git add --intent-to-add --all -- ent graph server/transport/testschema
	@git diff --exit-code --stat -- ent graph server/transport/testschema || { echo "generated code is not up to date: run make generate and commit" >&2; exit 1; }

.PHONY: migration
migration: go-version ## write the next migration of both databases: make migration NAME=add_holds
	@test -n "$(NAME)" || { echo "make migration NAME=what_it_does" >&2; exit 1; }
	@cd ent && $(GO) generate .
	@$(GO) run ./test/withpostgres bash -c 'SHIPLOG_DEV_POSTGRES="$$SHIPLOG_TEST_POSTGRES&search_path=public" $(GO) run ./ent/migrations/write $(NAME)'

# The linter is a module of its own, so that its requirements are not ours.
.PHONY: lint
lint: go-version ## lint
	@echo "linting (the first time builds golangci-lint, some minutes)"
	@$(GO) build -C tools -o ../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@bin/golangci-lint run --allow-parallel-runners ./...

.PHONY: bench
bench: build ## measure beside limits and goals, some 8 minutes; ARGS="-only acting,… -databases sqlite -long"
	@mkdir -p bin/bench && $(GO) build -o bin/bench/ ./test/bench ./test/bench/produce ./test/withpostgres
	@bin/bench/withpostgres -durable bin/bench/bench $(ARGS)

.PHONY: check
check: ## what CI runs: generate with a clean diff, lint, build, demo, tests, clients, Kubernetes
	@set -e; for part in generate-check lint build demo-check test test-clients test-kubernetes; do \
	  echo "== $$part"; start=$$SECONDS; $(MAKE) --no-print-directory $$part; echo "== $$part took $$((SECONDS - start)) s"; \
	done
