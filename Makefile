# Everything needs Go and git; the tests need a C compiler too, for the race
# detector. Nothing needs root, a container runtime or a cluster, but "cluster"
# and "test-cluster", which need root and Debian's containerd.

BIN := bin
GOFLAGS_RELEASE := -trimpath -ldflags "-s -w"
PROGRAMS := ./extender ./webhook ./exporter

.DEFAULT_GOAL := help
.PHONY: help build demo cluster test test-all test-cluster lint unit e2e soak bench experiment simulate generate vulnerabilities prepare

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Compile the programs into bin/
	CGO_ENABLED=0 go build $(GOFLAGS_RELEASE) -o $(BIN)/ $(PROGRAMS)

demo: prepare ## Show four inferences on four accelerators, on a local control plane (DEMO_EXIT=1 ends by itself)
	@go run ./e2e/demo

cluster: privileged ## Show four real inferences on three real kubelets; needs root (CLUSTER_EXIT=1 ends by itself, INSTALL=yes installs what is missing)
	@go run ./e2e/edge/up

test-cluster: privileged ## Run the tests on real kubelets; needs root
	@./e2e/needs.sh cc
	go test -race -tags cluster -p 1 -timeout 40m ./e2e/nodes/... ./e2e/inference/... ./e2e/scraping/... ./e2e/edge/...

test: lint unit e2e ## Run every test, with the race detector

test-all: test soak ## Run every test, and the soak

lint: ## Check formatting, dependencies, vet and staticcheck
	@./e2e/lint.sh

unit: ## Run the tests of the packages
	@./e2e/needs.sh cc
	go test -race $$(go list ./... | grep -v /e2e)

e2e: prepare ## Run the tests on a local control plane
	@./e2e/needs.sh cc
	go test -race -p 1 -timeout 50m ./e2e/...

soak: prepare ## Keep 200 pods going for five minutes while devices fail, and look for what was lost or is stuck (SOAK=-help shows its flags)
	@go run ./e2e/soak $(SOAK)

bench: prepare ## Measure extender and webhook against an encoding/json echo, the inventory, and memory
	go test -run '^$$' -bench . -benchmem ./extender/... ./webhook/... ./exporter/... ./pkg/...
	go test -run '^$$' -bench Memory -benchtime 1x -timeout 20m ./e2e

vulnerabilities: ## Look for known vulnerabilities (asks the Go vulnerability database)
	go tool govulncheck ./...

experiment: prepare ## Repeat the paper's experiment on a local control plane (a quarter of an hour; EXPERIMENT=-help shows its flags)
	@go run ./e2e/research/experiment $(EXPERIMENT)

simulate: ## Compare the policies in virtual time, up to 100,000 devices: a table, and plots in bin/simulate
	go run ./e2e/research/simulate -out $(BIN)/simulate

generate: ## Generate the deepcopy functions and the CRD from the Go types
	go generate ./...

.PHONY: privileged
privileged:
	@./e2e/needs.sh
	@go run ./e2e/edge/needs

prepare:
	@./e2e/needs.sh
	@go run ./e2e/prepare
