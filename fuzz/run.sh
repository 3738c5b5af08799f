#!/bin/bash
# Runs every fuzz target for SECONDS (default 60) each, two at a time, over a copy of the kept corpus.
#
#     fuzz/run.sh [SECONDS [TARGET...]]
#
# Ends with 1 when a target crashes, takes more than 5 s for an input or more than 1 GiB; the input is then in
# fuzz/artifacts/TARGET.
# Builds with the stable compiler: the flags are those that cargo-fuzz would give, without the sanitizer, which needs
# a nightly one; bounds, overflows and assertions are checked all the same.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
seconds=${1:-60}
shift $(($# > 0 ? 1 : 0))
all=(targets/*.rs)
all=("${all[@]#targets/}")
targets=("$@")
((${#targets[@]})) || targets=("${all[@]%.rs}")

flags=(
    -Cpasses=sancov-module
    -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares
    --cfg=fuzzing
)
# With a --target the flags are not those of build scripts and macros.
host=$(rustc -vV | sed -n 's/^host: //p')
CARGO_TARGET_DIR=target RUSTFLAGS="${flags[*]}" \
    cargo build --quiet --release --locked --target "$host" "${targets[@]/#/--bin=}"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fuzz() {
    local target=$1
    mkdir -p "$work/$target" "corpus/$target" "artifacts/$target"
    if ! "target/$host/release/$target" "$work/$target" "corpus/$target" "-artifact_prefix=artifacts/$target/" \
        "-max_total_time=$seconds" -timeout=5 -rss_limit_mb=1024 -max_len=8192 -print_final_stats=1 \
        >"$work/$target.log" 2>&1; then
        tail -n 40 "$work/$target.log"
        echo "fuzz: $target FAILED: see fuzz/artifacts/$target"
        return 1
    fi
    echo "fuzz: $target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$target.log") inputs," \
        "$(grep -o 'cov: [0-9]*' "$work/$target.log" | tail -n 1), nothing found"
}

failed=0
running=0
for target in "${targets[@]}"; do
    if ((running == 2)); then
        wait -n || failed=1
        running=$((running - 1))
    fi
    fuzz "$target" &
    running=$((running + 1))
done
while ((running > 0)); do
    wait -n || failed=1
    running=$((running - 1))
done
exit "$failed"
