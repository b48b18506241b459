# Emulab jails. `make help` lists the targets.
#
# Building runs as you; only jails run as root, by sudo. Nothing in the checkout
# ends up owned by root.

SHELL       := /bin/bash
.SHELLFLAGS := -o pipefail -c

GO      ?= go
SUDO    := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
AS_ROOT := $(if $(SUDO),$(SUDO) env PATH="$(PATH)" CI="$(CI)" YES="$(YES)" KEEP="$(KEEP)",env)
# What `make soak` runs in full, where a test's own size isn't a tenth of that.
TENTH   := PROXY_SOAK=640000
# Tests are built as you, too; only their programs run as root.
EXEC    := $(if $(SUDO),-exec 'sudo env PATH=$(PATH) CI=$(CI) $(TENTH)')
LDFLAGS := -s -w
BUILD   := CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)'

# The programs, and where their main packages lie.
PROGRAMS := jailsetup tmcd-mock tmcc tmcc-full injail injail-rc jailspawn delaynode jailpicture demo run
SRC_jailsetup := ./jailsetup
SRC_tmcd-mock := ./tmcd-mock
SRC_tmcc      := ./tmcc
TAGS_tmcc     := -tags lean
SRC_tmcc-full := ./tmcc
SRC_injail    := ./jailsetup/injail
SRC_injail-rc := ./jailsetup/injail/injail-rc
SRC_jailspawn := ./jailsetup/spawn/jailspawn
SRC_delaynode := ./jailsetup/shape/delaynode
SRC_jailpicture := ./jailsetup/picture/jailpicture
SRC_demo      := ./examples/demo
SRC_run       := ./examples/run

# Old names of jailsetup, by which it takes the command lines that these had.
LINKS := vnodesetup bootvnodes

PACKAGES ?= ./...
SOAK     ?= 1000000
FUZZTIME ?= 60m
FUZZPARSER ?= 10m

.PHONY: help build test soak lint bench fuzz man demo security examples clean clean-host

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

build: ## build all programs into bin/
	@mkdir -p bin
	@$(foreach p,$(PROGRAMS),$(BUILD) $(TAGS_$(p)) -o bin/$(p) $(SRC_$(p)) &&) true
	@$(foreach l,$(LINKS),ln -sfn jailsetup bin/$(l) &&) true

demo: build ## boot two jails of one experiment and check what they promise (KEEP=1, YES=1)
	@$(AS_ROOT) bin/demo testdata/demo.yaml

test: build ## run every test, also those that need root; installs what they need (PACKAGES, RUN: only these)
	@dist/test-packages
	@$(BUILD) -o bin/testcount ./dist/testcount
	@echo 'Long suites run at a tenth: 100,000 requests to the mock, 640,000 through the proxy, 100 steps of the model, 25 jails at once ...; make soak runs all.'
	@$(TENTH) $(GO) test $(EXEC) -json -count=1 -p 2 -timeout 20m -tags privileged $(if $(RUN),-run '$(RUN)') $(PACKAGES) | bin/testcount

soak: build ## what takes long, into docs/soak.md (SOAKS: only these stages; SOAK requests to the mock, default 1000000, a tenth for each of 64 jails)
	@$(BUILD) -o bin/soak ./dist/soak
	@bin/soak -requests $(SOAK) $(EXEC) $(SOAKS)

fuzz: ## every fuzz target: FUZZPARSER (default 10m) for requests, FUZZTIME (60m) for all others together
	@$(GO) run ./dist/fuzzer -parser $(FUZZPARSER) -others $(FUZZTIME)

bench: ## the figures that are promised, against their limits (FIGURES: only these)
	@mkdir -p bin
	@$(BUILD) -o bin/bench ./dist/bench
	@bin/bench $(FIGURES)

security: build ## attack jails: a line for each row of what docs/spec promises (ROWS: only these)
	@dist/test-packages
	@$(BUILD) -o bin/security ./dist/security
	@bin/security $(EXEC) $(ROWS)

man: ## write manual pages, completions and pictures anew from their sources
	@$(GO) test -count=1 -run 'Manual|CommittedFiles|Pictures' . ./tmcd-mock ./jailsetup ./tmcc/options -update

examples: build ## run what README, docs and examples show, and boot the five testbeds below examples/
	@dist/test-packages
	@$(BUILD) -o bin/testcount ./dist/testcount
	@$(GO) test $(EXEC) -json -count=1 -tags privileged -run 'Readme|Protocol|Foreign|Example' . | bin/testcount
	@$(AS_ROOT) bin/run examples

lint: ## gofmt, vet, staticcheck
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'lint: run gofmt -w on these'; exit 1; }
	@$(GO) vet -tags privileged ./...
	@$(GO) vet -tags lean ./tmcc
	@$(GO) tool staticcheck -tags privileged ./...

clean: ## remove what was built
	rm -rf bin

clean-host: ## remove from this host whatever a demo has left or installed
	@test -x bin/demo || $(MAKE) build
	@$(AS_ROOT) bin/demo clean-host
