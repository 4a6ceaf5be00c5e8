//! One prediction beside its reference, with metrics of its own.

use indexmap::IndexMap;

use super::checks::{self, checks};
use super::metric::{self, Direction};
use super::{classification, rouge, slices};
use crate::annotation::Role;
use crate::config::MetricSettings;
use crate::prediction::{Answer, Finish};
use crate::reel::Reel;
use crate::scores::{CORRECT, Row};
use crate::task::{Task, TaskKind};

/// The least probability from which on the positive label is answered, by task name.
pub type Thresholds = IndexMap<String, f64>;

/// Behind the key of a metric over several references: their mean, where the metric itself is that of the best.
const MEAN: &str = "_mean";

/// What rows are scored by.
#[derive(Debug, Default)]
pub struct Scoring {
    #[expect(missing_docs, reason = "the type says it")]
    pub metrics: MetricSettings,
    #[expect(missing_docs, reason = "the type says it")]
    pub thresholds: Thresholds,
    /// Whether missing answers are left out; else they count as empty ones.
    pub answered_only: bool,
}

/// Makes rows; keeps its buffers from one to the next.
pub(super) struct RowScorer<'a> {
    tasks: &'a [Task],
    scoring: &'a Scoring,
    rouge: rouge::Scorer,
}

impl<'a> RowScorer<'a> {
    /// For answers to these tasks.
    pub fn new(tasks: &'a [Task], scoring: &'a Scoring) -> Self {
        Self { tasks, scoring, rouge: rouge::Scorer::default() }
    }

    /// The row of a task's answer about a Reel; `several` is whether some Reel has more than one reference.
    pub fn row(&mut self, mut answer: Answer, task: &Task, reel: Reel, several: bool) -> Row {
        if let Some(threshold) = self.scoring.thresholds.get(&task.name) {
            decide(&mut answer, task, *threshold);
        }
        let finish = settle(&mut answer, task);
        let output = answer.output.unwrap_or_default();
        let mut references = references(&reel, task);
        let is_left_out = finish == Finish::Missing && self.scoring.answered_only;
        let (metrics, flags) = match task.kind {
            _ if is_left_out => Default::default(),
            TaskKind::Text => {
                let text = if finish == Finish::Error { "" } else { &output };
                self.text_metrics(text, &references, &reel, several)
            }
            TaskKind::Label if references.is_empty() => Default::default(),
            TaskKind::Label => {
                let label = classification::answer(task, &output, finish);
                let correct = label.is_some_and(|label| task.labels[label] == references[0]);
                (IndexMap::from([(CORRECT.to_owned(), f64::from(u8::from(correct)))]), vec![])
            }
        };
        Row {
            v: 1,
            slices: slices::groups(&reel, self.tasks),
            annotations: annotations(&reel, task),
            reel_id: reel.id,
            account: reel.account,
            task: answer.task,
            repeat: answer.repeat,
            prompt: answer.prompt.unwrap_or_default(),
            alternatives: if references.is_empty() { vec![] } else { references.split_off(1) },
            reference: references.pop(),
            output,
            label_logprobs: answer.label_logprobs,
            finish,
            metrics,
            flags,
        }
    }

    /// Metrics by key, none without a reference; and flags, which need none. Of several references the best counts, metric by
    /// metric, as in `score_multi` of rouge_score and in sacrebleu.
    fn text_metrics(
        &mut self,
        output: &str,
        references: &[String],
        reel: &Reel,
        several: bool,
    ) -> (IndexMap<String, f64>, Vec<String>) {
        let (checked, flags) = checks(output, reel);
        let settings = &self.scoring.metrics;
        let mut of = |reference: &String| {
            TextPair { reference, output, checked: &checked, settings, rouge: &mut self.rouge }.metrics()
        };
        let each: Vec<IndexMap<String, f64>> = references.iter().map(&mut of).collect();
        let Some(first) = each.first() else { return (IndexMap::new(), flags) };
        let values = |key: &String| each.iter().map(|metrics| metrics[key]).collect::<Vec<f64>>();
        let best = first.keys().map(|key| (key.clone(), values(key).into_iter().fold(f64::NEG_INFINITY, f64::max)));
        let mean = |key: &String| values(key).iter().sum::<f64>() / each.len() as f64;
        let means = first.keys().filter(|key| several && metric::direction(key) != Direction::Neither);
        (best.chain(means.map(|key| (format!("{key}{MEAN}"), mean(key)))).collect(), flags)
    }
}

/// The gold answers; a blank one is none.
fn references(reel: &Reel, task: &Task) -> Vec<String> {
    let first = reel.reference.get(&task.name).into_iter();
    let all = first.chain(reel.alternatives.get(&task.name).into_iter().flatten());
    all.filter(|text| !text.trim().is_empty()).cloned().collect()
}

/// The label of each annotator.
fn annotations(reel: &Reel, task: &Task) -> IndexMap<String, String> {
    let all = reel.annotations.get(&task.name).into_iter().flatten();
    let blind = all.filter(|annotation| annotation.role == Role::Annotator && task.kind == TaskKind::Label);
    blind.map(|annotation| (annotation.by.clone(), annotation.answer.clone())).collect()
}

/// Makes of an answer to a label task the label that it is, and says how the answer ended.
fn settle(answer: &mut Answer, task: &Task) -> Finish {
    let Some(output) = &mut answer.output else { return answer.finish.unwrap_or(Finish::Missing) };
    match (task.kind, answer.finish) {
        (_, Some(finish @ (Finish::Error | Finish::Missing | Finish::Invalid))) => finish,
        (TaskKind::Text, finish) => finish.unwrap_or(Finish::Unknown),
        (TaskKind::Label, _) => match task.label_said(output) {
            Some(label) => {
                *output = label.to_owned();
                Finish::Stop
            }
            None => Finish::Invalid,
        },
    }
}

/// Computes some metrics of texts, by key.
pub(super) type TextMetrics = fn(&mut TextPair) -> Vec<(String, f64)>;

/// A text beside its reference, as metrics see it.
pub(super) struct TextPair<'a> {
    pub reference: &'a str,
    /// Empty where there is no answer.
    pub output: &'a str,
    /// What [`checks()`] says.
    pub checked: &'a [f64; checks::METRICS.len()],
    pub settings: &'a MetricSettings,
    pub rouge: &'a mut rouge::Scorer,
}

impl TextPair<'_> {
    /// All metrics of texts, by key.
    fn metrics(&mut self) -> IndexMap<String, f64> {
        metric::OF_TEXTS.iter().flat_map(|of_pair| of_pair(self)).collect()
    }
}

/// The keys of the metrics that texts may get.
pub(super) fn text_keys(settings: &MetricSettings) -> Vec<String> {
    let scoring = Scoring { metrics: *settings, ..Scoring::default() };
    let (metrics, _) = RowScorer::new(&[], &scoring).text_metrics("", &[String::new()], &Reel::default(), true);
    metrics.into_keys().collect()
}

/// Answers by the threshold, where there are probabilities to go by.
fn decide(given: &mut Answer, task: &Task, threshold: f64) {
    let (Some(positive), Some(logprobs)) = (&task.positive, &given.label_logprobs) else { return };
    let (Some(logprob), Some(other)) = (logprobs.get(positive), task.labels.iter().find(|label| *label != positive))
    else {
        return;
    };
    let answer = if logprob.exp() >= threshold { positive } else { other };
    given.output = Some(answer.clone());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::fixture::{answer, reel, tasks};

    fn row(answer: Answer, task: &Task, scoring: &Scoring) -> Row {
        RowScorer::new(&tasks(), scoring).row(answer, task, reel("a", Some("iklan")), false)
    }

    #[test]
    fn a_failed_or_missing_answer_is_wrong_whatever_it_says() {
        for (task, key) in tasks().iter().zip(["rouge1", "correct"]) {
            let failed = Answer { finish: Some(Finish::Error), ..answer("a", &task.name, "iklan") };
            assert_eq!(row(failed, task, &Scoring::default()).metrics[key], 0.0);
            let missing = || Answer::missing("a".into(), task.name.clone(), 0);
            let row_of_missing = row(missing(), task, &Scoring::default());
            assert_eq!((row_of_missing.finish, row_of_missing.metrics[key]), (Finish::Missing, 0.0));
            let left_out = Scoring { answered_only: true, ..Scoring::default() };
            assert!(row(missing(), task, &left_out).metrics.is_empty());
        }
    }

    #[test]
    fn labels_are_matched_and_what_matches_none_is_invalid() {
        let task = &tasks()[1];
        for (text, finish, output, correct) in [
            ("Iklan.", None, "iklan", 1.0),
            ("BUKAN iklan", Some(Finish::Stop), "bukan iklan", 0.0),
            ("promo", Some(Finish::Stop), "promo", 0.0),
            ("iklan", Some(Finish::Invalid), "iklan", 0.0),
        ] {
            let row = row(Answer { finish, ..answer("a", "ad", text) }, task, &Scoring::default());
            let is_valid = text != "promo" && finish != Some(Finish::Invalid);
            let expected = if is_valid { Finish::Stop } else { Finish::Invalid };
            assert_eq!((row.output.as_str(), row.finish, row.metrics[CORRECT]), (output, expected, correct));
        }
    }

    #[test]
    fn how_a_text_from_elsewhere_ended_is_unknown() {
        let text = Answer { finish: None, ..answer("a", "summary", "iklan") };
        assert_eq!(row(text, &tasks()[0], &Scoring::default()).finish, Finish::Unknown);
    }

    #[test]
    fn a_blank_reference_is_none() {
        let mut blank = reel("a", Some(" "));
        blank.reference.insert("ad".into(), String::new());
        for task in &tasks() {
            let answer = answer("a", &task.name, "iklan");
            let row = RowScorer::new(&tasks(), &Scoring::default()).row(answer, task, blank.clone(), false);
            assert!(row.reference.is_none() && row.metrics.is_empty() && !row.slices.contains_key("ad"));
        }
    }

    #[test]
    fn of_several_references_the_best_counts_and_the_mean_stands_beside_it() {
        let mut reel = reel("a", Some("kopi susu"));
        reel.alternatives.insert("summary".into(), vec!["kopi".into(), " ".into()]);
        let (tasks, scoring) = (tasks(), Scoring::default());
        let mut scorer = RowScorer::new(&tasks, &scoring);
        let row = scorer.row(answer("a", "summary", "kopi"), &tasks[0], reel, true);
        assert_eq!((row.reference.as_deref(), &row.alternatives[..]), (Some("kopi susu"), &["kopi".to_owned()][..]));
        assert_eq!((row.metrics["rouge1"], row.metrics["rouge1_mean"]), (1.0, (2.0 / 3.0 + 1.0) / 2.0));
        assert!(row.metrics.contains_key("chrf_mean") && !row.metrics.contains_key("words_mean"));
        // Beside it a Reel with one has the same metrics.
        let single =
            scorer.row(answer("b", "summary", "kopi"), &tasks[0], super::super::fixture::reel("b", Some("kopi")), true);
        assert!(single.metrics.keys().eq(row.metrics.keys()) && single.metrics["rouge1_mean"] == 1.0);
    }

    #[derive(serde::Deserialize)]
    struct Multi {
        references: Vec<String>,
        hypothesis: String,
        /// By metric key, to the last bit.
        rouge: IndexMap<String, f64>,
        chrf: IndexMap<String, f64>,
    }

    #[test]
    fn several_references_score_as_in_rouge_score_and_sacrebleu() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/multi.json");
        let file: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let cases: Vec<Multi> = serde_json::from_value(file["cases"].clone()).unwrap();
        assert!(cases.len() >= 100);
        let (tasks, scoring) = (tasks(), Scoring::default());
        let mut scorer = RowScorer::new(&tasks, &scoring);
        for Multi { references, hypothesis, rouge, chrf } in cases {
            let mut reel = reel("a", Some(&references[0]));
            reel.alternatives.insert("summary".into(), references[1..].to_vec());
            let row = scorer.row(answer("a", "summary", &hypothesis), &tasks[0], reel, true);
            for (key, expected) in rouge {
                assert_eq!(row.metrics[&key], expected, "{key} of {references:?} and {hypothesis:?}");
            }
            for (key, expected) in chrf {
                assert!((row.metrics[&key] - expected).abs() <= 1e-9, "{key} of {references:?} and {hypothesis:?}");
            }
        }
    }

    #[test]
    fn a_threshold_decides_by_the_positive_labels_probability() {
        let task = Task { positive: Some("iklan".into()), ..tasks().remove(1) };
        let logprobs = IndexMap::from([("iklan".to_owned(), 0.3f64.ln()), ("bukan iklan".to_owned(), 0.7f64.ln())]);
        let answer = Answer { label_logprobs: Some(logprobs), ..answer("a", "ad", "bukan iklan") };
        for (threshold, output) in [(0.2, "iklan"), (0.4, "bukan iklan")] {
            let scoring = Scoring { thresholds: [("ad".to_owned(), threshold)].into(), ..Scoring::default() };
            assert_eq!(row(answer.clone(), &task, &scoring).output, output);
        }
    }
}
