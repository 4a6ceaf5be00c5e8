#!/bin/sh
# Rebuilds the bundled model: a tokenizer and a base from scratch, an adapter for Reels, a file, its scores.
#
#   INDOSUM=DIR [SAMPLE=F.jsonl] tools/bundled-model.sh [WORK]
#
# DIR holds train.jsonl and dev.jsonl of IndoSum as records, WORK (target/bundled-model) what is made, SAMPLE
# (eval/sample.jsonl; eval/dev.jsonl while settings are being chosen) what it is judged by. A stage whose result
# is there is skipped; training that was interrupted goes on. The file is copied to gguf/reels-mini.gguf by hand, once its
# scores are what they should be.
set -eu
cd "$(dirname "$0")/.."
news=${INDOSUM:?names the folder with train.jsonl and dev.jsonl of IndoSum as records}
sample=${SAMPLE:-eval/sample.jsonl}
work=${1:-target/bundled-model}
scores=$work/$(basename "$sample" .jsonl)
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

# All weights: first what is written and said, then labels, on which embeddings hardly move while there is text to learn.
stage texts "$work/text.jsonl" \
    "$bundled" texts --news "$news/train.jsonl" --reels eval/train.jsonl --times 4 -o "$work/text.jsonl"
stage texts-dev "$work/text-dev.jsonl" \
    "$bundled" texts --news "$news/dev.jsonl" --reels eval/dev.jsonl -o "$work/text-dev.jsonl"
stage labels "$work/labels.jsonl" \
    "$bundled" texts --reels eval/train.jsonl --times 6 --labels -o "$work/labels.jsonl"
stage labels-dev "$work/labels-dev.jsonl" \
    "$bundled" texts --reels eval/dev.jsonl --labels -o "$work/labels-dev.jsonl"
stage start "$work/start/model.safetensors" \
    "$bundled" base --texts "$work/text.jsonl" --prompts prompts/*.jinja prompts/tasks.toml -o "$work/start"
full="--method full --max-seq-tokens 1280 --grad-accum 1 --epochs 1 --lr 5e-4 --schedule cosine --weight-decay 0.1
    --max-grad-norm 1 --patience 0"
stage text "$work/text/model.safetensors" train "$work/text" --base "$work/start" \
    --data "$work/text.jsonl" --dev "$work/text-dev.jsonl" --warmup 100 --eval-every 600 $full
stage base "$work/base/model.safetensors" train "$work/base" --base "$work/text" \
    --data "$work/labels.jsonl" --dev "$work/labels-dev.jsonl" --warmup 30 --eval-every 200 $full

# An adapter, on the prompts that ship.
stage variations "$work/varied.jsonl" "$bundled" vary --reels eval/train.jsonl -o "$work/varied.jsonl"
stage variations-dev "$work/varied-dev.jsonl" \
    "$bundled" vary --reels eval/dev.jsonl --times 1 -o "$work/varied-dev.jsonl"
stage adapter "$work/tuned/adapter_model.safetensors" train "$work/tuned" --base "$work/base" \
    --data "$work/varied.jsonl" --dev "$work/varied-dev.jsonl" --max-seq-tokens 1280 --grad-accum 2 --epochs 1 \
    --rank 64 --lr 4e-4 --schedule linear --warmup 30 --eval-every 500 --patience 0
for name in base tuned; do
    stage "export-$name" "$work/$name.gguf" "$reels" export "$work/$name" --quant q8_0 -o "$work/$name.gguf"
done
stage export-adapter "$work/adapter.gguf" "$reels" export "$work/tuned" --adapter -o "$work/adapter.gguf"

evaluate() { # NAME FLAGS…
    name=$1
    shift
    stage "eval-$name" "$scores/$name/scores.json" "$reels" eval --data "$sample" -o "$scores/$name" "$@"
}

agree() {
    "$bundled" agree --run "$work/tuned" --base "$work/base" --reels "$sample" \
        --predictions "$scores/tuned/predictions.jsonl" "$scores/adapter/predictions.jsonl" > "$scores/agree.txt"
    cat "$scores/agree.txt" >&2
}

evaluate majority --model baseline:majority --train eval/train.jsonl
evaluate tfidf --model baseline:tfidf --train eval/train.jsonl
evaluate lead-1 --model baseline:lead-1
evaluate base --model "$work/base.gguf"
evaluate tuned --model "$work/tuned.gguf"
evaluate adapter --model "$work/base.gguf" --adapter "$work/adapter.gguf"
stage agree "$scores/agree.txt" agree
for baseline in majority lead-1 base tfidf; do
    "$reels" compare "$scores/$baseline" "$scores/tuned" -o "$scores/compared-to-$baseline"
done
ls -l "$work/tuned.gguf"
cat "$work/stages.txt"
