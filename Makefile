# The gate of this repository. `make verify` only reads, `make fix` writes, `make test` is everything.
.DELETE_ON_ERROR:
.PHONY: help setup verify fix test release interop faults fuzz simulation format clippy unit docs deny dashboards

# Where cargo builds, and the binary that the interop tests run.
target := $(or $(CARGO_TARGET_DIR),target)
export ZOOGATE_BIN := $(abspath $(target))/release/zoogate
phase := tests/phase

help:
	@echo 'make setup    install what the tests need beyond Rust'
	@echo 'make verify   format, clippy, tests, docs, dependencies, dashboards; changes nothing'
	@echo 'make fix      format, and apply what clippy can mend by itself'
	@echo 'make interop  release build, then the tests against stock ZooKeeper clients and tools'
	@echo 'make faults   release build, then real processes under real faults; wants root, tests/faults/run --full for more'
	@echo 'make fuzz     the fuzz targets for 15 seconds each; tests/fuzz/run 600 for longer'
	@echo 'make simulation  2,000 seeds of simulated ensembles; tests/simulation/run 20000 for more'
	@echo 'make test     setup, verify, simulation, interop, faults and fuzz: tests/run, what CI runs'

setup:
	@$(phase) 'set-up' tests/setup

verify: format clippy unit docs deny dashboards

fix:
	cargo fmt
	cargo clippy --fix --allow-dirty --allow-staged --all-targets --locked

test:
	@tests/run

format:
	@$(phase) 'format' cargo fmt --check
	@$(phase) 'format of the fuzz targets' cargo fmt --check --manifest-path tests/fuzz/Cargo.toml
	@$(phase) 'format of the simulation' cargo fmt --check --manifest-path tests/simulation/Cargo.toml

clippy:
	@$(phase) 'clippy' cargo clippy --all-targets --features failpoints --locked -- -D warnings

unit:
	@$(phase) 'unit and integration tests' cargo test --locked --features failpoints --tests

docs:
	@$(phase) 'documentation' env RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --lib --locked

deny:
	@$(phase) 'dependencies' cargo deny --offline --locked check bans licenses sources

dashboards:
	@$(phase) 'alert rules' promtool check rules grafana/alerts.yml
	@$(phase) 'alert rules, tested' promtool test rules grafana/alerts_test.yml

release:
	@$(phase) 'release build' cargo build --release --locked

interop: release
	@$(phase) 'interop tests' target/venv/bin/pytest -q tests/interop

faults: release
	@$(phase) 'format of the checker of histories' cargo fmt --check --manifest-path tests/linearizability/Cargo.toml
	@$(phase) 'checker of histories' env CARGO_TARGET_DIR=$(abspath $(target))/linearizability \
		cargo test --release --quiet --locked --manifest-path tests/linearizability/Cargo.toml
	@$(phase) 'faults' tests/faults/run

fuzz:
	@$(phase) 'fuzzing' tests/fuzz/run 15

simulation:
	@$(phase) 'clippy of the simulation' cargo clippy --release --locked --manifest-path tests/simulation/Cargo.toml --target-dir $(target)/simulation -- -D warnings
	@$(phase) 'simulation' tests/simulation/run 2000
