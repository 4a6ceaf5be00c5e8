//! One prediction beside its reference, with metrics of its own.

use indexmap::IndexMap;

use super::checks::{self, checks};
use super::{classification, metric, rouge, slices};
use crate::config::MetricSettings;
use crate::prediction::{Finish, Prediction};
use crate::reel::Reel;
use crate::scores::{CORRECT, Row};
use crate::task::{Task, TaskKind};

/// The least probability from which on the positive label is answered, by task name.
pub type Thresholds = IndexMap<String, f64>;

/// Makes rows; keeps its buffers from one to the next.
pub(super) struct RowScorer<'a> {
    tasks: &'a [Task],
    settings: &'a MetricSettings,
    thresholds: &'a Thresholds,
    rouge: rouge::Scorer,
}

impl<'a> RowScorer<'a> {
    /// For predictions about these tasks.
    pub fn new(tasks: &'a [Task], settings: &'a MetricSettings, thresholds: &'a Thresholds) -> Self {
        Self { tasks, settings, thresholds, rouge: rouge::Scorer::default() }
    }

    /// The row of a task's prediction about a Reel.
    pub fn row(&mut self, mut prediction: Prediction, task: &Task, reel: Reel) -> Row {
        if let Some(threshold) = self.thresholds.get(&task.name) {
            decide(&mut prediction, task, *threshold);
        }
        let reference = reel.reference.get(&task.name).cloned();
        let (metrics, flags) = match (&reference, task.kind) {
            (_, TaskKind::Text) => self.text_metrics(&prediction, reference.as_deref(), &reel),
            (Some(reference), TaskKind::Label) => {
                let label = classification::answer(task, &prediction.output, prediction.finish);
                let correct = label.is_some_and(|label| task.labels[label] == *reference);
                (IndexMap::from([(CORRECT.to_owned(), f64::from(u8::from(correct)))]), vec![])
            }
            (None, TaskKind::Label) => Default::default(),
        };
        Row {
            v: 1,
            slices: slices::groups(&reel, self.tasks),
            reel_id: prediction.reel_id,
            account: reel.account,
            task: prediction.task,
            repeat: prediction.repeat,
            prompt: prediction.prompt,
            reference,
            output: prediction.output,
            label_logprobs: prediction.label_logprobs,
            finish: prediction.finish,
            metrics,
            flags,
        }
    }

    /// Metrics by key, none without a reference; and flags, which need none.
    fn text_metrics(
        &mut self,
        prediction: &Prediction,
        reference: Option<&str>,
        reel: &Reel,
    ) -> (IndexMap<String, f64>, Vec<String>) {
        let output = if prediction.finish == Finish::Error { "" } else { &prediction.output };
        let (checked, flags) = checks(output, reel);
        let Some(reference) = reference else { return (IndexMap::new(), flags) };
        let rouge = &mut self.rouge;
        (TextPair { reference, output, checked: &checked, settings: self.settings, rouge }.metrics(), flags)
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

/// The keys of the metrics that texts get.
pub(super) fn text_keys(settings: &MetricSettings) -> Vec<String> {
    let (reference, output, rouge) = ("", "", &mut rouge::Scorer::default());
    let (checked, _) = checks(output, &Reel::default());
    TextPair { reference, output, checked: &checked, settings, rouge }.metrics().into_keys().collect()
}

/// Answers by the threshold, where there are probabilities to go by.
fn decide(prediction: &mut Prediction, task: &Task, threshold: f64) {
    let (Some(positive), Some(logprobs)) = (&task.positive, &prediction.label_logprobs) else { return };
    let (Some(logprob), Some(other)) = (logprobs.get(positive), task.labels.iter().find(|label| *label != positive))
    else {
        return;
    };
    let answer = if logprob.exp() >= threshold { positive } else { other };
    prediction.output = answer.clone();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::fixture::{prediction, reel, tasks};

    fn row(prediction: Prediction, task: &Task, thresholds: &Thresholds) -> Row {
        let settings = MetricSettings { amounts: false, stems: false };
        RowScorer::new(&tasks(), &settings, thresholds).row(prediction, task, reel("a", Some("iklan")))
    }

    #[test]
    fn a_failed_answer_is_wrong_whatever_it_says() {
        for (task, key) in tasks().iter().zip(["rouge1", "correct"]) {
            let failed = Prediction { finish: Finish::Error, ..prediction("a", &task.name, 0, "iklan") };
            assert_eq!(row(failed, task, &Thresholds::new()).metrics[key], 0.0);
        }
    }

    #[test]
    fn a_threshold_decides_by_the_positive_labels_probability() {
        let task = Task { positive: Some("iklan".into()), ..tasks().remove(1) };
        let logprobs = IndexMap::from([("iklan".to_owned(), 0.3f64.ln()), ("bukan iklan".to_owned(), 0.7f64.ln())]);
        let prediction = Prediction { label_logprobs: Some(logprobs), ..prediction("a", "ad", 0, "bukan iklan") };
        for (threshold, output) in [(0.2, "iklan"), (0.4, "bukan iklan")] {
            let thresholds = Thresholds::from([("ad".to_owned(), threshold)]);
            assert_eq!(row(prediction.clone(), &task, &thresholds).output, output);
        }
    }
}
