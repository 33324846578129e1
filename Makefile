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
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

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
