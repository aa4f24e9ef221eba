# The two commands: `make lab` shows it working, `make test` proves it. Both do all their own set-up.
.PHONY: help lab test conformance bench bench-api bench-host setup
ARGS ?=

help:
	@echo 'make lab              real guests with real clients on one host; then guests in trouble and what the host says of each,'
	@echo '                      and real attack tools, on a plain bridge and here; stays up so that you can try it'
	@echo 'make lab ARGS=--once  the clients alone, ends with a verdict; with --scenarios and --attacks besides: all of it'
	@echo 'make test             every lane: check, unit, store, scenarios, fuzz-replay, netns, kernel, interop, api, conformance'
	@echo 'make conformance      tempest and gophercloud as judges of the networking API; docs/conformance.md has the figures'
	@echo 'make bench            release build and the benchmarks of bench/'
	@echo 'make bench-api        release build and the speed of the networking API, each row against its target'
	@echo 'make bench-host       release build and the speed of the host side beside its peers, each row against its target'

setup:
	@tools/setup

lab: setup
	@cargo xtask lab $(or $(ARGS),--scenarios --attacks)

# The rest of the set-up goes on beside the build.
test:
	@tools/setup packages
	@cargo xtask test

conformance: setup
	@cargo xtask conformance $(ARGS)

bench: setup
	@cargo xtask bench $(ARGS)

bench-api: setup
	@cargo xtask bench-api $(ARGS)

bench-host: setup
	@cargo xtask bench-host $(ARGS)
