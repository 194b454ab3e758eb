#!/usr/bin/env bash
# Runs one fuzz target for some seconds, from the seeds that are kept in the repository, and prints
# how many inputs it ran and how many edges of the code they took:
#
#   tools/fuzz.sh TARGET [SECONDS] [option of libFuzzer, or an input to run alone]...
#
# What it found new is added to fuzz/corpora/TARGET, which is not kept; an input that makes the
# target fail is written to fuzz/artifacts/TARGET, and its name printed. Needs a C++ compiler, but
# neither cargo-fuzz nor a nightly toolchain: coverage is a pass of the compiler that is there. With
# SANITIZER=address, which needs nightly, it also looks for what `unsafe` code does wrong.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

targets() { sed -n '/^\[\[bin\]\]/,/^path/s/^name = "\(.*\)"$/\1/p' "$root/fuzz/Cargo.toml"; }
if [ $# = 0 ] || ! targets | grep -qxF -- "$1"; then
    echo "usage: tools/fuzz.sh TARGET [SECONDS] [OPTION]...; targets: $(targets | xargs)" >&2
    exit 2
fi
target=$1 seconds=${2:-60}
shift $(($# > 1 ? 2 : 1))
if ! [[ $seconds =~ ^[1-9][0-9]*$ ]]; then
    echo "seconds are a whole number above 0, not $seconds" >&2
    exit 2
fi
if ! command -v c++ >/dev/null; then
    echo "no C++ compiler: tools/install-dev.sh installs one" >&2
    exit 2
fi

# What cargo-fuzz sets for a stable compiler: coverage of edges and of comparisons.
flags="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares
    -Cllvm-args=-simplifycfg-branch-fold-threshold=0"
toolchain=() directory=${CARGO_TARGET_DIR:-$root/fuzz/target}
if [ "${SANITIZER:-none}" = address ]; then
    toolchain=(+nightly)
    flags="$flags -Zsanitizer=address"
    directory=$directory/address
fi
# Cross-compiled to the machine's own kind: so the flags are not for what runs while it is built.
triple=$(rustc -vV | sed -n 's/^host: //p')
CARGO_TARGET_DIR=$directory RUSTFLAGS=$(echo $flags) cargo "${toolchain[@]}" build --locked --quiet \
    --release --manifest-path "$root/fuzz/Cargo.toml" --target "$triple" --bin "$target"
program=$directory/$triple/release/$target

# One target makes thousands of files: a directory in memory is kinder to the disk.
scratch=$(mktemp -d "$([ -w /dev/shm ] && echo /dev/shm || echo /tmp)/synod-fuzz.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
export TMPDIR=$scratch

if [ $# -gt 0 ] && [ -f "$1" ]; then
    "$program" -timeout=10 "$@"
    exit
fi
corpus=$root/fuzz/corpora/$target artifacts=$root/fuzz/artifacts/$target/
mkdir -p "$corpus" "$artifacts"
log=$artifacts/log
if ! "$program" -max_total_time="$seconds" -artifact_prefix="$artifacts" -rss_limit_mb=2048 \
    -timeout=10 -print_final_stats=1 -reload=0 -max_len=2048 -len_control=20 "$@" \
    "$corpus" "$root/fuzz/seeds/$target" >"$log" 2>&1; then
    grep -vE '^#[0-9]|NEW_FUNC|^"' "$log" | tail -60
    echo "$target: FAILED; to see it again: tools/fuzz.sh $target 1 fuzz/artifacts/$target/NAME" >&2
    exit 1
fi
executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -1)
echo "$target: $executions inputs in $seconds s, $edges edges, no finding"
