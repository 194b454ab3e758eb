#!/usr/bin/env bash
# Installs what .ci/run needs and a fresh Debian machine may lack: a linker, a C++ compiler for the
# fuzzing engine, valgrind, which counts instructions, and two components of the Rust toolchain. Does
# nothing where all is there. Rust itself (see rust-version in Cargo.toml) must be installed already.
set -euo pipefail

if ! command -v cc >/dev/null || ! command -v c++ >/dev/null; then
    apt-get update
    apt-get install --yes --no-install-recommends gcc g++ libc6-dev
fi
if ! command -v valgrind >/dev/null; then
    apt-get update
    # Valgrind looks into the C library, and wants the names of its functions.
    apt-get install --yes --no-install-recommends valgrind libc6-dbg
fi
if ! command -v cargo >/dev/null; then
    echo "no cargo: install Rust first" >&2
    exit 1
fi
for component in rustfmt clippy; do
    if ! cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1; then
        rustup component add "$component"
    fi
done
echo "everything is there: $(cargo --version)"
