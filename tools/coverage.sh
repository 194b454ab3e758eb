#!/usr/bin/env bash
# Which lines of the core, the log and the wire no test runs. Prints a table of the files, and each
# stretch that no test runs with the reason that tools/uncovered.txt gives for it. Fails if less
# than 95 of a hundred lines are run, or a stretch has no reason.
#
# Needs llvm-cov and llvm-profdata of rustc's own LLVM version: LLVM_COV and LLVM_PROFDATA name
# them, or tools/install-coverage.sh installs Debian's. The instrumented build has a directory of
# its own, target/coverage.
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

# Tests that run in this process alone; the others start programs that are not instrumented.
tests=(--lib)
for file in tests/*.rs tests/*/main.rs; do
    name=$(basename "${file%/main.rs}" .rs)
    case $name in
        examples | feeder | processes | tidy | udp_*) ;;
        *) tests+=(--test "$name") ;;
    esac
done

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")/coverage
rm -rf "$target/profiles"
mkdir -p "$target/profiles"
export CARGO_TARGET_DIR=$target RUSTFLAGS="-C instrument-coverage"
# Build scripts and macros are instrumented too, and write a profile when they run.
export LLVM_PROFILE_FILE=/dev/null
cargo test --locked --quiet --no-run --message-format=json "${tests[@]}" |
    sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' >"$target/programs"
LLVM_PROFILE_FILE=$target/profiles/%p-%m.profraw cargo test --locked --quiet "${tests[@]}" >"$target/log" 2>&1 ||
    { tail -50 "$target/log"; exit 1; }
"$llvm_profdata" merge -sparse "$target"/profiles/*.profraw -o "$target/all.profdata"
objects=()
while read -r program; do objects+=(--object "$program"); done <"$target/programs"
"$llvm_cov" export --format=lcov --instr-profile="$target/all.profdata" "${objects[@]}" >"$target/lcov"

awk -v root="$PWD/" '
    function part(path) {
        if (path ~ /tests|^src\/(node|sim|udp|trace)\//) return ""
        if (path ~ /^src\/(machine|transport|lib)\.rs/) return ""
        if (path ~ /^src\/wal\//) return "log"
        if (path ~ /^src\/(wire|fragment)/) return "wire"
        return path ~ /^src\// ? "core" : ""
    }
    function trim(text) { gsub(/^ +| +$/, "", text); return text }
    function stretch() {
        if (!open) return
        open = 0
        key = file "|" trim(text[first])
        why = key in reason ? reason[key] : "NO REASON GIVEN"
        if (!(key in reason)) unknown++
        printf "  %s:%d: %s\n      %s\n", file, first, trim(text[first]), why
    }
    FILENAME ~ /uncovered.txt$/ {
        if ($0 ~ /^#/ || $0 == "") next
        split($0, field, " \\| ")
        reason[trim(field[1]) "|" trim(field[2])] = trim(field[3])
        next
    }
    /^SF:/ {
        file = substr($0, 4)
        sub(root, "", file)
        of = part(file)
        if (of == "") next
        delete text
        for (line = 1; (getline text[line] < file) > 0; line++) {}
        close(file)
        lines = run = open = 0
    }
    of == "" { next }
    /^DA:/ {
        split(substr($0, 4), at, ",")
        lines++
        if (at[2] > 0) { run++; stretch(); next }
        if (!open) { open = 1; first = at[1] + 0 }
    }
    /^end_of_record/ {
        stretch()
        table[++files] = sprintf("%-28s %5d of %5d  %5.1f %%", file, run, lines, lines ? 100 * run / lines : 100)
        all_run[of] += run; all_lines[of] += lines
    }
    END {
        print ""
        for (i = 1; i <= files; i++) print table[i]
        bad = unknown > 0
        for (of in all_lines) {
            share = 100 * all_run[of] / all_lines[of]
            printf "%s: %d of %d lines, %.1f %%\n", of, all_run[of], all_lines[of], share
            if (share < 95) bad = 1
        }
        if (unknown) printf "%d stretches have no reason in tools/uncovered.txt\n", unknown
        exit bad
    }
' tools/uncovered.txt "$target/lcov"
