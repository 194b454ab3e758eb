#!/usr/bin/env bash
# Runs the benchmarks, or those that are named, and prints one table of all results as Markdown:
#
#   tools/bench.sh [BENCHMARK [option of criterion]...]
#
# The time of an iteration is the median, with the interval that criterion has for it at 95 %. What is
# said of the log is also said as a multiple of the floor, which the same run measures. Let nothing
# else run on the machine meanwhile.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
if [ $# -gt 0 ]; then
    names=("$1")
    shift
else
    mapfile -t names < <(basename -s .rs benches/*.rs)
fi
for name in "${names[@]}"; do
    CRITERION_HOME=$results cargo bench --locked --quiet --bench "$name" -- --noplot "$@" >&2
done

echo "| what | iteration | 95 % interval | for each second | of the floor |"
echo "|---|---|---|---|---|"
# Both files are one line of JSON each, whose strings have no quotes in them.
number='[^,}]*'
interval="\"lower_bound\":($number),\"upper_bound\":($number)\\}"
find "$results" -path '*/new/benchmark.json' | sort -V | while read -r benchmark; do
    of=$(<"$benchmark") times=$(<"${benchmark%benchmark.json}estimates.json")
    [[ $of =~ \"full_id\":\"([^\"]*)\" ]] && name=${BASH_REMATCH[1]}
    kind='' count=''
    if [[ $of =~ \"throughput\":\{\"([A-Za-z]*)\":([0-9]*)\} ]]; then
        kind=${BASH_REMATCH[1]} count=${BASH_REMATCH[2]}
    fi
    [[ $times =~ \"median\":\{[^{]*\{[^}]*$interval,\"point_estimate\":($number) ]]
    printf '%s\t' "$name" "$kind" "$count" "${BASH_REMATCH[3]}" "${BASH_REMATCH[1]}"
    printf '%s\n' "${BASH_REMATCH[2]}"
done | awk -F'\t' '
    function time(nanos) {
        if (nanos < 1e3) return sprintf("%.0f ns", nanos)
        if (nanos < 1e6) return sprintf("%.1f µs", nanos / 1e3)
        return sprintf("%.2f ms", nanos / 1e6)
    }
    function rate(kind, count, nanos) {
        if (kind == "Bytes") return sprintf("%.1f MB", count / nanos * 1e3)
        return sprintf("%.0f", (count ? count : 1) / nanos * 1e9)
    }
    { names[++rows] = $1; kind[$1] = $2; count[$1] = $3; median[$1] = $4; low[$1] = $5; high[$1] = $6 }
    END {
        for (row = 1; row <= rows; row++) {
            name = floor = names[row]
            of_floor = ""
            if (sub(/^log\/(mapped|pwrite)\//, "log/floor/", floor) && floor in median)
                of_floor = sprintf("%.2f", median[name] / median[floor])
            printf "| %s | %s | %s to %s | %s | %s |\n", name, time(median[name]), time(low[name]),
                time(high[name]), rate(kind[name], count[name], median[name]), of_floor
        }
    }'
