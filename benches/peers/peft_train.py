"""Trains with transformers and PEFT on the token batches of a run of reels, and prints JSON lines as `metrics.jsonl` has
them, then the dev loss and a summary.

    python peft_train.py --base DIR --batches batches.jsonl --metrics RUN/metrics.jsonl [--adapter DIR] [--nf4]
        [--no-checkpointing] [--one-by-one] [--steps N] [--threads 2] [--no-dev] [--dropout P]

batches.jsonl is what `cargo bench --bench train_batches` writes. Learning rates are those of the run's metrics; the first
adapter is that of --adapter (give it to reels as --init-adapter). Examples of a batch are padded to the longest, or
computed one by one. With --nf4 the linear maps are bitsandbytes'.
"""

import argparse
import importlib.metadata
import json
import resource
import time

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def loss_of(model, examples):
    """Sum over the learned tokens, and their number."""
    longest = max(len(tokens) for tokens, _ in examples)
    ids = torch.zeros(len(examples), longest, dtype=torch.long)
    mask = torch.zeros(len(examples), longest, dtype=torch.long)
    rows, columns = [], []
    for row, (tokens, answer_at) in enumerate(examples):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
        rows += [row] * (len(tokens) - answer_at)
        columns += range(answer_at, len(tokens))
    rows, columns = torch.tensor(rows), torch.tensor(columns)
    inner = model.get_base_model()
    mask = None if bool(mask.all()) else mask
    # Only the rows that are learned go through the output layer, as in reels.
    hidden = inner.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
    logits = inner.lm_head(hidden[rows, columns - 1])
    return torch.nn.functional.cross_entropy(logits.float(), ids[rows, columns], reduction="sum"), len(rows)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", required=True)
    parser.add_argument("--batches", required=True)
    parser.add_argument("--metrics", required=True)
    parser.add_argument("--adapter")
    parser.add_argument("--nf4", action="store_true")
    parser.add_argument("--no-checkpointing", action="store_true")
    parser.add_argument("--one-by-one", action="store_true")
    parser.add_argument("--steps", type=int, default=10**9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-dev", action="store_true")
    parser.add_argument("--dropout", type=float, default=0.0)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(42)

    lines = [json.loads(line) for line in open(arguments.batches)]
    steps, dev = lines[:-1][: arguments.steps], lines[-1]["dev"]
    rates = [line["lr"] for line in map(json.loads, open(arguments.metrics)) if "lr" in line]
    quantised = {}
    if arguments.nf4:
        quantised["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.float32
        )
    model = AutoModelForCausalLM.from_pretrained(arguments.base, dtype=torch.float32, attn_implementation="sdpa", **quantised)
    if not arguments.no_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    if arguments.adapter:
        model = PeftModel.from_pretrained(model, arguments.adapter, is_trainable=True)
    else:
        model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, lora_dropout=arguments.dropout, target_modules=TARGETS, task_type="CAUSAL_LM"))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1.0, weight_decay=0.0)
    model.train()
    seconds, tokens = 0.0, 0
    for index, step in enumerate(steps):
        started = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = rates[index]
        optimizer.zero_grad()
        total, weight, own = 0.0, 0, 0
        for batch in step["batches"]:
            for part in [[example] for example in batch] if arguments.one_by_one else [batch]:
                loss, count = loss_of(model, part)
                loss.backward()
                total, weight = total + loss.item(), weight + count
            own += sum(len(ids) for ids, _ in batch)
        for parameter in trained:
            parameter.grad /= weight
        norm = torch.nn.utils.clip_grad_norm_(trained, 0.3).item()
        optimizer.step()
        took = time.perf_counter() - started
        # The first step warms caches and allocators up.
        if index > 0:
            seconds, tokens = seconds + took, tokens + own
        print(json.dumps({"step": index + 1, "loss": total / weight, "grad_norm": norm, "tokens": own, "seconds": took}), flush=True)
    model.eval()
    with torch.no_grad():
        sums = [loss_of(model, [example]) for batch in dev if not arguments.no_dev for example in batch]
    print(json.dumps({
        "dev_loss": sum(loss.item() for loss, _ in sums) / max(sum(count for _, count in sums), 1),
        "step": len(steps),
        "tokens_per_second": tokens / max(seconds, 1e-9),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft", "bitsandbytes")},
    }))


if __name__ == "__main__":
    main()
