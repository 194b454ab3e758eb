#!/usr/bin/env bash
# Installs what tools/coverage.sh needs: llvm-cov and llvm-profdata of rustc's own LLVM version,
# from Debian. Does nothing where they are there.
set -euo pipefail

version=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
if ! command -v "llvm-cov-$version" >/dev/null; then
    apt-get update
    apt-get install --yes --no-install-recommends "llvm-$version"
fi
echo "everything is there: $(command -v "llvm-cov-$version")"
