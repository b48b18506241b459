# Emulab jails. `make help` lists the targets.
#
# Building runs as you; only jails run as root, by sudo. Nothing in the checkout
# ends up owned by root.

GO      ?= go
SUDO    := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
AS_ROOT := $(if $(SUDO),$(SUDO) env PATH="$(PATH)" CI="$(CI)" YES="$(YES)" KEEP="$(KEEP)",env)
LDFLAGS := -s -w
BUILD   := CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)'

# The programs, and where their main packages lie.
PROGRAMS := jailsetup tmcd-mock tmcc injail injail-rc jailspawn demo
SRC_jailsetup := ./jailsetup
SRC_tmcd-mock := ./tmcd-mock
SRC_tmcc      := ./tmcc
SRC_injail    := ./jailsetup/injail
SRC_injail-rc := ./jailsetup/injail/injail-rc
SRC_jailspawn := ./jailsetup/spawn/jailspawn
SRC_demo      := ./examples/demo

# Packages that need neither root nor Linux.
PORTABLE := ./protocol/... ./proxy/... ./tmcc/... ./tmcd-mock/...

.PHONY: help build test soak lint bench fuzz man demo security examples clean clean-host

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

build: ## build all programs into bin/
	@mkdir -p bin
	@$(foreach p,$(PROGRAMS),$(BUILD) -o bin/$(p) $(SRC_$(p)) &&) true

demo: build ## boot two jails of one experiment and check what they promise (KEEP=1, YES=1)
	@$(AS_ROOT) bin/demo testdata/demo.yaml

test: build ## run every test; installs the packages that they need
	@dist/test-packages
	@$(BUILD) -o bin/testcount ./dist/testcount
	@$(AS_ROOT) $(GO) test -json -count=1 -p 2 -timeout 20m -tags privileged ./... | bin/testcount

lint: ## gofmt, vet, staticcheck
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'lint: run gofmt -w on these'; exit 1; }
	@$(GO) vet -tags privileged ./...
	@$(GO) tool staticcheck -tags privileged ./...

clean: ## remove what was built
	rm -rf bin

clean-host: ## remove from this host whatever a demo has left or installed
	@test -x bin/demo || $(MAKE) build
	@$(AS_ROOT) bin/demo clean-host
