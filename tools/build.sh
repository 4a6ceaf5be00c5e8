#!/usr/bin/env bash
# Builds reels and shows how far that is: cargo's bar on a terminal, its lines elsewhere. Says nothing where all is built.
set -euo pipefail
if [ ! -e "${CARGO_TARGET_DIR:-target}/debug/reels" ]; then
    echo "the first build takes about 6 minutes on two cores, most of them for llama.cpp" >&2
fi
if [ -t 2 ]; then
    # With --quiet only what cargo always says goes: the bar stays where it is asked for.
    width=$(stty size <&2 | cut -d ' ' -f 2)
    CARGO_TERM_PROGRESS_WHEN=always CARGO_TERM_PROGRESS_WIDTH=$width cargo build --quiet
else
    cargo build 2>&1 | { grep --line-buffered -v '^ *Finished ' || true; } >&2
fi
