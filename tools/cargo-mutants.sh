#!/usr/bin/env bash
# Changes the core, the log and the wire in small ways, one at a time, as cargo-mutants makes them up,
# and runs the tests against each: the share that they catch says how much they see. Prints that
# share, and each change that nothing noticed. Fails if it is below 95 of a hundred.
#
#   tools/cargo-mutants.sh --sample N [--seed S]   N of them, at random; the same S draws the same
#   tools/cargo-mutants.sh src/FILE.rs ...         all of these files
#   tools/cargo-mutants.sh --all                   all: most of a day on two cores
#   tools/cargo-mutants.sh --equivalent            those that tools/equivalent-mutants.txt lists:
#                                                  fails if a test catches one
#   --resume                                       with any: tries only what an earlier run, of the
#                                                  same sources, has not caught
#
# Works on a copy, in target/cargo-mutants. First come tests that take seconds, in a build that takes
# seconds; what they miss meets all tests of one process. What hangs is caught. Needs cargo-mutants:
# tools/install-cargo-mutants.sh installs it.
#
# Exit code 0: at least 95 of a hundred are caught. 1: not so. 2: bad options, or a tool is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

refuse() {
    echo "cargo-mutants: $1" >&2
    exit 2
}

what='' count=0 seed=1 resume=no files=()
choose() {
    [ -z "$what" ] || [ "$what" = "$1" ] || refuse "--sample, --all, --equivalent and files exclude each other"
    what=$1
}
while [ $# -gt 0 ]; do
    case $1 in
        --sample | --seed)
            [[ ${2:-} =~ ^[0-9]{1,9}$ ]] || refuse "$1 takes a number"
            if [ "$1" = --seed ]; then seed=$2; else choose sample && count=$2; fi
            shift
            ;;
        --all | --equivalent) choose "${1#--}" ;;
        --resume) resume=yes ;;
        -*) refuse "no option $1; the comment on top of $0 tells them" ;;
        *) choose files && files+=("$1") ;;
    esac
    shift
done
[ -n "$what" ] || refuse "say what to mutate: --sample N, --all, --equivalent or files"
[ "$what" != sample ] || [ "$count" -gt 0 ] || refuse "--sample takes a number above 0"
cargo mutants --version >/dev/null 2>&1 ||
    refuse "cargo-mutants is not here; tools/install-cargo-mutants.sh installs it"

work=$(realpath -m "${CARGO_TARGET_DIR:-target}")/cargo-mutants
tree=$work/tree
mkdir -p "$tree"
exec 9>"$work/lock"
flock -n 9 || refuse "another run uses $work"
rm -rf "$tree/src" "$tree/tests"
# Copied with the time of now: a build of a run that was broken off may be that of a mutant.
git ls-files -z --cached --others --exclude-standard | tar --null -T - -c | tar -x -m -C "$tree"
equivalent=$PWD/tools/equivalent-mutants.txt
cd "$tree"

# Its line and column change with each edit above it; the text of its line does not.
keys() {
    awk '
        {
            split($0, at, ":")
            file = at[1]
            if (!(file in known)) {
                known[file] = 1
                for (line = 1; (getline text < file) > 0; line++) {
                    gsub(/^ +| +$/, "", text)
                    source[file, line] = text
                }
                close(file)
            }
            name = $0
            sub(/:[0-9]+:[0-9]+: /, ": ", name)
            print name "\t" source[file, at[2]] "\t" $0
        }'
}
# The list: a mutant without line and column, its line, the reason. The last two are indented.
listed() {
    awk '/^#/ || /^$/ { next } !/^ / { name = $0; rows = 0; next }
         { gsub(/^ +/, ""); if (!rows++) print name "\t" $0 }' "$equivalent"
}

cargo mutants --list --colors never >"$work/everything"
grep -vE '^src/((node|sim|udp|trace)/|(machine|transport|lib)\.rs:)' "$work/everything" >"$work/scope"
keys <"$work/scope" >"$work/keys"
awk -F'\t' 'NR == FNR { listed[$1, $2] = 1; next } ($1, $2) in listed { print $3 }' \
    <(listed) "$work/keys" >"$work/equivalent"
stale=$(awk -F'\t' 'NR == FNR { there[$1, $2] = 1; next } !(($1, $2) in there) { print "  " $1 }' \
    "$work/keys" <(listed))
if [ -n "$stale" ]; then
    printf 'cargo-mutants: tools/equivalent-mutants.txt lists what is no mutant any more:\n%s\n' "$stale" >&2
    exit 1
fi

case $what in
    all) cat "$work/scope" ;;
    equivalent) cat "$work/equivalent" ;;
    sample)
        LC_ALL=C sort --random-sort --random-source=<(yes "$seed") "$work/scope" >"$work/shuffled"
        head -n "$count" "$work/shuffled"
        ;;
    files)
        for file in "${files[@]}"; do
            grep -F "$file:" "$work/scope" | grep "^$file:" || refuse "no mutants in $file" >&2
        done
        ;;
esac >"$work/chosen"

results=$work/results
[ "$resume" = yes ] || rm -f "$results"
touch "$results"

export CARGO_TARGET_DIR=$work/build CARGO_PROFILE_DEV_DEBUG=0 CARGO_TERM_COLOR=never
export SYNOD_CASES=200 SYNOD_SEEDS=12
# A mutant that allocates without end must not take the machine with it.
ulimit -v $((8 << 20))

# Sets the options of cargo and of the tests for a mutant of that file. Optimising takes longer than
# these tests.
quick_tests() {
    local tests
    skip=(--skip sim::)
    case $1 in
        src/wal/*) suite=log tests=(log_recovery log_media) skip+=(--skip fragment:: --skip replica::) ;;
        src/wire* | src/fragment*)
            suite=wire tests=(wire_golden) skip+=(--skip random_fragments --skip filled_messages)
            ;;
        *) suite=core tests=(paper plays storey0) skip+=(--skip fragment::) ;;
    esac
    options=(--locked --lib "${tests[@]/#/--test=}" --config=profile.dev.opt-level=0
        '--config=profile.dev.package."*".opt-level=1')
}
# Not trace_golden: it sees that a run is another one, not that it is wrong.
all_tests() {
    local tests=(agreement crash_points fuzz_seeds log_crash log_cuts log_golden log_media log_recovery
        log_restarts log_rot paper plays regressions simulation storey0 wire_golden wire_memory)
    suite=all skip=()
    # An optimised incremental build has failed to link, which would count as unviable.
    options=(--locked --lib "${tests[@]/#/--test=}" --config=profile.dev.incremental=false)
}

# Sets `outcome` to what becomes of the mutant under the tests that are set; not before these were
# seen to pass without one. cargo-mutants' filters do not reach each kind of mutant, so it is named
# as the shard of its file that holds just this one.
declare -A sound=()
attempt() {
    local mutant=$1 seconds=$2 file=${1%%:*} index total out=$work/out
    if [ -z "${sound[$suite]:-}" ]; then
        cargo test --quiet "${options[@]}" -- "${skip[@]}" >"$work/log" 2>&1 </dev/null || {
            tail -50 "$work/log"
            echo "cargo-mutants: the tests fail without any mutant" >&2
            exit 1
        }
        sound[$suite]=yes
    fi
    index=$(grep "^$file:" "$work/scope" | grep -nxF -e "$mutant" | cut -d: -f1)
    total=$(grep -c "^$file:" "$work/scope")
    rm -rf "$out"
    mkdir "$out"
    cargo mutants --in-place --baseline skip --colors never --output "$out" --file "$file" \
        --shard "$((index - 1))/$total" --sharding round-robin \
        --timeout "$seconds" --build-timeout 600 "${options[@]/#/--cargo-arg=}" -- -- "${skip[@]}" \
        >"$out/log" 2>&1 </dev/null || true
    for outcome in caught timeout missed unviable; do
        if grep -qxF -e "$mutant" "$out/mutants.out/$outcome.txt" 2>/dev/null; then return; fi
    done
    cat "$out/log"
    echo "cargo-mutants: nothing became of $mutant" >&2
    exit 1
}

ended() { grep -qxF -e "caught"$'\t'"$1" -e "timeout"$'\t'"$1" -e "unviable"$'\t'"$1" "$results"; }

done=0 all=$(wc -l <"$work/chosen")
while IFS= read -r mutant <&3; do
    done=$((done + 1))
    if ended "$mutant"; then continue; fi
    if [ "$what" != equivalent ] && grep -qxF -e "$mutant" "$work/equivalent"; then continue; fi
    quick_tests "${mutant%%:*}"
    attempt "$mutant" 45
    if [ "$outcome" = missed ]; then
        all_tests
        attempt "$mutant" 300
    fi
    printf '%s\t%s\n' "$outcome" "$mutant" >>"$results"
    printf '%d of %d, after %d s: %-8s %s\n' "$done" "$all" "$SECONDS" "$outcome" "$mutant"
done 3<"$work/chosen"

awk -F'\t' -v what="$what" -v chosen="$work/chosen" -v equivalent="$work/equivalent" '
    FILENAME == equivalent { listed[$0] = 1; next }
    FILENAME == chosen { wanted[$0] = 1; total++; next }
    $2 in wanted { outcome[$2] = $1 }
    END {
        for (mutant in wanted) {
            if (mutant in outcome && (what == "equivalent" || !(mutant in listed))) of[outcome[mutant]]++
            else same++
        }
        found = of["caught"] + of["timeout"]
        viable = found + of["missed"] + same
        printf "\n%d mutants: %d unviable, %d viable\n", total, of["unviable"], viable
        printf "%d caught, %d of them hung; %d missed; %d equivalent\n", found, of["timeout"], of["missed"], same
        for (mutant in outcome) if (outcome[mutant] == "missed" && of["missed"]) missed[++rows] = mutant
        if (what == "equivalent") exit of["missed"] + of["unviable"] < total
        fflush()
        for (row in missed) if (!(missed[row] in listed)) print "  missed: " missed[row] | "sort"
        close("sort")
        n = viable - same
        if (!n) exit 1
        p = found / n
        printf "caught of the viable that are not equivalent: %.1f %%", 100 * p
        if (what == "sample") {
            # The interval of Wilson, at 95 %.
            z = 1.96
            middle = (p + z * z / (2 * n)) / (1 + z * z / n)
            half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
            printf "; 95 %% interval %.1f to %.1f %%", 100 * (middle - half), 100 * (middle + half)
        }
        printf "\ncaught of all viable: %.1f %%\n", 100 * found / viable
        exit p < 0.95
    }
' "$work/equivalent" "$work/chosen" "$results"
