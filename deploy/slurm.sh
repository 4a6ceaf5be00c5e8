#!/bin/sh
# Answers in 8 parts, each a task of an array; a part that was killed goes on when it is submitted again.
#
#   sbatch deploy/slurm.sh                        all parts
#   sbatch --array=5 deploy/slurm.sh              one of them again
#   reels gather out/shard-* --output out/all     once all are at their end
#
#SBATCH --job-name=reels
#SBATCH --array=1-8
#SBATCH --cpus-per-task=8
#SBATCH --mem=8G
#SBATCH --time=04:00:00
# SIGTERM a minute before the time is up: what is answered is kept either way.
#SBATCH --signal=B:TERM@60
exec reels predict --model "${MODEL:-gguf/reels-mini.gguf}" --data "${DATA:-reels.jsonl}" --shard "${SHARDS:-8}" \
    --output "out/shard-$SLURM_ARRAY_TASK_ID"
