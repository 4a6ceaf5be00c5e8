"""Times rouge_score on the pairs of tests/reference/rouge.json, as benches/score.rs times reels.

    python rouge.py

Made with rouge-score 0.1.2.
"""

import json
import statistics
import time
from pathlib import Path

from rouge_score import rouge_scorer

PAIRS = Path(__file__).resolve().parents[2] / "tests" / "reference" / "rouge.json"


def main():
    pairs = [(pair["reference"], pair["hypothesis"]) for pair in json.loads(PAIRS.read_text())["pairs"]]
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"], use_stemmer=False)
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        for reference, hypothesis in pairs:
            scorer.score(reference, hypothesis)
        seconds.append(time.perf_counter() - started)
    print(f"rouge_score: ROUGE-1, 2, L, Lsum of {len(pairs)} pairs on one core: {1e3 * statistics.median(seconds):.0f} ms")


if __name__ == "__main__":
    main()
