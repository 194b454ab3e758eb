#!/usr/bin/env bash
# Measures all that docs/PERFORMANCE.md shows, and renews its tables and charts: about 25 minutes.
#
#   tools/performance.sh [--quick] [--steady] [--rocksdb]
#   tools/performance.sh --draw
#
# --quick: one short run of each, to try it out, which leaves docs/ alone. --steady: watches udp_kv
# for 10 minutes at rest and 10 under load, too. --rocksdb: measures OmniPaxos over RocksDB, too (a
# long build; needs a C++ compiler and libclang). --draw: measures nothing; makes tables and charts
# of the results that are kept.
#
# All is built first. Let nothing else run on the machine then. Raw results go to
# target/performance.jsonl, and take the place of docs/performance.jsonl at the end. What fails is
# named and the rest still measured. Exits with 1 if anything failed, or if a target is missed
# without a reason in benches/peers/reasons.txt.
set -euo pipefail
cd "$(dirname "$0")/.."
kept=docs/performance.jsonl
target=$PWD/benches/peers/target
# Where logs are written: on the disk that is measured.
logs=$PWD/target/performance

quick='' steady='' draw='' features=()
for option in "$@"; do
    case $option in
        --quick) quick=yes ;;
        --steady) steady=yes ;;
        --rocksdb) features=(--features rocksdb) ;;
        --draw) draw=yes ;;
        *) echo "performance.sh: $option is no option" >&2 && exit 2 ;;
    esac
done

cargo build --locked --quiet --release --manifest-path benches/peers/Cargo.toml \
    --target-dir "$target" "${features[@]}"
peers=$target/release/peers

failed=()
measure() {
    step=$((step + 1))
    echo "== $(date +%T) step $step of $steps: peers $*" >&2
    "$peers" "$@" --out "$results" || failed+=("peers $*")
}

measure_all() {
    local runs=5 seconds=0.5 kills=20 total=600 suffix=100 log=1024 long=()
    if [ -n "$quick" ]; then
        runs=1 seconds=0.1 kills=2 total=5 suffix=20 log=64 long=(--least-millis 20)
    fi
    local durable=(durable --directory "$logs") servers=(servers --directory "$logs")
    local step=0 steps=13
    [ -z "$steady" ] || steps=14
    measure engine --runs "$runs" "${long[@]}"
    measure engine --runs "$runs" "${long[@]}" --windows 256 --commands 10000,200000,1000000
    measure engine --runs "$runs" "${long[@]}" --windows 256 --replicas 3,5,7,9
    measure "${durable[@]}" --runs "$runs" --seconds "$seconds" --in-flight 4,16,64,256,1024,4096
    measure "${durable[@]}" --runs "$runs" --seconds "$seconds" --in-flight 1 --replicas 3,5,7,9
    measure "${durable[@]}" --runs "$runs" --seconds "$seconds" --in-flight 16 \
        --value-bytes 16,256,4096,65536,1048576
    measure "${durable[@]}" --runs "$runs" --seconds "$seconds" --suite stages
    measure "${durable[@]}" --runs "$runs" --suite stream --in-flight 64 --value-bytes 16384
    measure "${durable[@]}" --runs "$runs" --seconds "$seconds" --suite reads --in-flight 64
    measure "${durable[@]}" --runs "$runs" --suite opening --log-mebibytes "$log"
    measure "${durable[@]}" --runs "$runs" --suite fail-over --suffix-megabytes "$suffix"
    measure "${servers[@]}" --runs "$runs" --seconds 2 --warm-up 0.5 --clients 1,4,16,64,256
    measure "${servers[@]}" --fail-over "$kills"
    [ -z "$steady" ] || measure "${servers[@]}" --peers synod --steady "$total"
}

results=$PWD/target/performance.jsonl
if [ -z "$draw" ]; then
    cargo build --locked --quiet --release --example udp_kv
    rm -rf "$logs" "$results"
    mkdir -p "$logs"
    trap 'rm -rf "$logs"' EXIT
    measure_all
    [ -n "$quick" ] || cp "$results" "$kept"
fi
if [ -n "$quick" ]; then
    "$peers" draw "$results" --into target/charts >&2
else
    results=$kept
    rm -f docs/charts/*.svg
    "$peers" draw "$results" --into docs/charts >&2
    "$peers" document "$results" --into docs/PERFORMANCE.md
fi
missed=0
"$peers" targets "$results" || missed=$?
if [ "${#failed[@]}" -gt 0 ]; then
    echo "performance.sh: failed, and measured in part at most:" >&2
    printf '  %s\n' "${failed[@]}" >&2
    exit 1
fi
exit "$missed"
