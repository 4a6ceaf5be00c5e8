"""Recomputes what `reels gal report` says of arms, seeds and accounts, with numpy, scipy and scikit-learn.

    gal.py             writes gal.json: small arms with what this script makes of them, for tests/score_reference.rs
    gal.py DIR         compares DIR/report.json with what this script makes of the rows in DIR/ablation

Made with numpy 2.4.6, scipy 1.17.1 and scikit-learn 1.9.1.
"""

import json
import math
import pathlib
import random
import sys

import numpy
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score


def metric(key, rows, labels):
    """Of (account, reference, answer)."""
    reference, answer = [row[1] for row in rows], [row[2] for row in rows]
    if key == "accuracy":
        return accuracy_score(reference, answer)
    average = {"macro_f1": "macro", "weighted_f1": "weighted"}[key]
    return f1_score(reference, answer, labels=labels, average=average, zero_division=0)


def jackknife_error(left_out, sizes):
    """The larger of the jackknife's standard error and of that of a model in which n rows add a n + b n^2 to the variance."""
    left_out, sizes = numpy.array(left_out), numpy.array(sizes, float)
    deviations = left_out - left_out.mean()
    kept = 1 - sizes / sizes.sum()
    # Least squares of (deviation kept)^2 = a n + b n^2 with weights n^-3, neither below 0.
    target = (deviations * kept) ** 2
    design = numpy.stack([sizes, sizes**2], axis=1)
    weight = sizes**-3.0
    gram = design.T @ (design * weight[:, None])
    right = design.T @ (target * weight)
    alike = numpy.linalg.det(gram) < 1e-9 * gram[0, 0] * gram[1, 1]
    a, b = (0, -1) if alike else numpy.linalg.solve(gram, right)
    if b < 0:
        a, b = right[0] / gram[0, 0], 0
    elif a < 0:
        a, b = 0, right[1] / gram[1, 1]
    modelled = (a * sizes + b * sizes**2) / kept**2
    clusters = len(left_out)
    return math.sqrt((clusters - 1) / clusters * max((deviations**2).sum(), modelled.sum()))


def combined(key, arms, weights, labels):
    """A sum of arms' means over seeds, by arm a list of seeds, each of which is rows in the same order."""
    seeds = max(len(arms[arm]) for arm in weights)
    of_seed = lambda seed, keep: sum(
        weight * metric(key, [row for row in arms[arm][min(seed, len(arms[arm]) - 1)] if keep(row)], labels)
        for arm, weight in weights.items()
    )
    rows = next(iter(arms.values()))[0]
    accounts = sorted({row[0] for row in rows})
    sizes = [sum(row[0] == account for row in rows) for account in accounts]
    values = [of_seed(seed, lambda row: True) for seed in range(seeds)]
    left_out = [numpy.mean([of_seed(seed, lambda row: row[0] != out) for seed in range(seeds)]) for out in accounts]
    of_accounts = jackknife_error(left_out, sizes)
    of_seeds = numpy.std(values, ddof=1) / math.sqrt(seeds) if seeds > 1 else 0.0
    effective = sum(sizes) ** 2 / sum(size**2 for size in sizes)
    uneven = effective < 30 and effective < 0.5 * len(sizes)
    degrees = effective / 2 if uneven else effective - 1
    error = math.hypot(of_accounts, of_seeds)
    parts = of_accounts**4 / degrees + (of_seeds**4 / (seeds - 1) if of_seeds else 0)
    degrees = error**4 / parts if parts else math.nan
    value = float(numpy.mean(values))
    half = stats.t.ppf(0.975, degrees) * error
    low, high = value - half, value + half
    if sum(weights.values()) > 0.5:
        scaled, slope = math.log(value / (1 - value)), 1 / (value * (1 - value))
        low, high = (1 / (1 + math.exp(-(scaled + sign * half * slope))) for sign in (-1, 1))
    p = 1.0 if value == 0 else float(2 * stats.t.sf(abs(value / error), degrees))
    return {"value": value, "low": low, "high": high, "error_of_accounts": of_accounts, "error_of_seeds": float(of_seeds),
            "degrees_of_freedom": degrees, "p": p, "seeds": [float(value) for value in values]}


def holm(p_values):
    order = numpy.argsort(p_values, kind="stable")
    adjusted, most = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(order):
        most = min(max(most, p_values[at] * (len(p_values) - rank)), 1.0)
        adjusted[at] = most
    return adjusted


def slope(sizes, people, more=100):
    """What more real records add by a line over ln n, as weights of the arms."""
    logs = {arm: math.log(count) for arm, count in sizes.items()}
    mean = sum(logs.values()) / len(logs)
    squares = sum((log - mean) ** 2 for log in logs.values())
    return {arm: math.log((people + more) / people) * (log - mean) / squares for arm, log in logs.items()}


def small():
    """Arms of 24 accounts with three labels: the better arm is right more often, accounts and seeds lift or lower it."""
    draw = random.Random(4)
    labels = [0, 1, 2]
    rows = [(account, draw.choice(labels)) for account in range(24) for _ in range(1 + account % 3)]
    luck = {account: draw.gauss(0, 0.1) for account, _ in rows}

    def run(rate):
        lift = draw.gauss(0, 0.04)
        return [(account, label, label if draw.random() < rate + lift + luck[account] else draw.choice(labels)) for account, label in rows]

    arms = {"real": [run(0.4)], "self": [run(0.45) for _ in range(3)], "x1": [run(0.5) for _ in range(3)], "x5": [run(0.75) for _ in range(3)]}
    asked = [{"real": 1}, {"x5": 1}, {"x1": 1, "real": -1}, {"x5": 1, "real": -1}, {"x5": 1, "self": -1}, {"x5": 1, "x1": -0.5, "self": -0.5}]
    cases = [
        {"key": key, "weights": weights, "expected": combined(key, arms, weights, labels)}
        for key in ["accuracy", "macro_f1", "weighted_f1"]
        for weights in asked
    ]
    answers = {arm: [[row[2] for row in seed] for seed in seeds] for arm, seeds in arms.items()}
    return {"labels": len(labels), "rows": rows, "answers": answers, "cases": cases}


def same(name, ours, theirs, tolerance=1e-9):
    ours = math.nan if ours is None else ours
    assert abs(ours - theirs) <= tolerance * max(1, abs(theirs)) or (math.isnan(ours) and math.isnan(theirs)), (name, ours, theirs)


def check(folder):
    folder = pathlib.Path(folder)
    report = json.loads((folder / "report.json").read_text())
    ablation = json.loads((folder / "ablation" / "ablation.json").read_text())
    numbers = 0
    for task in report["tasks"]:
        arms = {}
        for arm in ablation["arms"]:
            seeds = []
            for seed in range(1, arm["seeds"] + 1):
                lines = (folder / "ablation" / arm["name"] / f"seed-{seed}" / "rows.jsonl").read_text().splitlines()
                rows = [row for row in map(json.loads, lines) if row["task"] == task["task"] and row["reference"] is not None]
                seeds.append(sorted((row["account"], row["reference"], row["output"], row["reel_id"]) for row in rows))
            if all(seeds):
                arms[arm["name"]] = seeds
        if task["metric"] not in ("accuracy", "macro_f1", "weighted_f1"):
            continue
        labels = sorted({row[1] for row in arms["real"][0]})
        compare = lambda name, ours, weights, key, of: [
            same((name, field), ours[field], combined(key, of, weights, labels)[field])
            for field in ["value", "error_of_accounts", "error_of_seeds"] + ([] if ours.get("withheld") else ["low", "high", "degrees_of_freedom"])
        ]
        for level in task["levels"]:
            if level["score"].get("withheld") is None and abs(level["score"]["error_of_accounts"]) > 0:
                same(level["arm"], level["score"]["value"], combined(task["metric"], arms, {level["arm"]: 1}, labels)["value"])
            numbers += 1
        for table in ["from_real", "from_controls", "growth"]:
            expected = [combined(task["metric"], arms, {each["arm"]: 1, each["from"]: -1}, labels) for each in task[table]]
            for each, adjusted in zip(task[table], holm([one["p"] for one in expected])):
                compare((table, each["arm"], each["from"]), each["by"], {each["arm"]: 1, each["from"]: -1}, task["metric"], arms)
                same((table, each["arm"], "p"), each["by"]["p_adjusted"], adjusted, 1e-7)
                numbers += 6
        near = {reel for each in report["neighbours"] for kind in ("real", "generated") for reel in each[kind]}
        real = [json.loads(line) for line in pathlib.Path(ablation["real"]["path"]).read_text().splitlines()]
        counts = {label: sum(reel["reference"].get(task["task"]) == label for reel in real) for label in labels}
        rare = {label for label in labels if counts[label] * len(labels) < sum(counts.values())}
        parts = {
            "rare": lambda row: row[1] in rare,
            "frequent": lambda row: row[1] not in rare,
            "without_neighbours": lambda row: row[3] not in near,
        }
        for name, keep in parts.items():
            if task[name] is None:
                continue
            some = {arm: [[row for row in seed if keep(row)] for seed in seeds] for arm, seeds in arms.items()}
            assert task[name]["rows"] == len(some["real"][0])
            for each in task[name]["differences"]:
                ours, expected = each["by"], combined(task[name]["metric"], some, {each["arm"]: 1, each["from"]: -1}, labels)
                for field in ["value", "error_of_accounts", "error_of_seeds"]:
                    same((name, each["arm"], field), ours[field], expected[field])
                    numbers += 1
        if task["curve"]:
            sizes = {level["arm"]: level["real"] for level in task["levels"] if level["arm"].startswith("real") and level["arm"] != "real-steps"}
            more = slope(sizes, ablation["real"]["records"])
            compare("more", task["curve"]["more"], more, task["metric"], arms)
            for each in task["curve"]["instead"]:
                weights = {arm: -weight for arm, weight in more.items()}
                weights["real"] -= 1
                compare(("instead", each["arm"]), each["by"], {each["arm"]: 1, **weights}, task["metric"], arms)
                numbers += 5
    print(f"{numbers} numbers of {folder / 'report.json'} are the same")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        check(sys.argv[1])
    else:
        path = pathlib.Path(__file__).with_name("gal.json")
        parts = [f"{json.dumps(key)}: {json.dumps(part)}" for key, part in small().items()]
        path.write_text("{" + ",\n".join(parts) + "}\n")
