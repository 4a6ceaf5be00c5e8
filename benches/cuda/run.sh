#!/bin/sh
# Training a 7B on the GPU of this machine: ours and peers, the same shape, batch and adapter.
#
#   benches/cuda/run.sh REELS PROFILE CONFIG.json TOKENIZER_DIR [WORK]
#
# CONFIG.json is Qwen2.5-7B's. REELS is a build with --features cuda, PROFILE its example cuda_profile; libcublas.so.13 must be
# on LD_LIBRARY_PATH.
set -eu
reels=$1 profile=$2 config=$3 tokenizer=$4 work=${5:-/tmp/cuda-bench}
here=$(dirname "$0")
mkdir -p "$work"
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
[ -e "$work/7b/model.safetensors.index.json" ] || python3 "$here/../peers/random_checkpoint.py" --config "$config" --tokenizer "$tokenizer" -o "$work/7b"
python3 "$here/texts.py" "$tokenizer/tokenizer.json" "$work/texts.jsonl"
cat "$work"/7b/*.safetensors > /dev/null # into the page cache
ours() { # NAME FLAGS…
    name=$1
    shift
    rm -rf "$work/$name"
    echo "== reels, $name"
    "$reels" train --device cuda --base "$work/7b" --data "$work/texts.jsonl" -o "$work/$name" --rank 16 --dropout 0 \
        --grad-accum 1 --max-seq-tokens 1024 --warmup 0 "$@" 2>&1 | grep -E "^(device|memory|loaded|trained)"
}
ours recomputed --batch-size 8 --steps 30 --max-memory 11440M
ours free --batch-size 8 --steps 40
ours one --batch-size 1 --steps 100 --max-memory 8100M
"$profile" "$work/7b" 8 11.44
"$profile" "$work/7b" 8
for peer in peft unsloth; do
    python3 "$here/peers.py" "$peer" "$work/7b" 8 9 2>&1 | tail -1
done
