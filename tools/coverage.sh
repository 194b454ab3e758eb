#!/usr/bin/env bash
# Which lines of the core, the log and the wire no test runs. Prints a table of the files, and each
# stretch that no test runs with the reason that tools/uncovered.txt gives for it. Fails if less
# than 95 of a hundred lines are run, if a stretch has no reason, or if a reason has no stretch.
#
# Needs llvm-cov and llvm-profdata of rustc's own LLVM version: LLVM_COV and LLVM_PROFDATA name
# them, or tools/install-coverage.sh installs Debian's. Only this package is instrumented, so what
# `cargo test` has built of the dependencies is used.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
llvm_cov=${LLVM_COV:-llvm-cov-$version}
llvm_profdata=${LLVM_PROFDATA:-llvm-profdata-$version}
for tool in "$llvm_cov" "$llvm_profdata"; do
    if ! command -v "$tool" >/dev/null; then
        echo "coverage: $tool is not here; tools/install-coverage.sh installs it" >&2
        exit 2
    fi
done

# Tests whose course depends on their seeds alone, so that the result is the same each time. The
# others run no further line of the three parts, or are at the mercy of threads and the network:
# - agreement, crash_points, linearizability, log_cuts, log_golden, log_rot, plays, regressions,
#   simulate, simulation, wire_memory: what they run, the unit tests of `sim` and these run too;
# - node_*, udp_*, processes, examples, feeder: the driver and the transport, with threads.
tests=(--lib)
for name in batches fuzz_seeds log_crash log_media log_recovery paper storey0 wire_golden; do
    tests+=(--test "$name")
done
# The same among the unit tests; the last one takes seven seconds to fill the memory of a receiver.
skip=(--skip node:: --skip udp:: --skip fragment::tests::hostile::filled_messages)

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")/coverage
rm -rf "$target"
mkdir -p "$target/profiles"
# Cargo lets this stand before rustc, for this package alone.
cat >"$target/rustc" <<'end'
#!/bin/sh
exec "$@" -C instrument-coverage -C debuginfo=0
end
chmod +x "$target/rustc"
export RUSTC_WORKSPACE_WRAPPER=$target/rustc CARGO_INCREMENTAL=0
export LLVM_PROFILE_FILE=$target/profiles/%p-%m.profraw
cargo test --locked --no-run --message-format=json-render-diagnostics "${tests[@]}" \
    >"$target/build" 2>"$target/log" || { cat "$target/log"; exit 1; }
sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' "$target/build" >"$target/programs"
echo "built after $SECONDS s"
cargo test --locked --quiet "${tests[@]}" -- "${skip[@]}" >"$target/log" 2>&1 ||
    { tail -50 "$target/log"; exit 1; }
echo "run after $SECONDS s"
"$llvm_profdata" merge -sparse "$target"/profiles/*.profraw -o "$target/all.profdata"
# One program after the other, and a line is run if it is in one of them. Told of all at once,
# llvm-cov believes the first that names a function: it may only name it, as one that it leaves out.
while read -r program; do
    "$llvm_cov" export --format=lcov --instr-profile="$target/all.profdata" "$program" \
        2>>"$target/log"
done <"$target/programs" >"$target/lcov"
# file|line|runs
awk -v root="$PWD/" '
    /^SF:/ {
        file = substr($0, 4)
        if (index(file, root) == 1) file = substr(file, length(root) + 1)
    }
    /^DA:/ && file ~ /^src\// { split(substr($0, 4), at, ","); print file "|" at[1] "|" at[2] }
' "$target/lcov" | LC_ALL=C sort -t "|" -k 1,1 -k 2,2n -k 3,3nr >"$target/lines"

code=0
awk -F "|" '
    function part(path) {
        if (path ~ /tests|^src\/(node|sim|udp|trace)\//) return ""
        if (path ~ /^src\/(machine|transport|lib)\.rs/) return ""
        if (path ~ /^src\/wal\//) return "log"
        return path ~ /^src\/(wire|fragment)/ ? "wire" : "core"
    }
    function trim(text) { gsub(/^ +| +$/, "", text); return text }
    # A stretch is what no test runs between two lines that some test runs. Each reason serves one:
    # stretches that look alike take theirs in order.
    function stretch(   key, why) {
        if (!open) return
        key = file " | " trim(text[first]) " | " open
        if (used[key] < given[key]) why = reason[key, ++used[key]]
        else { why = "NO REASON GIVEN"; unknown++ }
        printf "%s:%d | %s | %d\n    %s\n", file, first, trim(text[first]), open, why
        open = 0
    }
    function end_file(   share) {
        stretch()
        if (of == "") return
        share = 100 * run / lines
        table[++files] = sprintf("%-28s %5d of %5d  %5.1f %%", file, run, lines, share)
        all_run[of] += run; all_lines[of] += lines
    }
    FILENAME ~ /uncovered.txt$/ {
        if ($0 ~ /^#/ || $0 == "") next
        # The line of code may hold the separator itself: the reason is what stands after the last.
        if (!match($0, / \| [0-9]+ \| [^|]+$/)) { print "not a reason: " $0; bad = 1; next }
        rest = substr($0, RSTART + 3)
        key = substr($0, 1, RSTART - 1) " | " substr(rest, 1, index(rest, " ") - 1)
        reason[key, ++given[key]] = trim(substr(rest, index(rest, "|") + 1))
        keys[++reasons] = key
        next
    }
    $1 != file {
        end_file()
        file = $1
        of = part(file)
        last = lines = run = 0
        if (of != "") {
            for (line = 1; (getline text[line] < file) > 0; line++) {}
            close(file)
        }
    }
    of == "" || $2 == last { next }
    {
        last = $2
        lines++
        if ($3 > 0) { run++; stretch() } else if (!open++) first = $2
    }
    END {
        end_file()
        print ""
        for (i = 1; i <= files; i++) print table[i]
        print ""
        split("core log wire", parts, " ")
        for (i = 1; i <= 3; i++) {
            of = parts[i]
            share = all_lines[of] ? 100 * all_run[of] / all_lines[of] : 0
            printf "%s: %d of %d lines, %.1f %%\n", of, all_run[of], all_lines[of], share
            if (share < 95) { print "that is less than 95 %"; bad = 1 }
        }
        for (i = 1; i <= reasons; i++) {
            key = keys[i]
            if (++seen[key] > used[key]) { print "no such stretch any more: " key; bad = 1 }
        }
        if (unknown) {
            printf "%d stretches have no reason in tools/uncovered.txt\n", unknown
            bad = 1
        }
        exit bad
    }
' tools/uncovered.txt "$target/lines" || code=$?
echo "coverage took $SECONDS s"
exit "$code"
