#!/usr/bin/env bash
# Plants each bug of tools/model/mutants in a scratch copy of the sources, builds the checker
# against it, and searches breadth first for the shortest way to a claim that fails.
#
#   tools/model/mutants.sh [NAME ...]      all, or those named; prints a table
#
# A patch's first lines say what the bug is, and in which instance it must be found. Where they name
# an instance for its harm too, the search goes on there past the fault itself, until two entries
# are proposed or something is taken for chosen that is not. Fails if a patch no longer applies, if
# a bug is not found, or if the sources without a bug fail a claim.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CARGO_TERM_COLOR=never CARGO_TERM_PROGRESS_WHEN=never

here=tools/model
target=${MUTANTS_TARGET_DIR:-$(realpath -m "$here/target/mutants")}
# One bug changes one file: what the compiler knows of the others is used again. For that the
# scratch copy must always lie at the same place.
scratch=$target/scratch
export CARGO_TARGET_DIR=$target CARGO_PROFILE_RELEASE_INCREMENTAL=true
export CARGO_PROFILE_RELEASE_CODEGEN_UNITS=64
mkdir -p "$scratch"
trap 'rm -rf "$scratch"' EXIT

names=("$@")
if [ $# = 0 ]; then
    for patch in "$here"/mutants/*.patch; do names+=("$(basename "$patch" .patch)"); done
fi
for name in "${names[@]}"; do
    [ -f "$here/mutants/$name.patch" ] || { echo "there is no bug named $name" >&2; exit 2; }
done

header() { sed -n "s/^$1: //p" "$here/mutants/$2.patch"; }

fresh() {
    rm -rf "$scratch/tree"
    mkdir -p "$scratch/tree"
    git ls-files -z Cargo.toml README.md src benches "$here" | xargs -0 cp --parents -t "$scratch/tree"
}

build() {
    (cd "$scratch/tree" && RUSTFLAGS=-Awarnings cargo build --locked --quiet --release --manifest-path "$here/Cargo.toml")
}

# Steps, states, seconds and the claim, of a search with these options.
check() { "$target/release/synod-model" check --brief --shortest "$@" || true; }

row() { printf '| `%s` | %s | `%s` | %s | %s | %s | %s |\n' "$@"; }

failed=0
echo "| bug | what | instance | steps | states | claim | steps to harm |"
echo "|---|---|---|---|---|---|---|"
for name in "${names[@]}"; do
    fresh
    if ! (cd "$scratch/tree" && patch --quiet -p1 <"$OLDPWD/$here/mutants/$name.patch"); then
        row "$name" "the patch no longer applies" - - - - -
        failed=1
        continue
    fi
    build
    # The words of the headers are meant to be split.
    read -r -a options <<<"$(header Check "$name")"
    IFS=$'\t' read -r steps states _seconds claim <<<"$(check "${options[@]}")"
    harm=-
    read -r -a options <<<"$(header Harm "$name")"
    if [ ${#options[@]} -gt 0 ]; then
        IFS=$'\t' read -r harm _rest <<<"$(check --consequences "${options[@]}")"
        [[ $harm =~ ^[0-9]+$ ]] || failed=1
    fi
    row "$name" "$(header Bug "$name")" "$(header Check "$name")" \
        "$steps" "$states" "$claim" "$harm"
    [[ $steps =~ ^[0-9]+$ ]] || failed=1
done

# Without a bug the same instances must hold, or a find says nothing.
fresh
build
for name in "${names[@]}"; do header Check "$name" && header Harm "$name"; done | sort -u | while read -r options; do
    # shellcheck disable=SC2086
    "$target/release/synod-model" check --brief $options >"$scratch/line" && continue
    echo "without a bug, $options: $(cat "$scratch/line")"
    exit 1
done || failed=1
exit "$failed"
