"""Writes the expected values of tests/score_reference.rs: rouge.json, chrf.json, classification.json, tfidf.json,
bootstrap.json, probabilities.json, bca.json, intervals.json, significance.json; and of src/score/row.rs: multi.json.

Made with Python 3.11.7, rouge-score 0.1.2, sacrebleu 2.6.0, scikit-learn 1.9.1, scipy 1.17.1, statsmodels 0.15.0,
numpy 2.4.6 (the files record what they were made with).

    python3 -m venv venv
    venv/bin/pip install rouge-score==0.1.2 sacrebleu==2.6.0 scikit-learn==1.9.1 scipy==1.17.1 statsmodels==0.15.0 numpy==2.4.6
    venv/bin/python tests/reference/score.py [NAME…]

All texts are made up here, seeded; none is taken from a data set.
"""

import importlib.metadata
import json
import math
import pathlib
import platform
import random
import sys
import warnings

import numpy as np
import statsmodels.api as sm
from rouge_score import rouge_scorer
from sacrebleu.metrics import CHRF
from scipy import optimize, stats
from sklearn import metrics as sk
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from statsmodels.stats import contingency_tables, multitest, proportion

HERE = pathlib.Path(__file__).parent
VERSIONS = {"python": platform.python_version()} | {
    name: importlib.metadata.version(name)
    for name in ("rouge-score", "sacrebleu", "scikit-learn", "scipy", "statsmodels", "numpy")
}
TYPES = ["rouge1", "rouge2", "rougeL", "rougeLsum"]

WORDS = """
yang di dan ini itu dengan untuk dari ke ada tidak akan pada juga bisa saya kamu kita mereka sudah belum lagi banget
aku gue lu nih dong sih deh kok ya guys bestie gaskeun mantul kepo mager gabut baper cuan receh viral konten kreator
kopi susu teh nasi goreng bakso sate ayam geprek sambal mie rendang pedas gurih enak murah promo diskon gratis ongkir
beli jual toko harga ribu juta rupiah pesan order link bio klik sekarang buruan stok terbatas pengiriman kurir
jakarta bandung surabaya yogyakarta bali makassar medan pantai gunung wisata liburan hotel tiket pesawat kereta
kamis kami keras kera tulis tuli makan makanan memakan dimakan pelajaran belajar mengajar pengajar sekolah guru murid
resep tips cara membuat bahan tepung gula telur mentega oven panggang rebus tumis menit jam hari minggu bulan tahun
sehat olahraga lari sepeda otot diet kulit wajah serum sunscreen lipstik bedak rambut model baju celana warna hitam
""".split()
SPECIAL = """
anak-anak oleh-oleh laki-laki kupu-kupu sayur-mayur Rp1.500.000 Rp25rb 50% 3,5kg 12.30 24/7 2x5=10 COVID-19 wkwkwk
café Pokémon naïve Jum'at "promo" (gratis) @akun_resmi #fyp #viral100 https://contoh.id/a?b=1 a_b_c _ -- … — ’ \t
ＦＵＬＬ ｗｉｄｔｈ １２３ 🔥 🔥🔥murah 👨‍👩‍👧 İstanbul DİSKON Kelvin 300K 5K ß STRASSE straße ſafe السلام عليكم ١٢٣ 你好 美食推荐
cafe\u0301 e\u0301 i\u0307 Σίσυφος ΟΔΟΣ ǅ ﬁnal Å \u00a0 \u2028 \u200b \u00ad \x85 \x1c \r \u0000 A B Z 0 9 ZZZ
""".replace("\n", " ").split(" ")


def words(rng, count, special=0.1):
    chosen = [rng.choice(SPECIAL if rng.random() < special else WORDS) for _ in range(count)]
    style = rng.random()
    if style < 0.3:
        chosen = [w.capitalize() if rng.random() < 0.3 else w for w in chosen]
    elif style < 0.4:
        chosen = [w.upper() for w in chosen]
    return chosen


def broken(rng, tokens):
    """Joined to lines, some of them blank or with spaces only."""
    text = ""
    for token in tokens:
        text += token + rng.choices([" ", "\n", "\n\n", ". ", ".\n \n", "\r\n", "  "], [20, 1, 0.3, 1, 0.3, 0.2, 1])[0]
    return text


def variation(rng, tokens):
    """What a model might make of the reference: drops, repeats, replaces and moves words."""
    out = []
    for token in tokens:
        fate = rng.random()
        if fate < 0.6:
            out.append(token)
        elif fate < 0.7:
            out += [token, token]
        elif fate < 0.85:
            out.append(rng.choice(WORDS))
    if len(out) > 4 and rng.random() < 0.5:
        cut = rng.randrange(1, len(out))
        out = out[cut:] + out[:cut]
    return out


def pairs():
    rng = random.Random(20240817)
    fixed = ["", " ", "\n", "\n\n \n", "!!! … —", "🔥🔥", "你好", "ＡＢＣ", "a", "A", "a a a", "a b", "b a", "a\nb", "b\na",
             "\u0130", "i", "\u212a", "k", "\u017f", "s", "ß", "ss", "cafe\u0301", "café", "caf", "i\u0307", "kopi susu enak",
             "susu kopi\nenak kopi", "enak\nkopi\n\nsusu susu", "kopi\rsusu", "kopi\u2028susu", "kopi\x85susu\x0bteh"]
    made = [(a, b) for a in fixed for b in rng.sample(fixed, 6)] + [(a, a) for a in fixed]
    for count, length in [(120, 12), (110, 40), (40, 100), (25, 300)]:
        for _ in range(count):
            reference = words(rng, rng.randint(length // 2, length))
            near = variation(rng, reference)
            other = words(rng, rng.randint(1, length))
            made.append((broken(rng, reference), broken(rng, rng.choice([near, near, near, other]))))
    # few words, many lines: ties between longest common subsequences decide ROUGE-Lsum
    for _ in range(120):
        few = rng.sample(WORDS, rng.randint(2, 5))
        lines = lambda: "\n".join(" ".join(rng.choices(few, k=rng.randint(0, 9))) for _ in range(rng.randint(1, 6)))
        made.append((lines(), lines()))
    return made


def rouge():
    scorer = rouge_scorer.RougeScorer(TYPES, use_stemmer=False)
    cases = []
    for reference, hypothesis in pairs():
        scores = scorer.score(reference, hypothesis)
        case = {"reference": reference, "hypothesis": hypothesis}
        case |= {t: [float(x) for x in (scores[t].precision, scores[t].recall, scores[t].fmeasure)] for t in TYPES}
        cases.append(case)
    is_token = lambda c: c.isascii() and c.isalnum()
    lowers_to_ascii = {
        chr(c): kept
        for c in range(128, sys.maxunicode + 1)
        if not 0xD800 <= c < 0xE000 and (kept := "".join(filter(is_token, chr(c).lower())))
    }
    return {"versions": VERSIONS, "lowers_to_ascii": lowers_to_ascii, "pairs": cases}


def chrf():
    """Of one pair each, in 0..1: chrF with character n-grams up to 6, chrF++ with word n-grams up to 2 as well."""
    scorers = [CHRF(word_order=0), CHRF(word_order=2)]
    made = [pair for pair in pairs() if len(pair[0]) < 400]
    made += [("(kopi)", "kopi"), ("\u00abkopi\u00bb susu", "kopi, susu!"), ("a.b, c", "a.b c ,"), ("!!", "!"), ("kopi", "k")]
    return {
        "versions": VERSIONS,
        "pairs": [[r, h, *(s.sentence_score(h, [r]).score / 100 for s in scorers)] for r, h in made],
    }


def multi():
    """Of several references: F-measures of score_multi, and sacrebleu's chrF and chrF++ of a sentence in 0..1."""
    rng = random.Random(31)
    scorer = rouge_scorer.RougeScorer(TYPES, use_stemmer=False)
    chrfs = {"chrf": CHRF(word_order=0), "chrf_pp": CHRF(word_order=2)}
    cases = []
    for count, length in [(60, 12), (40, 40)]:
        for _ in range(count):
            first = words(rng, rng.randint(length // 2, length))
            others = [variation(rng, first) for _ in range(rng.randint(1, 3))]
            references = [text for tokens in [first, *others] if (text := broken(rng, tokens)).strip()]
            hypothesis = broken(rng, variation(rng, rng.choice([first, *others])))
            scores = scorer.score_multi(references, hypothesis)
            best = {t: float(scores[t].fmeasure) for t in TYPES}
            each = [scorer.score(reference, hypothesis) for reference in references]
            mean = {f"{t}_mean": sum(float(score[t].fmeasure) for score in each) / len(each) for t in TYPES}
            chrf = {key: s.sentence_score(hypothesis, references).score / 100 for key, s in chrfs.items()}
            cases.append({"references": references, "hypothesis": hypothesis, "rouge": best | mean, "chrf": chrf})
    return {"versions": VERSIONS, "cases": cases}


def tfidf():
    """Logistic regression on TF-IDF of words in two records or more, from records with skewed labels."""
    rng = random.Random(21)
    topics = {"kuliner": WORDS[40:60], "wisata": WORDS[70:90], "edukasi": WORDS[90:110]}
    # Words that are their own normal form.
    slang = {line.split("\t")[0] for line in (HERE.parents[1] / "src/indonesian/slang.tsv").read_text().splitlines()}
    plain = [w for w in WORDS if w not in slang]
    topics = {label: [w for w in words if w not in slang] for label, words in topics.items()}
    made = []
    for count in (90, 30):
        for _ in range(count):
            label = rng.choices(list(topics), [5, 2, 2])[0]
            words = [rng.choice(topics[label] if rng.random() < 0.3 else plain) for _ in range(rng.randint(3, 30))]
            made.append((" ".join(words), label))
    train, test = made[:90], made[90:]
    vectorizer = TfidfVectorizer(tokenizer=str.split, token_pattern=None, lowercase=False, min_df=2)
    model = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000)
    model.fit(vectorizer.fit_transform([text for text, _ in train]), [label for _, label in train])
    expected = model.predict_proba(vectorizer.transform([text for text, _ in test]))
    return {"versions": VERSIONS, "labels": list(model.classes_), "train": train, "test": [text for text, _ in test],
            "expected": expected.tolist()}


def classification_case(labels, rows):
    """`rows`: (reference, answer) as label indices, `None` an invalid answer."""
    invalid = labels  # one more class value, which is in no label
    truth = [reference for reference, _ in rows]
    answers = [invalid if answer is None else answer for _, answer in rows]
    of = {"labels": list(range(labels)), "zero_division": 0}
    kappa = float(sk.cohen_kappa_score(truth, answers))
    precision, recall, f1, support = sk.precision_recall_fscore_support(truth, answers, **of)
    return {
        "labels": labels,
        "rows": rows,
        "metrics": {
            "accuracy": float(sk.accuracy_score(truth, answers)),
            "balanced_accuracy": float(sk.balanced_accuracy_score(truth, answers)),
            "macro_f1": float(sk.f1_score(truth, answers, average="macro", **of)),
            "macro_f1_present": float(sk.f1_score(truth, answers, average="macro", labels=sorted(set(truth)), zero_division=0)),
            "micro_f1": float(sk.f1_score(truth, answers, average="micro", **of)),
            "weighted_f1": float(sk.f1_score(truth, answers, average="weighted", **of)),
            "mcc": float(sk.matthews_corrcoef(truth, answers)),
            "kappa": None if math.isnan(kappa) else kappa,
            "invalid_rate": answers.count(invalid) / len(answers),
        },
        "classes": [[float(p), float(r), float(f), int(s)] for p, r, f, s in zip(precision, recall, f1, support)],
    }


def classification():
    rng = random.Random(7)
    cases = [
        (2, [(0, 0)]), (2, [(0, 1)]), (2, [(0, None)]), (3, [(2, 2)] * 5), (3, [(2, 1)] * 5), (3, [(2, None)] * 5),
        (2, [(0, 0), (1, 1)]), (2, [(0, 1), (1, 0)]), (4, [(i % 4, 0) for i in range(20)]),
        (4, [(1, i % 4) for i in range(20)]), (4, [(1, None if i % 5 == 4 else i % 5) for i in range(20)]),
        (3, [(i % 3, None) for i in range(9)]), (15, [(i, i) for i in range(15)]),
    ]
    for labels in (2, 2, 3, 3, 4, 5, 6, 8, 10, 12, 15, 15):
        for skill, invalid in ((0.9, 0.0), (0.6, 0.05), (0.3, 0.3), (0.0, 0.0)):
            present = rng.sample(range(labels), rng.randint(max(1, labels - 3), labels))  # the others are absent
            weights = [1 / (rank + 1) for rank in range(len(present))]
            rows = []
            for _ in range(rng.choice([3, 30, 100, 300])):
                reference = rng.choices(present, weights)[0]
                answer = reference if rng.random() < skill else rng.randrange(labels)
                rows.append((reference, None if rng.random() < invalid else answer))
            cases.append((labels, rows))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # undefined F1, MCC and kappa are what some of the cases are for
        return {"versions": VERSIONS, "cases": [classification_case(*case) for case in cases]}


def bootstrap():
    rng = np.random.default_rng(3)
    arrays = [[0.5], [0.0, 1.0], [1.0, 1.0, 1.0]]
    arrays += [rng.random(n).tolist() for n in (3, 10, 40, 41, 99, 1000)] + [rng.normal(size=200).tolist()]
    arrays.append(rng.integers(0, 4, 120).astype(float).tolist())
    cases = [{"values": a, "q": [2.5, 50, 97.5], "expected": np.percentile(a, [2.5, 50, 97.5]).tolist()} for a in arrays]
    return {"versions": VERSIONS, "cases": cases}


def probabilities():
    """Label probabilities; the positive label of a two-label task is the first."""
    rng = np.random.default_rng(11)
    cases = []
    for labels in (2, 2, 2, 2, 3, 8, 15):
        for n in (1, 2, 5, 40, 200):
            logits = rng.normal(size=(n, labels)) * rng.choice([0.5, 3.0])
            if n > 5 and rng.random() < 0.5:
                logits = np.round(logits)  # ties
            truth = np.where(rng.random(n) < 0.5, logits.argmax(1), rng.integers(0, labels, n))
            if n == 5:
                truth[:] = labels - 1  # one class only
            log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
            p, all_labels = np.exp(log_p), list(range(labels))
            case = {"log_probabilities": log_p.tolist(), "truth": truth.tolist(), "labels": labels}
            case["log_loss"] = float(sk.log_loss(truth, p, labels=all_labels))
            case["brier"] = float(sk.brier_score_loss(truth, p, labels=all_labels))
            if labels == 2:
                positive = truth == 0
                auc = float(sk.roc_auc_score(positive, log_p[:, 0])) if len(set(truth)) == 2 else None
                case["roc_auc"] = None if auc is None or math.isnan(auc) else auc
                case["average_precision"] = float(sk.average_precision_score(positive, log_p[:, 0]))
            cases.append(case)
    return {"versions": VERSIONS, "cases": cases}


def bca():
    """scipy's BCa, with the replicates and the jackknife that it sees."""
    cases = []
    for seed, (n, name) in enumerate([(10, "mean"), (40, "mean"), (40, "std"), (121, "median"), (200, "max"), (5, "mean")]):
        data = np.random.default_rng(seed).lognormal(size=n)
        if name == "median":
            data = np.round(data, 1)  # ties
        statistic = getattr(np, name)
        result = stats.bootstrap((data,), statistic, n_resamples=999, method="BCa", rng=np.random.default_rng(99))
        drawn = np.random.default_rng(99).integers(0, n, (999, n))
        replicates = statistic(data[drawn], axis=1)
        assert np.array_equal(replicates, result.bootstrap_distribution)
        jackknife = [float(statistic(np.delete(data, i))) for i in range(n)]
        low, high = (float(x) for x in result.confidence_interval)
        cases.append({"value": float(statistic(data)), "replicates": replicates.tolist(), "jackknife": jackknife,
                      "expected": [low, high]})
    # And with other resamples, for means: the same up to Monte Carlo error.
    means = []
    for seed, n in enumerate([20, 60, 250]):
        data = np.random.default_rng(seed).beta(0.7, 2, size=n)
        result = stats.bootstrap((data,), np.mean, n_resamples=100_000, method="BCa", rng=np.random.default_rng(1))
        means.append({"data": data.tolist(), "expected": [float(x) for x in result.confidence_interval]})
    return {"versions": VERSIONS, "cases": cases, "means": means}


def significance():
    tables = [(0, 0), (0, 1), (1, 0), (3, 9), (9, 3), (25, 12), (100, 101), (0, 40), (300, 200)]
    mcnemar = [[b, c, float(contingency_tables.mcnemar([[5, b], [c, 7]], exact=True).pvalue)] for b, c in tables]
    rng = random.Random(5)
    families = [[0.01], [0.04, 0.01, 0.03], [0.5, 0.5, 0.5], [0.0001, 0.9, 0.02, 0.02]]
    families += [[rng.random() ** 3 for _ in range(n)] for n in (2, 5, 10, 20)]
    holm = [[family, multitest.multipletests(family, method="holm")[1].tolist()] for family in families]
    counts = [(0, 10), (10, 10), (1, 10), (5, 10), (3, 655), (327, 655)]
    wilson = [[k, n, *map(float, proportion.proportion_confint(k, n, method="wilson"))] for k, n in counts]
    return {"versions": VERSIONS, "mcnemar": mcnemar, "holm": holm, "wilson": wilson}


def left_out(f1_of, truth, answers, clusters):
    """scikit-learn's value without each of the clusters, in their order."""
    return [f1_of(truth[clusters != c], answers[clusters != c]) for c in np.unique(clusters)]


def jackknife_interval(value, values, sizes, scale, unscale, slope):
    """As `jackknife` of src/score/interval.rs says, with scipy's non-negative least squares."""
    values, sizes = np.array(values), np.array(sizes, float)
    groups, kept = len(values), 1 - sizes / sizes.sum()
    off = values - values.mean()
    weights = sizes**-1.5
    model = np.stack([sizes, sizes**2], 1)
    expected = model @ optimize.nnls(model * weights[:, None], (off * kept) ** 2 * weights)[0] / kept**2
    error = math.sqrt((groups - 1) / groups * max((off**2).sum(), expected.sum()))
    effective = sizes.sum() ** 2 / (sizes**2).sum()
    degrees = effective / 2 if effective < min(30, groups / 2) else effective - 1
    half = stats.t.ppf(0.975, degrees) * error * slope(value)
    return [float(unscale(scale(value) - half)), float(unscale(scale(value) + half))]


def takahashi_error(truth, answers):
    """The standard error of macro F1 over independent rows (Takahashi et al. 2022, section 3.2). (The variance in the package
    confidenceinterval 1.0.5 is another: it adds where the paper multiplies.)"""
    p = sk.confusion_matrix(truth, answers) / len(truth)
    both = p.sum(0) + p.sum(1)
    f1, off = 2 * np.diag(p) / both, both - 2 * np.diag(p)
    own = f1 * off / both**2 * (f1 / 2 + off / both)
    shared = (p - np.diag(np.diag(p))) * np.outer(f1 / both, f1 / both)
    variance = 2 * (own.sum() + shared.sum()) / len(f1) ** 2 / len(truth)

    def value(cells):
        return np.mean(2 * np.diag(cells) / (cells.sum(0) + cells.sum(1)))

    # The same by the delta method with numerical derivatives.
    step = 1e-6 * np.eye(p.size).reshape(p.size, *p.shape)
    slopes = np.array([(value(p + h) - value(p - h)) / 2e-6 for h in step])
    delta = (slopes**2 @ p.ravel() - (slopes @ p.ravel()) ** 2) / len(truth)
    assert abs(variance / delta - 1) < 1e-4, (variance, delta)
    return math.sqrt(variance)


def intervals():
    """Jackknife intervals of scikit-learn's metrics, statsmodels' cluster-robust errors of means, Takahashi's error of
    macro F1 and exact sign flips by scipy."""
    rng = np.random.default_rng(8)
    logit = (lambda x: math.log(x / (1 - x)), lambda z: 1 / (1 + math.exp(-z)), lambda x: 1 / (x * (1 - x)))
    fisher = (math.atanh, math.tanh, lambda x: 1 / (1 - x * x))
    labels = 5
    known = list(range(labels))
    f1 = lambda average, of=known: lambda t, a: float(sk.f1_score(t, a, average=average, labels=of, zero_division=0))
    cases = []
    for sizes in ([1] * 60, [3] * 20, [40] + [1, 2, 3, 4] * 10, rng.integers(1, 12, 25).tolist()):
        clusters = np.repeat(np.arange(len(sizes)), sizes)
        theme = rng.integers(0, labels, len(sizes))
        truth = np.where(rng.random(len(clusters)) < 0.5, theme[clusters], rng.integers(0, labels, len(clusters)))
        answers = np.where(rng.random(len(clusters)) < 0.7, truth, rng.integers(0, labels, len(clusters)))
        metrics = {"accuracy": (lambda t, a: float(sk.accuracy_score(t, a)), logit), "macro_f1": (f1("macro"), logit),
                   "weighted_f1": (f1("weighted"), logit), "mcc": (lambda t, a: float(sk.matthews_corrcoef(t, a)), fisher),
                   "kappa": (lambda t, a: float(sk.cohen_kappa_score(t, a)), fisher)}
        expected = {key: jackknife_interval(of(truth, answers), left_out(of, truth, answers, clusters), sizes, *scale)
                    for key, (of, scale) in metrics.items()}
        cases.append({"labels": labels, "rows": [[int(c), int(t), int(a)] for c, t, a in zip(clusters, truth, answers)],
                      "expected": expected})
    means = []
    for groups, size in [(6, 1), (12, 4), (40, 3)]:
        clusters = np.repeat(np.arange(groups), size)
        data = rng.normal(size=groups)[clusters] + rng.normal(size=groups * size)
        fit = sm.OLS(data, np.ones(len(data))).fit(cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True)
        means.append({"size": size, "data": data.tolist(), "error": float(fit.bse[0]), "expected": fit.conf_int()[0].tolist()})
    takahashi = []
    for n in (400, 1000):
        truth = rng.choice(labels, n, p=[0.4, 0.25, 0.15, 0.1, 0.1])
        answers = np.where(rng.random(n) < 0.75, truth, rng.integers(0, labels, n))
        takahashi.append({"rows": [[int(t), int(a)] for t, a in zip(truth, answers)],
                          "value": f1("macro")(truth, answers), "error": takahashi_error(truth, answers)})
    flips = []
    for groups in (3, 6, 9):
        clusters = np.repeat(np.arange(groups), 2)
        first, second = np.round(rng.random((2, 2 * groups)), 3)
        sums = np.bincount(clusters, first - second)
        p = stats.permutation_test((sums,), np.sum, permutation_type="samples", n_resamples=np.inf).pvalue
        flips.append({"first": first.tolist(), "second": second.tolist(), "p": float(p)})
    return {"versions": VERSIONS, "cases": cases, "means": means, "takahashi": takahashi, "flips": flips}


for make in (rouge, chrf, multi, classification, tfidf, bootstrap, probabilities, bca, intervals, significance):
    name = make.__name__
    if len(sys.argv) > 1 and name not in sys.argv[1:]:
        continue
    # one case a line, so that a change shows as the lines it changes
    text = json.dumps(make(), ensure_ascii=True, allow_nan=False).replace("}, {", "},\n{")
    (HERE / f"{name}.json").write_text(text + "\n")
