"""Writes records and times `reels split` on them: python benches/split.py target/release/reels 100000 1000000

Texts are words of eval/train.jsonl drawn by how often they occur, 100 each. Of 100 records, 2 are copies of an earlier one, 5 have
a tenth of its words changed, 1 quotes 20 of its words; accounts have 10 records in the mean.
"""

import collections
import itertools
import json
import os
import pathlib
import random
import resource
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parent.parent
counts = collections.Counter()
for line in open(ROOT / "eval/train.jsonl", encoding="utf-8"):
    counts.update(json.loads(line)["transcript"].split())
words, weights = zip(*sorted(counts.items()))
weights = list(itertools.accumulate(weights))


def write(path, records):
    draw = random.Random(23)
    labels = ["hiburan", "musik", "kuliner", "berita", "olahraga", "agama", "lainnya"]
    kept = []
    with open(path, "w", encoding="utf-8") as file:
        for index in range(records):
            text = draw.choices(words, cum_weights=weights, k=100)
            kind = draw.random()
            if kept and kind < 0.08:
                other = draw.choice(kept)
                if kind < 0.02:
                    text = other
                elif kind < 0.07:
                    changed = set(draw.sample(range(100), 10))
                    text = [new if at in changed else old for at, (old, new) in enumerate(zip(other, text))]
                else:
                    text = text[:40] + other[30:50] + text[60:]
            elif len(kept) < 10_000:
                kept.append(text)
            else:
                kept[draw.randrange(10_000)] = text
            record = {
                "id": f"r_{index}",
                "account": f"a_{draw.randrange(records // 10)}",
                "transcript": " ".join(text),
                "reference": {"category": draw.choice(labels), "ad": draw.choice(["iklan", "bukan iklan"])},
            }
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


binary = os.path.abspath(sys.argv[1])
for records in map(int, sys.argv[2:]):
    with tempfile.TemporaryDirectory() as folder:
        write(f"{folder}/reels.jsonl", records)
        start, before = time.time(), resource.getrusage(resource.RUSAGE_CHILDREN)
        run = subprocess.Popen([binary, "split", "reels.jsonl", "-o", "out"], cwd=folder, stdout=subprocess.PIPE, text=True)
        table = run.stdout.read()
        _, _, used = os.wait4(run.pid, 0)
        seconds = time.time() - start
        print(table[:1500])
        print(
            f"{records} records: {seconds:.0f} s, {used.ru_utime + used.ru_stime:.0f} s of processor, "
            f"{used.ru_maxrss / 2**20:.2f} GiB",
            flush=True,
        )
