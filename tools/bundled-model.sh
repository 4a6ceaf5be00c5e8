#!/bin/sh
# Rebuilds gguf/reels-mini.gguf: a tokenizer and a base from scratch, an adapter for Reels, a file, its scores.
#
#   INDOSUM=DIR tools/bundled-model.sh [WORK]     with train.jsonl and dev.jsonl of IndoSum as records; WORK is target/bundled-model
#
# A stage whose result is there is skipped, a stage that was interrupted goes on.
set -eu
cd "$(dirname "$0")/.."
news=${INDOSUM:?names the folder of IndoSum as records (train.jsonl, dev.jsonl)}
work=${1:-target/bundled-model}
mkdir -p "$work"

cargo build --quiet --bin reels --example bundled_model
reels=target/debug/reels
bundled=target/debug/examples/bundled_model

stage() { # NAME RESULT COMMAND…
    name=$1 result=$2
    shift 2
    [ -e "$result" ] && return
    echo "== $name" >&2
    start=$(date +%s)
    "$@"
    echo "$name	$(($(date +%s) - start)) s" >>"$work/stages.txt"
}

train() { # RUN FLAGS…
    run=$1
    shift
    if [ -e "$run/manifest.json" ]; then
        $reels train --resume -o "$run"
    else
        $reels train -o "$run" --held-out eval/sample.jsonl "$@"
    fi
}

stage texts "$work/text-dev.jsonl" sh -c "
    $bundled texts --news $news/train.jsonl --reels eval/train.jsonl -o $work/text.jsonl &&
    $bundled texts --news $news/dev.jsonl --reels eval/dev.jsonl -o $work/text-dev.jsonl"
stage start "$work/start/model.safetensors" $bundled base --texts "$work/text.jsonl" -o "$work/start"
stage base "$work/base/model.safetensors" train "$work/base" --method full --base "$work/start" \
    --data "$work/text.jsonl" --dev "$work/text-dev.jsonl" --max-seq-tokens 1024 --grad-accum 4 --epochs 3 \
    --lr 2e-3 --schedule cosine --warmup 60 --weight-decay 0.1 --max-grad-norm 1 --patience 0
stage variations "$work/varied.jsonl" $bundled vary --reels eval/train.jsonl -o "$work/varied.jsonl"
stage adapter "$work/tuned/adapter_model.safetensors" train "$work/tuned" --base "$work/base" \
    --data "$work/varied.jsonl" --dev eval/dev.jsonl --max-seq-tokens 1536 --grad-accum 8 --epochs 4 \
    --rank 64 --lr 2e-3 --schedule cosine --dropout 0.05 --max-grad-norm 1
stage export "$work/reels-mini.gguf" $reels export "$work/tuned" --quant q8_0 -o "$work/reels-mini.gguf"
stage base-export "$work/base.gguf" $reels export "$work/base" --quant q8_0 -o "$work/base.gguf"
stage eval-base "$work/eval-base/scores.json" $reels eval --model "$work/base.gguf" -o "$work/eval-base"
stage eval "$work/eval/scores.json" $reels eval --model "$work/reels-mini.gguf" -o "$work/eval"
for name in lead-1 majority tfidf; do
    stage "eval-$name" "$work/eval-$name/scores.json" $reels eval --model "baseline:$name" --train eval/train.jsonl -o "$work/eval-$name"
done
$reels compare "$work/eval-base" "$work/eval-lead-1" "$work/eval-majority" "$work/eval-tfidf" "$work/eval" -o "$work/compared"
cat "$work/stages.txt"
