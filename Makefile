# Everything needs Go and git; the tests need a C compiler too, for the race
# detector, and python3 with venv. Nothing needs root, a container runtime or a
# cluster, but "cluster", "test-cluster" and "test-drivers", which need root and
# Debian's containerd, and "images" and "test-compose", which need Docker.

BIN := bin
# At most two control planes at once run tests: on two cores more would only wait
# for one another.
E2E_FLAGS := -p 1 -parallel 2 -timeout 50m
# Without gRPC's trace pages, whose templates may call any method by its name, the linker
# leaves out the methods that nothing calls: a third of the exporter.
GOFLAGS_RELEASE := -trimpath -tags grpcnotrace -ldflags "-s -w"
PROGRAMS := ./connector ./extender ./webhook ./exporter

.DEFAULT_GOAL := help
.PHONY: help build release demo cluster images test test-all test-cluster test-drivers test-compose lint unit e2e e2e-long e2e-older e2e-1.36 e2e-1.35 fuzz faults soak bench bench-compare experiment simulate generate vulnerabilities prepare

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Compile the programs into bin/
	CGO_ENABLED=0 go build $(GOFLAGS_RELEASE) -o $(BIN)/ $(PROGRAMS)
	CGO_ENABLED=0 go build $(GOFLAGS_RELEASE) -o $(BIN)/heteroaccel ./cli

release: ## Make images, manifests, chart, command line program and bundles of a release in bin/release (URL=https://… is where it will be published)
	@go run ./deploy/release $(if $(URL),-url $(URL))

# It makes the control plane ready itself, with what the computer has of it. All others
# test what is pinned.
demo: ## Run four inferences on four accelerators of a simulated cluster (DEMO_EXIT=1 ends by itself, BINDING=late binds pods late, CONTROL_PLANE=compiled uses no control plane of this computer's)
	@./e2e/needs.sh
	@go run ./e2e/demo

cluster: privileged ## Run four real inferences on three real kubelets, as root (CLUSTER_EXIT=1 ends by itself, INSTALL=yes installs what is missing, BINDING=late binds pods late by DRA)
	@go run ./e2e/edge/up

images: ## Build the images of docker-compose.yaml, and load them into Docker
	@./e2e/needs.sh
	@go run ./e2e/compose/images

test: lint unit e2e ## Run the tests of every change, in less than 8 minutes once all is compiled

test-all: lint unit e2e-long e2e-older fuzz faults soak ## Run every test that needs no root: also the long ones, older Kubernetes, the fuzz tests, the faults and the soak

test-cluster: privileged ## Run the tests on real kubelets, as root
	@./e2e/needs.sh cc venv
	go test -race -tags cluster -p 1 -timeout 40m ./e2e/nodes/... ./e2e/inference/... ./e2e/scraping/... ./e2e/edge/... ./e2e/installs

test-drivers: privileged ## Run the tests of DRA on real kubelets, as root: the exporters as drivers, and late binding
	@./e2e/needs.sh cc venv
	go test -race -tags cluster -timeout 40m ./e2e/drivers

test-compose: ## Run the tests of docker-compose.yaml on a Docker engine, as root
	@./e2e/needs.sh cc
	@go run ./e2e/edge/needs docker
	go test -race -count 1 -tags cluster -timeout 40m ./e2e/compose

lint: ## Check formatting, dependencies, vet and staticcheck
	@./e2e/lint.sh

# From nothing two of them compile Helm and the command line program for six systems.
unit: ## Test the packages, with the race detector but for the manifests
	@./e2e/needs.sh cc
	go test -race -timeout 40m $$(go list ./... | grep -vE '/(e2e|deploy)(/|$$)')
	go test -timeout 40m ./deploy/... # in one goroutine

# Tests that compile and run programs, or read the whole tree, are never cached:
# the result may be that of another program.
e2e: prepare ## Test the programs on local control planes, with the race detector; pictures of the live page go to bin/
	@./e2e/needs.sh cc venv chromium
	@mkdir -p $(BIN)
	go test -race $(E2E_FLAGS) $$(go list ./e2e/... | grep -vE '/e2e(/cluster|/conventions)?$$')
	go test -count 1 ./e2e/conventions # in one goroutine
	go test -race -count 1 $(E2E_FLAGS) -artifacts -outputdir $(abspath $(BIN)) -p 2 ./e2e ./e2e/cluster

e2e-long: E2E_FLAGS += -tags long ## The same, with the tests that take minutes: bursts of 500 pods, 200 cameras, every step of every race
e2e-long: e2e

e2e-older: e2e-1.36 e2e-1.35 ## Test the programs on control planes of older Kubernetes (make e2e-1.36 for one)

e2e-1.36 e2e-1.35: e2e-%:
	@./e2e/needs.sh cc venv chromium
	@KUBERNETES=$* go run ./e2e/prepare
	KUBERNETES=$* go test -race -count 1 $(E2E_FLAGS) ./e2e

FUZZTIME := 30s
fuzz: ## Fuzz each decoder for half a minute (FUZZTIME=1h for longer)
	@./e2e/fuzz.sh $(FUZZTIME)

FAULTS := .
faults: prepare ## Kill, pause and cut off every program under load, and look for lost and doubled pods (FAULTS=TestWebhookKilled for one)
	@./e2e/needs.sh cc
	go test -race -count 1 -tags faults -timeout 2h -v -run '$(FAULTS)' ./e2e/faults

soak: prepare ## Run 200 pods for five minutes while devices fail, and look for lost and stuck ones (SOAK=-help shows its flags)
	@go run ./e2e/soak $(SOAK)

bench: prepare ## Run the benchmarks: decisions, sessions, memory with 5,000 nodes, and pods a second (BENCH=-help shows the flags of that)
	go test -run '^$$' -bench . -benchmem ./extender/... ./webhook/... ./exporter/... ./pkg/...
	go test -run '^$$' -bench 'Memory|Sessions|Renewals' -benchtime 1x -timeout 20m ./e2e
	go run ./e2e/bench -json $(BIN)/bench.json $(BENCH)

bench-compare: prepare ## Have this tree and revision BASE take turns at the load of the benchmark, and fail where something got worse
	@test -n "$(BASE)" || { echo "say which revision to compare with: make bench-compare BASE=main" >&2; exit 2; }
	go run ./e2e/bench -base "$(BASE)" -latency 0 $(BENCH)

vulnerabilities: ## Look for known vulnerabilities in the Go database
	go tool govulncheck ./...

experiment: prepare ## Repeat the paper's experiment on a local control plane, in 15 minutes (EXPERIMENT=-help shows its flags, BINDING=late compares late binding)
	@go run ./e2e/research/experiment $(EXPERIMENT)

simulate: ## Compare the policies in simulated time, with up to 100,000 devices (plots go to bin/simulate)
	go run ./e2e/research/simulate -out $(BIN)/simulate

generate: ## Generate the CRD, the deepcopy functions, docs/flags.md, the dashboard and the Helm chart's templates
	go generate ./...
	go run ./deploy/grafana/generate
	go run ./deploy/helm/generate

.PHONY: privileged
privileged:
	@./e2e/needs.sh
	@go run ./e2e/edge/needs

prepare:
	@./e2e/needs.sh
	@go run ./e2e/prepare
