# A thin face for meson and ninja. `make help` lists the goals.
PREFIX ?= /usr/local
DESTDIR ?=
BUILD ?= build
export PREFIX DESTDIR BUILD

.PHONY: all build deps run test conformance soak bench install clean help

all: build

deps: ## install the Debian packages that building needs (asks for root where it is not); each goal adds its own
	@tools/deps.sh build

build: deps ## compile everything
	@tools/build.sh

run: build ## bring a node up, pull an image from a local registry, run it
	@tools/deps.sh build run
	@tools/run-demo.py

test: build ## every check and test
	@tools/deps.sh build run test
	@tools/test.sh

conformance: build ## run critest (CRITEST, CRITEST_IMAGES: docs/conformance.md)
	@tools/deps.sh build test
	@tests/conformance/critest.py

soak: build ## the long campaigns: kills, loads, a kubelet, fuzzing
	@tools/deps.sh build test
	@tools/soak-system.sh
	@tools/soak.sh

bench: build ## compare with crun, runc, containerd and others, in one run; prints ratios
	@tools/deps.sh build test bench
	@bench/run.sh

install: build ## install below PREFIX (and DESTDIR)
	@tools/install.sh

clean: ## remove what was built
	@rm -rf build build-*

help: ## list the goals
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile
