"""Writes the expected values of src/score/ratings/: ratings.json.

Made with Python 3.11.7, scipy 1.17.1, statsmodels 0.15.0, choix 0.4.1, numpy 2.4.6 (the file records what it was made with).

    python3 -m venv venv
    venv/bin/pip install scipy==1.17.1 statsmodels==0.15.0 choix==0.4.1 numpy==2.4.6
    venv/bin/python tests/reference/ratings.py

All ratings are made up here, seeded.
"""

import importlib.metadata
import itertools
import json
import pathlib
import platform
import random

import choix
import numpy as np
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats import multitest

HERE = pathlib.Path(__file__).parent
SCALES = ["faithful", "complete", "fluent"]
VERSIONS = {"python": platform.python_version()} | {
    name: importlib.metadata.version(name) for name in ("scipy", "statsmodels", "choix", "numpy")
}


def t_interval(value, error, degrees, scale=lambda x: x, back=lambda x: x, slope=1.0):
    half = stats.t.ppf(0.975, degrees) * error * slope
    return [float(back(scale(value) - half)), float(back(scale(value) + half))]


def jackknife_error(left_out):
    left_out = np.asarray(left_out)
    n = len(left_out)
    return np.sqrt((n - 1) / n * ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0))


def spearman():
    rng = random.Random(3)
    cases = []
    for n, levels in [(3, 3), (10, 2), (10, 9), (40, 5), (40, 1000), (120, 5), (301, 12)]:
        for _ in range(6):
            a = [rng.randrange(levels) / 7 for _ in range(n)]
            b = [rng.randrange(1, 6) / rng.choice([1, 2, 3]) + value * rng.random() for value in a]
            if rng.random() < 0.5:
                b = [round(value) for value in b]
            rho = stats.spearmanr(a, b).statistic if len(set(a)) > 1 and len(set(b)) > 1 else None
            cases.append({"a": a, "b": b, "rho": None if rho is None else float(rho)})
    return cases


def games(wins):
    """Pairs (winner, loser), each twice for a win and once each way for a tie."""
    runs = len(wins)
    return [(i, j) for i in range(runs) for j in range(runs) for _ in range(round(2 * wins[i][j]))]


def by_glm(wins):
    """Log-strengths less their mean, by logistic regression."""
    runs = len(wins)
    pairs = [(i, j) for i, j in itertools.combinations(range(runs), 2) if wins[i][j] + wins[j][i] > 0]
    design = np.zeros((len(pairs), runs - 1))
    for row, (i, j) in enumerate(pairs):
        for run, sign in ((i, 1.0), (j, -1.0)):
            if run > 0:
                design[row, run - 1] = sign
    counts = np.array([[wins[i][j], wins[j][i]] for i, j in pairs])
    fitted = sm.GLM(counts, design, family=sm.families.Binomial()).fit(tol=1e-14, maxiter=500)
    strengths = np.concatenate([[0.0], fitted.params])
    return strengths - strengths.mean()


def strengths():
    rng = np.random.default_rng(4)
    cases = []
    for runs, most, ties in [(3, 9, False), (3, 120, True), (4, 30, True), (5, 12, False), (4, 4, True), (8, 20, True)]:
        for _ in range(3):
            wins = rng.integers(1, most, (runs, runs)).astype(float)
            if ties:
                wins += rng.integers(0, 2, (runs, runs)) * 0.5
            np.fill_diagonal(wins, 0)
            cases.append(wins.tolist())
    # Connected by a chain, one that wins hardly ever, and two pairs that hardly anything connects.
    cases.append([[0, 3, 0, 0], [5, 0, 2, 0], [0, 7, 0, 1], [0, 0, 4, 0]])
    cases.append([[0, 400, 300.5], [1, 0, 200], [0.5, 100, 0]])
    cases.append([[0, 200, 1, 0], [200, 0, 0, 0], [1, 0, 0, 150], [0, 0, 170, 0]])
    of = []
    for wins in cases:
        data = games(wins)
        by_newton = choix.opt_pairwise(len(wins), data, alpha=0.0, tol=1e-12)
        by_spectrum = choix.ilsr_pairwise(len(wins), data, alpha=0.0, max_iter=10_000, tol=1e-12)
        of.append({"wins": wins, "glm": by_glm(wins).tolist(), "choix": [by_newton.tolist(), by_spectrum.tolist()]})
    return of


def comparison(seed, runs, accounts, of_account, same=True):
    """Ratings of all Reels by ana and of some by ben and caca; every account has as many Reels."""
    rng = random.Random(seed)
    reels = accounts * of_account
    account = [reel // of_account for reel in range(reels)]
    taste = [rng.gauss(0, 0.5) for _ in range(accounts)]
    texts = [[f"{run} tentang {reel}" for reel in range(reels)] for run in range(runs)]
    quality = [[taste[account[reel]] + 0.3 * run + rng.gauss(0, 0.8) for reel in range(reels)] for run in range(runs)]
    for reel in range(0, reels, 9) if same else []:
        texts[1][reel] = texts[0][reel]
        quality[1][reel] = quality[0][reel]
    metric = [[round(0.4 + 0.1 * q + rng.gauss(0, 0.1), 2) for q in of_run] for of_run in quality]
    flags = [[rng.randrange(3) for _ in range(reels)] for _ in range(runs)]
    severity = {"ana": 0.3, "ben": -0.4, "caca": 0.0}
    given, votes = {}, {}
    for reel in range(reels):
        for by in severity:
            if by != "ana" and rng.random() < 0.4:
                continue
            for run in range(runs):
                if run > 0 and texts[run][reel] == texts[0][reel]:
                    given[run, reel, by] = given[0, reel, by]
                    continue
                draw = lambda: min(5, max(1, round(3.3 + quality[run][reel] + severity[by] + rng.gauss(0, 0.7))))
                given[run, reel, by] = [draw(), draw(), draw()]
            for one, other in itertools.combinations(range(runs), 2):
                if one == 1 and texts[1][reel] == texts[0][reel]:
                    votes[reel, by, one, other] = votes[reel, by, 0, other]
                elif texts[one][reel] != texts[other][reel]:
                    apart = quality[other][reel] - quality[one][reel] + rng.gauss(0, 0.8)
                    votes[reel, by, one, other] = 0 if abs(apart) < 0.4 else (1 if apart > 0 else -1)

    mean = lambda run, reel, scale: np.mean([given[run, reel, by][scale] for by in severity if (run, reel, by) in given])
    units = lambda values: np.asarray(values).reshape(accounts, of_account)

    def of_mean(values):
        by_account = units(values).mean(axis=1)
        value, error = by_account.mean(), stats.sem(by_account)
        on_logits = lambda x: np.log((x - 1) / (5 - x)), lambda x: 1 + 4 / (1 + np.exp(-x)), 4 / ((value - 1) * (5 - value))
        return [float(value)] + t_interval(value, error, accounts - 1, *on_logits)

    means = [[of_mean([mean(run, reel, scale) for reel in range(reels)]) for run in range(runs)] for scale in range(3)]

    def of_difference(run, scale):
        values = [
            np.mean([given[run, reel, by][scale] - given[0, reel, by][scale] for by in severity if (run, reel, by) in given])
            for reel in range(reels)
        ]
        by_account = units(values).mean(axis=1)
        bounds = t_interval(by_account.mean(), stats.sem(by_account), accounts / 2)
        return [float(by_account.mean())] + bounds + [flip_p(units(values).sum(axis=1))]

    differences = [[of_difference(run, scale) for run in range(1, runs)] for scale in range(3)]
    holm = multitest.multipletests([of[3] for scale in differences for of in scale], method="holm")[1]

    def of_correlation(key, run, scale):
        a = np.asarray(key[run])
        b = np.asarray([mean(run, reel, scale) for reel in range(reels)])
        rho = stats.spearmanr(a, b).statistic
        left_out = []
        for out in range(accounts):
            kept = np.asarray(account) != out
            left_out.append(stats.spearmanr(a[kept], b[kept]).statistic)
        bounds = t_interval(rho, jackknife_error(left_out), accounts - 1, np.arctanh, np.tanh, 1 / (1 - rho**2))
        return [float(rho)] + bounds

    correlations = {
        name: [[of_correlation(key, run, scale) for scale in range(3)] for run in range(runs)]
        for name, key in (("rougeL", metric), ("flags", flags))
    }

    pairs = []
    sign = {}
    for one, other in itertools.combinations(range(runs), 2):
        for reel in range(reels):
            if texts[one][reel] != texts[other][reel]:
                sign[one, other, reel] = int(np.sign(sum(votes.get((reel, by, one, other), 0) for by in severity)))
        signs = [sign.get((one, other, reel), 0) for reel in range(reels)]
        wins, losses = signs.count(1), signs.count(-1)
        share = wins / (wins + losses)
        pair = {"pair": [other, one], "wins": wins, "losses": losses}
        pair["ties"] = sum(1 for reel in range(reels) if (one, other, reel) in sign) - wins - losses
        pair["same_text"] = sum(1 for reel in range(reels) if texts[one][reel] == texts[other][reel])
        pair["share"] = [share]
        if of_account == 1:
            pair["p"] = float(stats.binomtest(wins, wins + losses).pvalue)
            n = wins + losses
            logit = lambda x: np.log(x / (1 - x))
            expit = lambda x: 1 / (1 + np.exp(-x))
            error = np.sqrt(share * (1 - share) / (n - 1))
            pair["share"] += t_interval(share, error, n - 1, logit, expit, 1 / (share * (1 - share)))
        else:
            pair["p"] = flip_p(units(signs).sum(axis=1))
        pairs.append(pair)
    adjusted = multitest.multipletests([pair["p"] for pair in pairs], method="holm")[1]
    for pair, p in zip(pairs, adjusted):
        pair["p_adjusted"] = float(p)

    def wins_without(out):
        wins = np.zeros((runs, runs))
        for (one, other, reel), value in sign.items():
            if account[reel] != out:
                wins[other][one] += (value + 1) / 2
                wins[one][other] += (1 - value) / 2
        return wins

    of_strengths = [[float(value)] for value in by_glm(wins_without(None))]
    # Where runs have the same text of some Reels, accounts have different numbers of games, and bounds are made otherwise.
    if not same:
        errors = jackknife_error([by_glm(wins_without(out)) for out in range(accounts)])
        of_strengths = [value + t_interval(value[0], error, accounts - 1) for value, error in zip(of_strengths, errors)]
    return {
        "texts": texts,
        "accounts": None if of_account == 1 else account,
        "rougeL": metric,
        "flags": flags,
        "ratings": [[*key, value] for key, value in given.items()],
        "votes": [[*key, value] for key, value in votes.items()],
        "means": means,
        "differences": differences,
        "holm": holm.tolist(),
        "correlations": correlations,
        "preferences": pairs,
        "strengths": of_strengths,
    }


def flip_p(sums):
    """The exact two-sided sign-flip test."""
    sums = sums[np.abs(sums) > 1e-9]
    if len(sums) == 0:
        return 1.0
    if len(sums) > 13:
        return None
    # Rounded, so that sums that are equal but for the order of additions are equal.
    test = stats.permutation_test(
        (sums,), lambda x, axis: np.round(x.sum(axis=axis), 9), vectorized=True, permutation_type="samples", n_resamples=np.inf
    )
    return float(test.pvalue)


def main():
    file = {
        "versions": VERSIONS,
        "spearman": spearman(),
        "strengths": strengths(),
        "comparisons": [comparison(1, 3, 13, 1), comparison(2, 3, 12, 4), comparison(3, 4, 13, 3, same=False), comparison(5, 4, 11, 6)],
    }
    (HERE / "ratings.json").write_text(json.dumps(file, ensure_ascii=False))


main()
