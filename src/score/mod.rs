//! Scores of predictions: how good each answer is, and how sure that is.
//!
//! [`Join`] puts predictions beside references, one row each with its own metrics, into a file; a [`Table`] has what
//! [`score`] derives everything else from. A number comes with its bounds, and a signature says how it was made.

pub mod agreement;
pub mod bootstrap;
mod calibration;
mod checks;
pub mod chrf;
mod classes;
pub mod classification;
pub mod compare;
#[cfg(test)]
mod fixture;
pub mod interval;
mod join;
pub mod metric;
mod people;
pub mod ratings;
mod resampled;
pub mod rouge;
mod row;
mod signature;
pub mod significance;
mod slices;
mod spread;
mod statistic;
mod support;
mod table;

use indexmap::IndexMap;

use self::calibration::Judged;
pub use self::checks::unsupported;
use self::classes::classes;
use self::classification::{CountTable, accuracy, macro_f1};
pub use self::interval::{Interval, wilson};
pub use self::join::{Asked, Join, MadeBy};
use self::metric::Range;
pub use self::people::People;
use self::resampled::Resampled;
use self::row::text_keys;
pub use self::row::{Scoring, Thresholds};
use self::signature::How;
use self::slices::slices;
use self::spread::Spread;
use self::statistic::Statistic;
use self::support::Support;
use self::table::Silent;
pub use self::table::{Clusters, Table, TaskTable};
use crate::config::{MetricSettings, ScoreSettings};
use crate::scores::{Metric, Sampling, Scores, TaskScores, ValidOnly};
use crate::task::{Task, TaskKind};

/// The scores of every task. A task without a scored row has no metrics.
pub fn score(table: &Table, settings: &ScoreSettings, metrics: &MetricSettings, thresholds: &Thresholds) -> Scores {
    let clusters = table.clusters();
    let resampled = Resampled::of(table, &clusters, None, settings);
    let how = How { settings, metrics, unit: clusters.unit() };
    let mut scores = Scores { v: 1, tasks: IndexMap::new() };
    let mut at = 0;
    for (index, rows) in table.tasks.iter().enumerate() {
        let task = &rows.task;
        let statistics = &resampled.sheet.tasks[index];
        let cluster_of = &clusters.of_task[index];
        let sampling = sampling(rows, cluster_of, clusters.unit());
        let support = Support::of(rows, cluster_of, clusters.count, clusters.unit());
        let counts = statistics.iter().find_map(Statistic::table).filter(|_| !rows.is_empty());
        let summed = counts.and_then(CountTable::counts);
        let mut metrics_of_task = IndexMap::new();
        for statistic in statistics {
            for key in &statistic.keys {
                if statistic.n > 0 {
                    let (interval, bootstrap) = resampled.intervals(key, at, settings.interval, &support);
                    let Interval { value, low, high, method, withheld } = interval;
                    // Metrics without an upper end have a lower one.
                    let low = if low < 0.0 && is_open(key) { 0.0 } else { low };
                    let undefined = || value.is_nan().then(|| metric::prose(key).undefined.to_owned());
                    let note = summed.as_ref().and_then(|counts| counts.note(key)).or_else(undefined);
                    let (n, clusters) = (statistic.n, sampling.clusters);
                    let metric = Metric { value, low, high, withheld, n, clusters, method, bootstrap, note };
                    metrics_of_task.insert(key.clone(), metric);
                }
                at += 1;
            }
        }
        if summed.as_ref().is_some_and(|counts| counts.invalid == 0) {
            let note = Some("is the accuracy: no answer is invalid".to_owned());
            let accuracy = Metric { note, ..metrics_of_task["accuracy"].clone() };
            metrics_of_task.insert("micro_f1".into(), accuracy);
        }
        if let Some(metric) = metrics_of_task.get_mut("invalid_rate") {
            metric.note = in_invalid_rate(rows.silent);
        }
        let keys: Vec<&str> = statistics.iter().flat_map(|statistic| &statistic.keys).map(String::as_str).collect();
        let threshold = thresholds.get(&task.name).copied();
        let judged: Vec<(u32, Judged)> =
            cluster_of.iter().zip(rows.labels()).filter_map(|(at, answer)| Some((*at, answer.judged?))).collect();
        let classes = summed.as_ref().map(|counts| classes(rows, cluster_of, counts, &support));
        let scores_of_task = TaskScores {
            asked: rows.asked,
            answered: rows.answered,
            answered_only: rows.answered_only,
            unread: rows.unread,
            metrics: metrics_of_task,
            classes: classes.unwrap_or_default(),
            valid_only: counts.and_then(valid_only),
            confusion: counts.map(|counts| counts.confusion(&task.labels)),
            reliability: calibration::reliability(&judged, support.has_clusters()),
            precision_recall: calibration::precision_recall(task, judged.iter().map(|(_, judged)| judged)),
            threshold,
            slices: slices(table, index, &clusters),
            agreement: rows.people.agreement(task),
            ratings: None,
            sampling: (!rows.is_empty()).then_some(sampling),
            signature: how.signature(rows, &keys, threshold, &support),
        };
        scores.tasks.insert(task.name.clone(), scores_of_task);
    }
    scores
}

/// What the rate counts besides invalid answers: all that name no label are wrong.
fn in_invalid_rate(Silent { empty, failed, missing }: Silent) -> Option<String> {
    let kinds =
        [(empty, "empty"), (failed, "failed"), (missing, "missing")].into_iter().filter(|(count, _)| *count > 0);
    let kinds: Vec<String> = kinds.map(|(count, kind)| format!("{count} {kind}")).collect();
    (!kinds.is_empty()).then(|| format!("counts answers that name no label, also {}", kinds.join(", ")))
}

fn is_open(key: &str) -> bool {
    metric::find(key).is_some_and(|info| info.range == Range::Open)
}

fn valid_only(counts: &CountTable) -> Option<ValidOnly> {
    let has_invalid = counts.counts()?.invalid > 0;
    let valid = counts.valid();
    let valid = valid.counts().filter(|_| has_invalid)?;
    Some(ValidOnly { n: valid.n as usize, accuracy: accuracy(&valid), macro_f1: macro_f1(&valid) })
}

/// The keys that a task's metrics may have.
pub fn metric_keys(task: &Task, settings: &MetricSettings) -> Vec<String> {
    match task.kind {
        TaskKind::Text => text_keys(settings),
        TaskKind::Label => Statistic::label_keys(task, true),
    }
}

/// For each yes/no task with probabilities, the threshold that is best on these rows.
pub fn best_thresholds(dev: &Table) -> Thresholds {
    let of = |rows: &TaskTable| {
        let judged: Vec<Judged> = rows.labels().iter().filter_map(|answer| answer.judged).collect();
        Some((rows.task.name.clone(), calibration::best_threshold(&rows.task, &judged)?))
    };
    dev.tasks.iter().filter_map(of).collect()
}

/// What was drawn for a task.
fn sampling(rows: &TaskTable, cluster_of: &[u32], unit: &str) -> Sampling {
    let mut sizes: IndexMap<u32, usize> = IndexMap::new();
    for cluster in cluster_of {
        *sizes.entry(*cluster).or_default() += 1;
    }
    let largest = sizes.values().max().copied().unwrap_or(0);
    let (_, values) = rows.simple();
    let spread: Vec<(u32, f64)> = cluster_of.iter().copied().zip(values).collect();
    let unknown = rows.origins.iter().filter(|origin| origin.account.is_none()).count();
    Sampling {
        unit: unit.to_owned(),
        unknown_accounts: if unknown < rows.len() { unknown } else { 0 },
        clusters: sizes.len(),
        largest_share: if rows.is_empty() { 0.0 } else { largest as f64 / rows.len() as f64 },
        design_effect: Spread::of(&spread).design_effect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::IntervalMethod;
    use crate::prediction::Finish;
    use crate::score::fixture::tasks;
    use crate::scores::Row;
    use crate::task::parse_tasks;

    const SETTINGS: ScoreSettings = ScoreSettings { bootstrap: 1000, seed: 42, interval: None };

    fn score(rows: &[Row], tasks: &[Task], settings: &ScoreSettings) -> Scores {
        let metrics = MetricSettings { amounts: false, stems: false };
        super::score(&Table::of(rows, tasks).unwrap(), settings, &metrics, &Thresholds::new())
    }

    /// 120 Reels of 12 accounts. An account's Reels are alike: its answers are all right or all invalid.
    fn example() -> Vec<Row> {
        let row = |task: &str, i: usize| {
            let right = !(i % 12).is_multiple_of(3);
            let label = ["iklan", "bukan iklan"][i % 2];
            let metrics = match task {
                "summary" => rouge::METRICS.map(|key| (key.to_owned(), if right { 0.5 } else { 0.1 })).into(),
                _ => IndexMap::new(),
            };
            Row {
                v: 1,
                reel_id: format!("r{i}"),
                account: Some(format!("a{}", i % 12)),
                task: task.into(),
                repeat: 0,
                prompt: String::new(),
                reference: Some(label.into()),
                alternatives: vec![],
                annotations: IndexMap::new(),
                output: label.into(),
                label_logprobs: None,
                finish: if right { Finish::Stop } else { Finish::Error },
                metrics,
                flags: vec![],
                slices: IndexMap::from([("parity".to_owned(), (i % 2).to_string())]),
            }
        };
        ["summary", "ad"].iter().flat_map(|task| (0..120).map(|i| row(task, i))).collect()
    }

    #[test]
    fn a_score_says_how_it_was_made() {
        let scores = score(&example(), &tasks(), &SETTINGS);
        let accuracy = &scores.tasks["ad"].metrics["accuracy"];
        assert_eq!((accuracy.n, accuracy.clusters, accuracy.method.as_str()), (120, 12, "jackknife"));
        let macro_f1 = &scores.tasks["ad"].metrics["macro_f1"];
        assert_eq!(
            (macro_f1.method.as_str(), macro_f1.bootstrap.as_ref().unwrap().method.as_str()),
            ("jackknife", "bootstrap-t")
        );
        assert_eq!(scores.tasks["summary"].metrics["rouge1"].method, "bootstrap-t");
        let sampling = scores.tasks["ad"].sampling.as_ref().unwrap();
        assert_eq!((sampling.unit.as_str(), sampling.clusters, sampling.largest_share), ("account", 12, 10.0 / 120.0));
        // ten alike rows an account, and the correction for a mean of twelve
        assert!((sampling.design_effect.unwrap() - 10.0 * 12.0 / 11.0).abs() < 1e-9);
        let slices = scores.tasks["ad"].slices.as_ref().unwrap();
        assert_eq!((slices.by["account"].len(), slices.by["parity"]["0"].n), (10, 60));
        let valid = scores.tasks["ad"].valid_only.as_ref().unwrap();
        assert_eq!((valid.n, valid.accuracy, valid.macro_f1), (80, 1.0, 1.0));
        assert!((accuracy.value - 2.0 / 3.0).abs() < 1e-12);
        assert!(accuracy.low < accuracy.value && accuracy.value < accuracy.high);
        let resampling = concat!("|level:0.95|B:1000|cluster:account|seed:42|v:", env!("CARGO_PKG_VERSION"));
        assert_eq!(
            scores.tasks["summary"].signature,
            format!("rouge1,rouge2,rougeL,rougeLsum|mode:google-0.1.2|stem:no|stat:f|ci:bootstrap-t{resampling}")
        );
        let signature = &scores.tasks["ad"].signature;
        let keys = "accuracy,balanced_accuracy,macro_f1,macro_f1_present,micro_f1,weighted_f1,mcc,kappa,invalid_rate";
        assert!(signature.starts_with(keys), "{signature}");
        assert!(signature.ends_with(&format!("|labels:2|invalid:wrong|ci:jackknife{resampling}")), "{signature}");
        assert_eq!(scores.tasks["ad"].confusion.as_ref().unwrap().counts, [[40, 0, 20], [0, 40, 20]]);
    }

    #[test]
    fn alike_reels_of_an_account_widen_the_interval() {
        let rows = example();
        let mut unknown = rows.clone();
        unknown.iter_mut().for_each(|row| row.account = None);
        let settings = ScoreSettings { interval: Some(IntervalMethod::Jackknife), ..SETTINGS };
        let (by_account, by_reel) = (score(&rows, &tasks(), &settings), score(&unknown, &tasks(), &settings));
        assert!(by_reel.tasks["ad"].signature.contains("|cluster:reel|"));
        let mut one = rows.clone();
        one[0].account = None;
        let one = score(&one, &tasks(), &settings);
        let sampling =
            |task: &str| one.tasks[task].sampling.as_ref().map(|of| (of.clusters, of.unknown_accounts)).unwrap();
        assert_eq!(["summary", "ad"].map(sampling), [(13, 1), (12, 0)], "the others are still of their accounts");
        for (task, metric) in [("summary", "rougeL"), ("ad", "balanced_accuracy"), ("ad", "accuracy")] {
            let (wide, narrow) = (&by_account.tasks[task].metrics[metric], &by_reel.tasks[task].metrics[metric]);
            assert_eq!((wide.clusters, narrow.clusters), (12, 120));
            // ten identical Reels an account: the standard error grows by √10
            let ratio = (wide.high - wide.low) / (narrow.high - narrow.low);
            assert!((2.4..4.0).contains(&ratio), "{task}: {ratio}");
        }
    }

    #[test]
    fn what_does_not_hold_is_withheld_and_the_value_stays() {
        let mut rows = example();
        rows.iter_mut().for_each(|row| row.account = Some("a".into()));
        let scores = score(&rows, &tasks(), &SETTINGS);
        for (task, key, least) in [("summary", "rougeL", 5), ("ad", "accuracy", 10), ("ad", "macro_f1", 10)] {
            let metric = &scores.tasks[task].metrics[key];
            let why = format!("the rows are of 1 account; an interval takes at least {least}");
            assert!(metric.value.is_finite() && metric.low.is_nan() && metric.high.is_nan());
            assert_eq!((metric.withheld.as_deref(), metric.method.as_str()), (Some(why.as_str()), "none"));
        }
        let ad = &scores.tasks["ad"];
        assert_eq!(metric::headline(ad).map(|headline| headline.key), Some("accuracy"));
        assert_eq!(ad.classes["iklan"].intervals, crate::scores::ClassIntervals::default());
    }

    #[test]
    fn one_account_has_no_interval_by_any_method() {
        let mut rows = example();
        for row in &mut rows {
            (row.account, row.finish) = (Some("a".into()), Finish::Stop);
            row.slices = [("parity".to_owned(), row.reel_id.clone())].into();
        }
        for method in
            [IntervalMethod::Bca, IntervalMethod::Percentile, IntervalMethod::BootstrapT, IntervalMethod::Jackknife]
        {
            let scores = score(&rows, &tasks(), &ScoreSettings { interval: Some(method), ..SETTINGS });
            for metric in scores.tasks.values().flat_map(|task| task.metrics.values()) {
                let why = Some("the rows are of 1 account; an interval takes at least 2");
                assert_eq!((metric.low.is_nan(), metric.withheld.as_deref()), (true, why), "{method:?}");
            }
            // All right, in one cluster each.
            let slices = scores.tasks["ad"].slices.as_ref().unwrap();
            assert!(slices.by["parity"].values().all(|group| group.low.is_nan() && group.value == 1.0));
        }
    }

    #[test]
    fn a_blank_account_is_unknown() {
        let mut rows = example();
        rows.iter_mut().for_each(|row| row.account = Some("  ".into()));
        let sampling = score(&rows, &tasks(), &SETTINGS).tasks["ad"].sampling.clone().unwrap();
        assert_eq!((sampling.unit.as_str(), sampling.clusters, sampling.unknown_accounts), ("reel", 120, 0));
    }

    #[test]
    fn macro_f1_over_all_labels_takes_all_labels() {
        let mut rows: Vec<Row> =
            example().into_iter().filter(|row| row.reference.as_deref() == Some("iklan")).collect();
        rows.iter_mut().enumerate().for_each(|(index, row)| row.account = Some(format!("a{}", index % 12)));
        let mut tasks = tasks();
        let scores = score(&rows, &tasks, &SETTINGS);
        let metrics = &scores.tasks["ad"].metrics;
        assert_eq!(metrics["macro_f1"].withheld.as_deref(), Some("1 of 2 labels don’t occur: bukan iklan"));
        assert_eq!(metrics["macro_f1_present"].value, 2.0 * metrics["macro_f1"].value);
        assert!(metrics["macro_f1_present"].low > 0.0);
        let headline = metric::headline(&scores.tasks["ad"]).unwrap();
        assert_eq!((headline.key, headline.instead), ("weighted_f1", metrics["macro_f1"].withheld.as_deref()));
        // Six accounts are all about one label, six about the other, and a third is somebody's aside.
        tasks[1].labels.push("cerita".into());
        let mut rows = example();
        rows.iter_mut().find(|row| row.task == "ad").unwrap().reference = Some("cerita".into());
        let scores = score(&rows, &tasks, &SETTINGS);
        assert_eq!(
            scores.tasks["ad"].metrics["macro_f1_present"].withheld.as_deref(),
            Some("accounts keep to few labels, and none keeps to 1 of 3: cerita")
        );
    }

    #[test]
    fn an_account_with_most_rows_is_not_resampled() {
        let mut rows = example();
        for (index, row) in rows.iter_mut().enumerate() {
            row.account = Some(if index % 120 < 50 { "big".into() } else { format!("a{}", index % 40) });
        }
        let scores = score(&rows, &tasks(), &SETTINGS);
        assert_eq!(scores.tasks["summary"].metrics["rougeL"].method, "jackknife");
        assert!(scores.tasks["summary"].signature.contains("|ci:jackknife|"));
        let beside = scores.tasks["ad"].metrics["weighted_f1"].bootstrap.as_ref().unwrap();
        assert_eq!(beside.withheld.as_deref(), Some("few accounts have most of the rows"));
        let settings = ScoreSettings { interval: Some(IntervalMethod::Bca), ..SETTINGS };
        assert_eq!(score(&rows, &tasks(), &settings).tasks["summary"].metrics["rougeL"].method, "bca");
    }

    #[test]
    fn tasks_share_the_plan() {
        let text = |name| format!("[task.{name}]\nkind = \"text\"\ntemplate = \"s\"\nmax_tokens = 9\n");
        let tasks = parse_tasks(&[text("summary"), text("title")].concat(), "tasks.toml").unwrap();
        let mut rows: Vec<Row> = example().into_iter().filter(|row| row.task == "summary").collect();
        let titles = rows.clone().into_iter().map(|row| {
            let metrics = row.metrics.iter().map(|(key, value)| (key.clone(), 0.1 + 2.0 * value)).collect();
            Row { task: "title".into(), metrics, ..row }
        });
        rows.extend(titles.collect::<Vec<_>>());
        let settings = ScoreSettings { interval: Some(IntervalMethod::Percentile), ..SETTINGS };
        let scores = score(&rows, &tasks, &settings);
        let (a, b) = (&scores.tasks["summary"].metrics["rouge1"], &scores.tasks["title"].metrics["rouge1"]);
        // the one is a linear function of the other, so in a shared plan the bounds are too
        for (a, b) in [(a.low, b.low), (a.value, b.value), (a.high, b.high)] {
            assert!((b - (0.1 + 2.0 * a)).abs() < 1e-12);
        }
    }

    #[test]
    fn threads_and_row_order_change_no_bit() {
        let on = |threads, rows: &[Row]| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| serde_json::to_string(&score(rows, &tasks(), &SETTINGS)).unwrap())
        };
        let rows = example();
        assert_eq!(on(1, &rows), on(2, &rows));
        let reversed: Vec<Row> = rows.iter().rev().cloned().collect();
        let bounds = |rows: &[Row]| score(rows, &tasks(), &SETTINGS).tasks["ad"].metrics.clone();
        assert_eq!(bounds(&rows), bounds(&reversed));
    }

    #[test]
    fn rows_without_a_reference_are_not_scored() {
        let mut rows = example();
        for row in rows.iter_mut().filter(|row| row.task == "ad") {
            row.reference = None;
        }
        let scores = score(&rows, &tasks(), &SETTINGS);
        let ad = &scores.tasks["ad"];
        assert!(ad.metrics.is_empty() && ad.classes.is_empty() && ad.confusion.is_none());
        assert_eq!(scores.tasks["summary"].metrics["rouge1"].n, 120);
        assert!(score(&[], &tasks(), &SETTINGS).tasks["summary"].metrics.is_empty());
    }

    #[test]
    fn what_the_data_do_not_define_is_named() {
        let rows: Vec<Row> = example()
            .into_iter()
            .filter(|row| row.task == "ad" && row.reference.as_deref() == Some("iklan"))
            .map(|row| Row { finish: Finish::Stop, ..row })
            .collect();
        let scores = score(&rows, &tasks(), &SETTINGS);
        let metrics = &scores.tasks["ad"].metrics;
        assert_eq!(metrics["mcc"].note.as_deref(), Some("0 by convention: all references are one label"));
        assert!(
            metrics["kappa"].note.is_some() && metrics["macro_f1"].note.is_some() && metrics["accuracy"].note.is_none()
        );
        assert!(scores.tasks["summary"].sampling.is_none());
    }
}
