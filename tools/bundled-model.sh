#!/bin/sh
# Rebuilds the bundled model: a tokenizer and a base from scratch, an adapter for Reels, a file, its scores.
#
#   INDOSUM=DIR tools/bundled-model.sh [WORK]
#
# DIR holds train.jsonl and dev.jsonl of IndoSum as records, WORK (target/bundled-model) what is made. A stage whose result
# is there is skipped; training that was interrupted goes on. The file is copied to gguf/reels-mini.gguf by hand, once its
# scores are what they should be.
set -eu
cd "$(dirname "$0")/.."
news=${INDOSUM:?names the folder with train.jsonl and dev.jsonl of IndoSum as records}
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
    echo "$name: $(($(date +%s) - start)) s" | tee -a "$work/stages.txt" >&2
}

train() { # RUN FLAGS…
    run=$1
    shift
    if [ -e "$run/manifest.json" ]; then
        "$reels" train --resume -o "$run"
    else
        "$reels" train -o "$run" --held-out eval/sample.jsonl "$@"
    fi
}

stage texts "$work/text.jsonl" \
    "$bundled" texts --news "$news/train.jsonl" --reels eval/train.jsonl -o "$work/text.jsonl"
stage texts-dev "$work/text-dev.jsonl" \
    "$bundled" texts --news "$news/dev.jsonl" --reels eval/dev.jsonl -o "$work/text-dev.jsonl"
stage start "$work/start/model.safetensors" "$bundled" base --texts "$work/text.jsonl" -o "$work/start"
stage base "$work/base/model.safetensors" train "$work/base" --method full --base "$work/start" \
    --data "$work/text.jsonl" --dev "$work/text-dev.jsonl" --max-seq-tokens 1280 --grad-accum 2 --epochs 3 \
    --lr 2e-3 --schedule cosine --warmup 100 --weight-decay 0.1 --max-grad-norm 1 --patience 0
stage variations "$work/varied.jsonl" "$bundled" vary --reels eval/train.jsonl -o "$work/varied.jsonl"
stage adapter "$work/tuned/adapter_model.safetensors" train "$work/tuned" --base "$work/base" \
    --data "$work/varied.jsonl" --dev eval/dev.jsonl --max-seq-tokens 1536 --grad-accum 4 --epochs 4 \
    --rank 64 --lr 2e-3 --schedule cosine --dropout 0.05 --max-grad-norm 1
for name in base tuned; do
    stage "export-$name" "$work/$name.gguf" "$reels" export "$work/$name" --quant q8_0 -o "$work/$name.gguf"
done

evaluate() { # NAME FLAGS…
    name=$1
    shift
    stage "eval-$name" "$work/eval/$name/scores.json" "$reels" eval -o "$work/eval/$name" "$@"
}

evaluate majority --model baseline:majority --train eval/train.jsonl
evaluate tfidf --model baseline:tfidf --train eval/train.jsonl
evaluate lead-1 --model baseline:lead-1
evaluate base --model "$work/base.gguf"
evaluate tuned --model "$work/tuned.gguf"
for baseline in majority lead-1 base tfidf; do
    "$reels" compare "$work/eval/$baseline" "$work/eval/tuned" -o "$work/compared/$baseline"
done
ls -l "$work/tuned.gguf"
cat "$work/stages.txt"
