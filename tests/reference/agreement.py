"""Writes agreement.json, the expected values of src/score/agreement/reference_tests.rs.

Made with Python 3.11.7, scikit-learn 1.9.1, statsmodels 0.15.0, krippendorff 0.9.0, irrCAC 0.4.4, numpy 1.26.4 (the file
records what it was made with).

    python3 -m venv venv
    venv/bin/pip install scikit-learn==1.9.1 statsmodels==0.15.0 krippendorff==0.9.0 irrCAC==0.4.4
    venv/bin/python tests/reference/agreement.py

irrCAC rounds what it returns to `digits`: 16 leave AC1 as it is but for its last bit. Its `categories` are all that are
configured, as are scikit-learn's `labels`. A value is null where the packages have none.
"""

import importlib.metadata
import itertools
import json
import math
import pathlib
import platform
import random
import warnings

import krippendorff
import numpy as np
import pandas as pd
from irrCAC.raw import CAC
from sklearn.metrics import cohen_kappa_score, f1_score
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

HERE = pathlib.Path(__file__).parent
PACKAGES = ("scikit-learn", "statsmodels", "krippendorff", "irrCAC", "numpy", "pandas")


def case(rng, items, annotators, categories, used, missing, right, ordinal):
    """Answers [items][annotators], null where there is none; the first item is answered by all."""
    answers = []
    for item in range(items):
        truth = rng.choice(used)
        row = []
        for _ in range(annotators):
            other = min(max(truth + rng.choice([-1, 1]), 0), categories - 1) if ordinal else rng.choice(used)
            answer = truth if rng.random() < right else other
            row.append(None if item and rng.random() < missing else answer)
        answers.append(row)
    return {"categories": categories, "scale": "ordinal" if ordinal else "nominal", "answers": answers}


def number(value):
    value = float(value)
    return value if math.isfinite(value) else None


def mean(values):
    return number(np.mean(values)) if values else None


def alpha(answers, level, categories):
    data = np.array(answers, dtype=float).T
    pairable = [[value for value in row if value is not None] for row in answers]
    if len({value for row in pairable if len(row) > 1 for value in row}) < 2:
        return None
    return number(krippendorff.alpha(data, value_domain=range(categories), level_of_measurement=level))


def expected(answers, categories, scale):
    annotators = len(answers[0])
    of_pairs = []
    for a, b in itertools.combinations(range(annotators), 2):
        both = [(row[a], row[b]) for row in answers if row[a] is not None and row[b] is not None]
        of_pairs += [list(zip(*both))] if both else []
    labels = list(range(categories))
    compared = [[value for value in row if value is not None] for row in answers]
    compared = [row for row in compared if len(row) > 1]
    shares = [np.mean([a == b for a, b in itertools.combinations(row, 2)]) for row in compared]
    values = {"percent_agreement": mean(shares)}
    if scale == "ordinal":
        kappas = [cohen_kappa_score(a, b, labels=labels, weights="quadratic") for a, b in of_pairs]
        return values | {"weighted_kappa": mean(kappas), "krippendorff_alpha": alpha(answers, "ordinal", categories)}
    values["cohen_kappa"] = mean([cohen_kappa_score(a, b, labels=labels) for a, b in of_pairs])
    complete = [row for row in answers if None not in row]
    table = aggregate_raters(np.array(complete), n_cat=categories)[0] if complete else None
    values["fleiss_kappa"] = number(fleiss_kappa(table, method="fleiss")) if complete else None
    values["krippendorff_alpha"] = alpha(answers, "nominal", categories)
    answered = pd.DataFrame([[np.nan if value is None else value for value in row] for row in answers], dtype=float)
    ac1 = CAC(answered.dropna(how="all"), categories=[float(label) for label in labels], digits=16).gwet()
    values["gwet_ac1"] = number(ac1["est"]["coefficient_value"])
    f1 = [f1_score(a, b, labels=labels, average="macro", zero_division=0) for a, b in of_pairs]
    values["macro_f1"] = mean(f1)
    return values


def main():
    warnings.simplefilter("ignore")
    rng = random.Random(24)
    # items, annotators, categories, those that are used, share missing, share right, ordinal
    designs = [
        (60, 2, 2, [0, 1], 0, 0.9, False),
        (60, 2, 15, range(15), 0, 0.8, False),
        (40, 2, 15, [1, 4, 9], 0.2, 0.8, False),
        (80, 3, 15, range(12), 0.15, 0.7, False),
        (50, 4, 5, [0, 2, 3], 0.3, 0.6, False),
        (30, 3, 4, range(4), 0, 0.5, False),
        (25, 2, 3, range(3), 0, 0.0, False),
        (12, 2, 3, [0, 1, 1, 1, 1, 1], 0, 1.0, False),
        (12, 3, 3, [1], 0, 1.0, False),
        (8, 4, 6, range(6), 0.7, 0.5, False),
        (60, 2, 5, range(5), 0, 0.6, True),
        (50, 3, 5, range(5), 0.2, 0.5, True),
        (40, 4, 5, [1, 2, 3], 0.3, 0.4, True),
        (30, 2, 5, [0, 4], 0.1, 0.9, True),
        (12, 2, 5, [3], 0, 1.0, True),
        (10, 2, 5, [2, 4], 0, 1.0, True),
    ]
    cases = []
    for design in designs:
        made = case(rng, *design)
        answers, categories, scale = made["answers"], made["categories"], made["scale"]
        pairs = itertools.combinations(range(len(answers[0])), 2)
        made["all"] = expected(answers, categories, scale)
        made["pairs"] = [expected([[row[a], row[b]] for row in answers], categories, scale) for a, b in pairs]
        cases.append(made)
    versions = {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in PACKAGES}
    lines = ",\n".join(json.dumps(case) for case in cases)
    (HERE / "agreement.json").write_text(f'{{"versions": {json.dumps(versions)}, "cases": [\n{lines}\n]}}\n')


main()
