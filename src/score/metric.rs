//! What is known of every metric, in one table that scoring, comparing, thresholds and reports go by.
//!
//! A new metric is a file of its own that computes it, a row in [`METRICS`], and there, where texts or counts are
//! computed, its function.

use super::classification::{self, CountMetric};
use super::row::TextMetrics;
use super::{checks, chrf, rouge};
use crate::config::{IntervalMethod, MetricSettings};
use crate::indonesian::{STEMMER_NAME, slang_hash};
use crate::scores::{Metric, TaskScores};
use crate::task::TaskKind;

/// What is known of a metric.
#[derive(Debug, Clone, Copy)]
pub struct MetricInfo {
    /// As `scores.json` has it.
    pub key: &'static str,
    /// As papers write it.
    pub name: &'static str,
    /// The kind of task that has it.
    pub kind: TaskKind,
    #[expect(missing_docs, reason = "the name says it")]
    pub direction: Direction,
    /// Whether it may stand for a task where there is room for one number; of several the first does.
    pub headline: bool,
    /// Whether it stands for texts that [`Mode::Google`](super::rouge::Mode::Google) can't read.
    pub unread_headline: bool,
    /// Whether a report shows it beside every answer.
    pub beside_answers: bool,
    #[expect(missing_docs, reason = "the name says it")]
    pub aggregate: Aggregate,
    /// Where its values can lie.
    pub range: Range,
    /// How its interval is made unless another way is asked for.
    pub interval: IntervalMethod,
    /// The parts `key:value` that say how it is made, joined by `|`; metrics that are made alike share them.
    pub signature: Option<fn(&MetricSettings) -> String>,
    #[expect(missing_docs, reason = "the name says it")]
    pub prose: Prose,
}

impl MetricInfo {
    /// Whether a bootstrap interval stands beside the one that is shown: of the F1s, for which papers give one.
    pub fn has_bootstrap_beside(&self) -> bool {
        ["macro_f1", "macro_f1_present", "weighted_f1"].contains(&self.key)
    }
}

/// What is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// A larger value.
    Higher,
    /// A smaller value.
    Lower,
    /// Neither: it only tells what answers are like.
    Neither,
}

/// How the rows of a task become one number.
#[derive(Debug, Clone, Copy)]
pub enum Aggregate {
    /// The mean of their values.
    Mean,
    /// The share of those of which this holds, given the numbers of the reference's label and the answer's (`None` if
    /// invalid).
    Rate(fn(u16, Option<u16>) -> bool),
    /// Only all of them together have a value.
    Whole,
    /// As [`Aggregate::Whole`], the mean of what each label has.
    EachLabel {
        /// Whether labels that don't occur count.
        absent: bool,
        /// Whether what a label has depends on the rows that are answered so.
        answers: bool,
    },
    /// As [`Aggregate::Whole`], but too large by chance.
    Biased,
}

/// Where the values of a metric can lie, and with them what its intervals are made on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// 0 to 1: logit.
    Unit,
    /// −1 to 1: inverse hyperbolic tangent.
    Signed,
    /// Anywhere: as it is.
    Open,
}

impl Range {
    /// On the scale on which intervals are symmetric.
    pub fn scaled(self, value: f64) -> f64 {
        match self {
            Range::Unit => (value / (1.0 - value)).ln(),
            Range::Signed => value.atanh(),
            Range::Open => value,
        }
    }

    /// Back from the scale.
    pub fn unscaled(self, scaled: f64) -> f64 {
        match self {
            Range::Unit => 1.0 / (1.0 + (-scaled).exp()),
            Range::Signed => scaled.tanh(),
            Range::Open => scaled,
        }
    }

    /// Whether a value can be reached.
    pub fn holds(self, value: f64) -> bool {
        match self {
            Range::Unit => (0.0..=1.0).contains(&value),
            Range::Signed => (-1.0..=1.0).contains(&value),
            Range::Open => true,
        }
    }

    /// What a small change of the value is multiplied by on the scale.
    pub fn slope(self, value: f64) -> f64 {
        match self {
            Range::Unit => 1.0 / (value * (1.0 - value)),
            Range::Signed => 1.0 / (1.0 - value * value),
            Range::Open => 1.0,
        }
    }
}

/// What a report says of a metric.
#[derive(Debug, Clone, Copy)]
pub struct Prose {
    /// What its number means; empty where the name says it.
    pub explanation: &'static str,
    /// Its part of the sentence on how texts are scored, in English and in Indonesian; metrics of one kind share it.
    pub methods: Option<[&'static str; 2]>,
    /// What a reader should keep in mind.
    pub limit: Option<&'static str>,
    /// Why there is no value, where there is none.
    pub undefined: &'static str,
}

/// What is known of the metric with this key.
pub fn find(key: &str) -> Option<&'static MetricInfo> {
    METRICS.iter().find(|info| info.key == key)
}

/// Which values of a metric are better; an unknown one is taken for one of which more is.
pub fn direction(key: &str) -> Direction {
    find(key).map_or(Direction::Higher, |info| info.direction)
}

/// What a report says of a metric; of an unknown one, nothing.
pub fn prose(key: &str) -> Prose {
    find(key).map_or(PLAIN, |info| info.prose)
}

/// The metric that stands for a task of this kind.
///
/// # Panics
/// Never: a test holds that there is one.
pub fn main_metric(kind: TaskKind) -> &'static MetricInfo {
    METRICS.iter().find(|info| info.headline && info.kind == kind).expect("a headline for each kind of task")
}

/// Share of unread references from which on [`main_metric`] says little about texts.
const UNREAD: f64 = 0.05;

/// As [`main_metric`], of a text task with so many rows, of which so many have a reference that Google's ROUGE can't read: then
/// it is the one that knows Unicode.
pub fn main_of_texts(unread: usize, rows: usize) -> &'static MetricInfo {
    let main = main_metric(TaskKind::Text);
    let other = METRICS.iter().find(|info| info.unread_headline);
    other.filter(|_| unread as f64 > UNREAD * rows as f64).unwrap_or(main)
}

/// The main metric of a task's texts; what labels have is [`main_metric`].
pub fn main_of(scores: &TaskScores) -> &'static MetricInfo {
    let rows = scores.metrics.get(main_metric(TaskKind::Text).key).map_or(0, |metric| metric.n);
    main_of_texts(scores.unread, rows)
}

/// The metric that stands for a task.
#[derive(Debug, Clone, Copy)]
pub struct Headline<'a> {
    /// As `scores.json` has it.
    pub key: &'a str,
    #[expect(missing_docs, reason = "the type says it")]
    pub metric: &'a Metric,
    /// Why it isn't the one that stands for this kind of task: that one's interval is withheld.
    pub instead: Option<&'a str>,
}

/// The metric of a task that stands for its kind (of texts, [`main_of`]), or where its interval is withheld, the first of weighted F1 and accuracy
/// that has one. `None` where nothing is scored.
pub fn headline(scores: &TaskScores) -> Option<Headline<'_>> {
    let of = |key: &str| scores.metrics.get_key_value(key).map(|(key, metric)| Headline { key, metric, instead: None });
    let of_kind = of(main_of(scores).key).or_else(|| of(main_metric(TaskKind::Label).key))?;
    let instead = of_kind.metric.withheld.as_deref();
    let mut others = ["weighted_f1", "accuracy"].into_iter().filter_map(of);
    let other = others.clone().find(|other| other.metric.withheld.is_none()).or_else(|| others.next_back());
    Some(other.filter(|_| instead.is_some()).map_or(of_kind, |other| Headline { instead, ..other }))
}

/// What computes the metrics of a text by key, in the order in which a row has them.
pub(super) const OF_TEXTS: &[TextMetrics] = &[rouge::of_pair, chrf::of_pair, checks::of_pair];

/// What computes the metrics of a label task's counts, in the order in which `scores.json` has them.
pub(super) const OF_COUNTS: &[&[(&str, CountMetric)]] = &[&classification::METRICS];

/// Every metric, in the order in which they are printed.
pub static METRICS: &[MetricInfo] = &[
    MetricInfo { key: "rouge1", name: "ROUGE-1", beside_answers: true, ..ROUGE },
    MetricInfo { key: "rouge2", name: "ROUGE-2", beside_answers: true, ..ROUGE },
    MetricInfo { key: "rougeL", name: "ROUGE-L", headline: true, beside_answers: true, prose: OVERLAP, ..ROUGE },
    MetricInfo { key: "rougeLsum", name: "ROUGE-Lsum", ..ROUGE },
    MetricInfo { key: "rouge1_id", name: "ROUGE-1 (id)", ..ROUGE_ID },
    MetricInfo { key: "rouge2_id", name: "ROUGE-2 (id)", ..ROUGE_ID },
    MetricInfo { key: "rougeL_id", name: "ROUGE-L (id)", unread_headline: true, beside_answers: true, ..ROUGE_ID },
    MetricInfo { key: "rougeLsum_id", name: "ROUGE-Lsum (id)", ..ROUGE_ID },
    MetricInfo { key: "rouge1_id_stem", name: "ROUGE-1 (id, stems)", ..ROUGE_ID_STEM },
    MetricInfo { key: "rouge2_id_stem", name: "ROUGE-2 (id, stems)", ..ROUGE_ID_STEM },
    MetricInfo { key: "rougeL_id_stem", name: "ROUGE-L (id, stems)", ..ROUGE_ID_STEM },
    MetricInfo { key: "rougeLsum_id_stem", name: "ROUGE-Lsum (id, stems)", ..ROUGE_ID_STEM },
    MetricInfo { key: "chrf", name: "chrF", beside_answers: true, ..CHRF },
    MetricInfo { key: "chrf_pp", name: "chrF++", ..CHRF },
    MetricInfo { key: "rouge1_mean", name: "ROUGE-1, mean of references", ..ROUGE },
    MetricInfo { key: "rouge2_mean", name: "ROUGE-2, mean of references", ..ROUGE },
    MetricInfo { key: "rougeL_mean", name: "ROUGE-L, mean of references", ..ROUGE },
    MetricInfo { key: "rougeLsum_mean", name: "ROUGE-Lsum, mean of references", ..ROUGE },
    MetricInfo { key: "rouge1_id_mean", name: "ROUGE-1 (id), mean of references", ..ROUGE_ID },
    MetricInfo { key: "rouge2_id_mean", name: "ROUGE-2 (id), mean of references", ..ROUGE_ID },
    MetricInfo { key: "rougeL_id_mean", name: "ROUGE-L (id), mean of references", ..ROUGE_ID },
    MetricInfo { key: "rougeLsum_id_mean", name: "ROUGE-Lsum (id), mean of references", ..ROUGE_ID },
    MetricInfo { key: "rouge1_id_stem_mean", name: "ROUGE-1 (id, stems), mean of references", ..ROUGE_ID_STEM },
    MetricInfo { key: "rouge2_id_stem_mean", name: "ROUGE-2 (id, stems), mean of references", ..ROUGE_ID_STEM },
    MetricInfo { key: "rougeL_id_stem_mean", name: "ROUGE-L (id, stems), mean of references", ..ROUGE_ID_STEM },
    MetricInfo { key: "rougeLsum_id_stem_mean", name: "ROUGE-Lsum (id, stems), mean of references", ..ROUGE_ID_STEM },
    MetricInfo { key: "chrf_mean", name: "chrF, mean of references", ..CHRF },
    MetricInfo { key: "chrf_pp_mean", name: "chrF++, mean of references", ..CHRF },
    MetricInfo { key: "words", range: Range::Open, name: "Words", prose: explained("words of an answer"), ..CHECK },
    MetricInfo {
        key: "compression",
        range: Range::Open,
        name: "Compression",
        prose: explained("its words over those of the Reel"),
        ..CHECK
    },
    MetricInfo {
        key: "novel_bigrams",
        name: "Novel bigrams",
        prose: explained("share of its pairs of words that the Reel doesn’t have"),
        ..CHECK
    },
    MetricInfo {
        key: "coverage",
        name: "Extractive coverage",
        prose: explained("share of its words that stand in stretches copied from the Reel"),
        ..CHECK
    },
    MetricInfo {
        key: "density",
        range: Range::Open,
        name: "Extractive density",
        prose: explained("mean length of the copied stretch a word stands in"),
        ..CHECK
    },
    MetricInfo {
        key: "repetition",
        name: "Repeated trigrams",
        prose: explained("share of its triples of words that are said again"),
        ..CHECK
    },
    MetricInfo {
        key: "unsupported_rate",
        name: "States what the Reel doesn’t",
        prose: explained(
            "share of answers with a number, handle, tag or name that the Reel doesn’t have: to look at, not proof of an error",
        ),
        ..CHECK
    },
    MetricInfo {
        key: "accuracy",
        name: "Accuracy",
        aggregate: Aggregate::Rate(|reference, answer| answer == Some(reference)),
        ..LABEL
    },
    MetricInfo {
        key: "balanced_accuracy",
        name: "Balanced accuracy",
        aggregate: Aggregate::EachLabel { absent: false, answers: true },
        ..LABEL
    },
    MetricInfo {
        key: "macro_f1",
        name: "Macro F1",
        headline: true,
        aggregate: Aggregate::EachLabel { absent: true, answers: true },
        ..LABEL
    },
    MetricInfo {
        key: "macro_f1_present",
        name: "Macro F1 (labels that occur)",
        aggregate: Aggregate::EachLabel { absent: false, answers: true },
        ..LABEL
    },
    MetricInfo { key: "weighted_f1", name: "Weighted F1", ..LABEL },
    MetricInfo { key: "micro_f1", name: "Micro F1", ..LABEL },
    MetricInfo { key: "mcc", name: "MCC", range: Range::Signed, ..LABEL },
    MetricInfo { key: "kappa", name: "Cohen’s kappa", range: Range::Signed, ..LABEL },
    MetricInfo {
        key: "invalid_rate",
        name: "Invalid rate",
        direction: Direction::Lower,
        aggregate: Aggregate::Rate(|_, answer| answer.is_none()),
        ..LABEL
    },
    MetricInfo {
        key: "brier",
        name: "Brier score",
        aggregate: Aggregate::Mean,
        interval: IntervalMethod::BootstrapT,
        range: Range::Open,
        ..ERROR
    },
    MetricInfo {
        key: "log_loss",
        name: "Log loss",
        aggregate: Aggregate::Mean,
        interval: IntervalMethod::BootstrapT,
        range: Range::Open,
        ..ERROR
    },
    MetricInfo { key: "ece", name: "ECE", aggregate: Aggregate::Biased, ..ERROR },
    MetricInfo {
        key: "roc_auc",
        name: "ROC AUC",
        prose: Prose { undefined: "not defined: all references are one label", ..PLAIN },
        ..LABEL
    },
    MetricInfo { key: "average_precision", name: "Average precision", ..LABEL },
];

/// A metric that is not in the table.
pub static UNKNOWN: MetricInfo = MetricInfo { range: Range::Open, ..TEXT };

const TEXT: MetricInfo = MetricInfo {
    key: "",
    name: "",
    kind: TaskKind::Text,
    direction: Direction::Higher,
    headline: false,
    unread_headline: false,
    beside_answers: false,
    aggregate: Aggregate::Mean,
    range: Range::Unit,
    interval: IntervalMethod::BootstrapT,
    signature: None,
    prose: PLAIN,
};

const LABEL: MetricInfo =
    MetricInfo { kind: TaskKind::Label, aggregate: Aggregate::Whole, interval: IntervalMethod::Jackknife, ..TEXT };
const ERROR: MetricInfo = MetricInfo { direction: Direction::Lower, ..LABEL };

const ROUGE: MetricInfo = MetricInfo {
    signature: Some(|_| "mode:google-0.1.2|stem:no|stat:f".into()),
    prose: Prose {
        methods: Some([
            "the F-measure of ROUGE-1, -2, -L and -Lsum as the package rouge_score 0.1.2 computes it, without stemming",
            "F-measure ROUGE-1, -2, -L, dan -Lsum sebagaimana dihitung paket rouge_score 0.1.2 tanpa stemming",
        ]),
        ..PLAIN
    },
    ..TEXT
};

const ROUGE_ID: MetricInfo = MetricInfo {
    signature: Some(|settings| {
        let amounts = if settings.amounts { "unified" } else { "as-written" };
        format!("id:slang-{},amounts-{amounts}", slang_hash())
    }),
    prose: Prose {
        methods: Some([
            "the same over Indonesian words (Unicode, reduplication and informal spellings normalised)",
            "ukuran yang sama atas kata bahasa Indonesia (Unicode, reduplikasi, dan ejaan tidak baku dinormalkan)",
        ]),
        ..PLAIN
    },
    ..TEXT
};

const ROUGE_ID_STEM: MetricInfo = MetricInfo { signature: Some(|_| format!("id_stem:{STEMMER_NAME}")), ..TEXT };

const CHRF: MetricInfo = MetricInfo {
    signature: Some(|_| "chrf:char-6,word-0|chrf_pp:char-6,word-2|beta:2|mean:rows".into()),
    prose: Prose { methods: Some(["chrF and chrF++", "chrF dan chrF++"]), ..PLAIN },
    ..TEXT
};

/// What can be seen of a text without a reference.
const CHECK: MetricInfo = MetricInfo { direction: Direction::Neither, ..TEXT };

const PLAIN: Prose = Prose { explanation: "", methods: None, limit: None, undefined: "not defined on these rows" };

/// Of what texts and references have in common.
const OVERLAP: Prose = Prose {
    limit: Some(
        "ROUGE and chrF count words and characters in common with one reference. They don’t see whether a statement is true, and a good summary in other words scores low.",
    ),
    ..ROUGE.prose
};

const fn explained(explanation: &'static str) -> Prose {
    Prose { explanation, ..PLAIN }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::ScoreSettings;
    use crate::prediction::Answer;
    use crate::score::fixture::{answer, reel, tasks};
    use crate::score::row::{RowScorer, Scoring, Thresholds};
    use crate::score::{Table, score};
    use crate::task::Task;

    #[test]
    fn the_table_has_what_is_scored_and_nothing_else() {
        let mut tasks = tasks();
        tasks[1].positive = Some("iklan".into());
        let settings = MetricSettings { amounts: false, stems: true };
        let scoring = Scoring { metrics: settings, ..Scoring::default() };
        let mut scorer = RowScorer::new(&tasks, &scoring);
        let logprobs = [("iklan".to_owned(), 0.3f64.ln()), ("bukan iklan".to_owned(), 0.7f64.ln())];
        let mut row = |task: &Task| {
            let answer = Answer { label_logprobs: Some(logprobs.clone().into()), ..answer("a", &task.name, "iklan") };
            scorer.row(answer, task, reel("a", Some("kopi")), true)
        };
        let table = Table::of(&[row(&tasks[0]), row(&tasks[1])], &tasks).unwrap();
        let how = ScoreSettings { bootstrap: 100, seed: 1, interval: None };
        let scores = score(&table, &how, &settings, &Thresholds::new());
        for task in &tasks {
            let scored: BTreeSet<&str> = scores.tasks[&task.name].metrics.keys().map(String::as_str).collect();
            let known = METRICS.iter().filter(|info| info.kind == task.kind).map(|info| info.key);
            assert_eq!(scored, known.collect());
            assert!(scored.contains(main_metric(task.kind).key));
        }
        let keys: BTreeSet<&str> = METRICS.iter().map(|info| info.key).collect();
        assert_eq!(keys.len(), METRICS.len(), "a metric stands twice in the table");
    }
}
