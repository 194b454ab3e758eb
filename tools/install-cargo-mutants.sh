#!/usr/bin/env bash
# Installs what tools/cargo-mutants.sh needs: cargo-mutants, built from crates.io. Does nothing where
# it is there.
set -euo pipefail

if ! cargo mutants --version >/dev/null 2>&1; then
    cargo install --locked cargo-mutants --version 27.1.0
fi
echo "everything is there: $(cargo mutants --version)"
