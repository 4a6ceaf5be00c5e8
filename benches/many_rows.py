"""Writes many records and predictions, to see what `reels score` takes for them.

    python many_rows.py OUTDIR --rows 1000000 [--seed 1] [--without-accounts]
    reels score --predictions OUTDIR/predictions.jsonl --data OUTDIR/data.jsonl -o OUTDIR/scored

Three tasks a record (a summary of 30 words, a category with probabilities, a yes/no task with probabilities), prompts of
600 characters, 20 records an account. Needs nothing beyond Python.
"""

import argparse
import hashlib
import json
import math
import random
import tomllib
from pathlib import Path

TASKS = Path(__file__).resolve().parents[1] / "prompts" / "tasks.toml"
SYLLABLES = "ba bi bu ca da di du ga gi ha ja ka ki ku la li lu ma mi mu na ngi nya pa pe ra ri ru sa se su ta te tu wa ya".split()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outdir", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--without-accounts", action="store_true")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    words = ["".join(rng.choices(SYLLABLES, k=rng.randint(2, 4))) for _ in range(3000)]
    tasks = tomllib.loads(TASKS.read_text())["task"]
    arguments.outdir.mkdir(parents=True, exist_ok=True)
    hashes = {name: hashlib.sha256(name.encode()).hexdigest() for name in ["model", "settings"]}

    def text(count):
        return " ".join(rng.choices(words, k=count)).capitalize() + "."

    def scored(labels):
        weights = [rng.random() ** 3 for _ in labels]
        total = sum(weights)
        return {label: math.log(weight / total) for label, weight in zip(labels, weights)}

    with (arguments.outdir / "data.jsonl").open("w") as data, (arguments.outdir / "predictions.jsonl").open("w") as predictions:
        for index in range(arguments.rows // 3):
            reference = {"summary": text(30)}
            answers = {"summary": (text(15) + " " + reference["summary"][: rng.randint(20, 120)], None)}
            for name in ["category", "ad"]:
                reference[name] = rng.choice(tasks[name]["labels"])
                logprobs = scored(tasks[name]["labels"])
                answers[name] = (max(logprobs, key=logprobs.get), logprobs)
            account = None if arguments.without_accounts else f"a{index // 20}"
            record = {"id": f"r{index}", "account": account, "duration_s": rng.uniform(5, 100), "plays": rng.randint(10, 10**6),
                      "transcript": text(60), "reference": reference}  # fmt: skip
            data.write(json.dumps(record) + "\n")
            for name, (output, logprobs) in answers.items():
                prompt = f"{name}: {record['transcript']}"[:600].ljust(600, ".")
                prediction = {"v": 1, "reel_id": record["id"], "task": name, "repeat": 0, "output": output, "label_logprobs": logprobs,
                              "finish": "stop", "error": None, "truncated_tokens": 0, "prompt": prompt,
                              "prompt_sha256": hashlib.sha256(prompt.encode()).hexdigest(), "model_sha256": hashes["model"],
                              "adapter_sha256": None, "settings_sha256": hashes["settings"],
                              "tokens": {"prompt": 200, "cached": 0, "generated": 40}, "seconds": 0.1}  # fmt: skip
                predictions.write(json.dumps(prediction) + "\n")


if __name__ == "__main__":
    main()
