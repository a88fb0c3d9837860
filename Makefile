# Every target does its own set-up; `make` alone lists them.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

# Tools, pinned; each is installed by the targets that need it.
BIN := $(CURDIR)/.tmp/bin
STATICCHECK_VERSION := v0.8.2
GOLANGCI_VERSION := v2.15.0
PROTOC_GEN_GO_VERSION := v1.36.12
PROTOC_GEN_GO_GRPC_VERSION := v1.6.2
STATICCHECK := $(BIN)/staticcheck-$(STATICCHECK_VERSION)
GOLANGCI := $(BIN)/golangci-lint-$(GOLANGCI_VERSION)
PROTOC_GEN_GO := $(BIN)/protoc-gen-go-$(PROTOC_GEN_GO_VERSION)
PROTOC_GEN_GO_GRPC := $(BIN)/protoc-gen-go-grpc-$(PROTOC_GEN_GO_GRPC_VERSION)

# What runs on the kernels of core/simd; a day of simulated traffic is the same on any of them.
KERNEL_USERS := -skip HealthyDay ./core/simd ./core/latency ./core/breaker ./internal/scalar

FUZZTIME ?= 30s
ONLY ?= .
ROUNDS ?= 6

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

.PHONY: run
run: ## Serve the example shop on loopback, with its settings reloaded live
	go run ./examples/http

.PHONY: demo
demo: ## Drive the example shop with load for about 20 s and check what happens
	go run ./examples/http -demo

.PHONY: run-grpc
run-grpc: ## Serve the example shop over gRPC and HTTP on loopback, with its settings reloaded live
	go run ./examples/grpc

.PHONY: demo-grpc
demo-grpc: ## Drive the gRPC shop with load and faults for about 15 s and check what happens
	go run ./examples/grpc -demo

.PHONY: test
test: ## Run all tests
	go test ./...

.PHONY: race
race: ## Run all tests under the race detector
	go test -race ./...

.PHONY: kernels
kernels: ## Test what stands on the kernels as AVX2, with AVX2 off and without assembly
	@if grep -qw avx2 /proc/cpuinfo 2>/dev/null; then export MW_REQUIRE_AVX2=1; else echo "this processor has no AVX2: its kernels do not run"; fi; \
	go test -count=1 -v -run 'TestLevelIsAsRequired|TestKernelsRun' ./core/simd && go test -count=1 $(KERNEL_USERS)
	GODEBUG=cpu.avx2=off go test -count=1 $(KERNEL_USERS)
	go test -count=1 -tags purego $(KERNEL_USERS)

.PHONY: conformance
conformance: ## Compare every middleware with the bare handler for all 10,000 handlers; make test does so for a quarter
	MW_EVERY=1 go test -timeout 20m -count=1 -run '^TestNobodySeesADifference$$' ./httpmw/conformance

.PHONY: check
check: fmt vet staticcheck imports generate-check cross ## What every commit passes: format, vet, lint, import rules, generated files, other platforms

.PHONY: fmt
fmt: ## Fail if a file is not formatted
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "not formatted (gofmt -w):"; echo "$$unformatted"; exit 1; }

.PHONY: vet
vet: ## Run go vet, on the library and on the comparisons
	go vet ./...
	cd bench && go vet ./...

.PHONY: staticcheck
staticcheck: $(STATICCHECK) ## Run staticcheck
	$(STATICCHECK) ./...

.PHONY: imports
imports: ## Check who imports whom
	go test -run '^TestImports' .

.PHONY: generate-check
generate-check: ## Fail if regenerating changes a file, or go.mod is not tidy
	@before=$$(git status --porcelain; git diff); \
	go generate ./...; go mod tidy; (cd bench && go mod tidy); \
	after=$$(git status --porcelain; git diff); \
	[ "$$before" = "$$after" ] || { echo "generated files or go.mod were stale; regenerated now:"; git status --porcelain; exit 1; }

.PHONY: proto
proto: $(PROTOC_GEN_GO) $(PROTOC_GEN_GO_GRPC) ## Generate the committed code of examples/grpc/shop anew (needs protoc on the PATH)
	protoc --plugin=protoc-gen-go=$(PROTOC_GEN_GO) --plugin=protoc-gen-go-grpc=$(PROTOC_GEN_GO_GRPC) \
	  --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative examples/grpc/shop/shop.proto

.PHONY: cross
cross: ## Vet without assembly, and for arm64 and 386
	go vet -tags purego ./...
	GOARCH=arm64 go vet ./...
	GOARCH=386 go vet ./...

.PHONY: fuzz
fuzz: ## Fuzz every target for FUZZTIME (30s)
	@for pkg in $$(go list ./...); do \
	  for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$target"; \
	    go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; \
	done

.PHONY: bench
bench: ## Compare with the peers, interleaved: ONLY=breaker, limiter, keyed, bulkhead, ...; ROUNDS=6
	cd bench && go run . -only '$(ONLY)' -rounds $(ROUNDS)

.PHONY: examples
examples: ## Build the examples and run every documented example
	go build -o /dev/null ./examples/http
	go build -o /dev/null ./examples/grpc
	go test -run '^Example' ./...

.PHONY: lint-full
lint-full: $(GOLANGCI) ## Run golangci-lint (its first installation takes some minutes)
	$(GOLANGCI) run ./...

$(STATICCHECK):
	@mkdir -p $(BIN)
	GOBIN=$(BIN) GOFLAGS= go install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION)
	@mv $(BIN)/staticcheck $@

$(GOLANGCI):
	@mkdir -p $(BIN)
	GOBIN=$(BIN) GOFLAGS= go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@mv $(BIN)/golangci-lint $@

$(PROTOC_GEN_GO):
	@mkdir -p $(BIN)
	GOBIN=$(BIN) GOFLAGS= go install google.golang.org/protobuf/cmd/protoc-gen-go@$(PROTOC_GEN_GO_VERSION)
	@mv $(BIN)/protoc-gen-go $@

$(PROTOC_GEN_GO_GRPC):
	@mkdir -p $(BIN)
	GOBIN=$(BIN) GOFLAGS= go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@$(PROTOC_GEN_GO_GRPC_VERSION)
	@mv $(BIN)/protoc-gen-go-grpc $@
