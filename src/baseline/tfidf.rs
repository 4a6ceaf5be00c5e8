//! Multinomial logistic regression on TF-IDF: what can be had for a label task without a language model.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Result, anyhow};
use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_logistic::{MultiFittedLogisticRegression, MultiLogisticRegression};
use ndarray::{Array1, Array2};

use crate::indonesian::Words;
use crate::reel::Reel;
use crate::task::Task;

/// Records that a word must stand in to be used: one in fewer says nothing about other records.
const LEAST_RECORDS: usize = 2;
/// Words that are used, the most frequent ones: the regression takes a dense matrix.
const MOST_WORDS: usize = 5_000;
/// Strength of the L2 penalty; 1 is scikit-learn's default.
const PENALTY: f64 = 1.0;
/// Probability of a label that no training record has.
const UNSEEN: f64 = 1e-9;

/// A label task's model.
#[derive(Debug, Clone)]
pub struct TfIdf {
    /// Word → column and inverse document frequency.
    words: HashMap<String, (usize, f64)>,
    /// Predicts indices into the task's labels.
    regression: MultiFittedLogisticRegression<f64, usize>,
    labels: usize,
}

impl TfIdf {
    /// Learns from the records that have a label of the task; `None` where they don't have two different ones.
    ///
    /// # Errors
    /// When the regression doesn't converge.
    pub fn learn(task: &Task, train: &[Reel]) -> Result<Option<TfIdf>> {
        let label = |reel: &Reel| task.labels.iter().position(|label| Some(label) == reel.reference.get(&task.name));
        let labelled: Vec<(Vec<String>, usize)> =
            train.iter().filter_map(|reel| Some((Words::default().of(&text(reel)), label(reel)?))).collect();
        if labelled.iter().map(|(_, label)| label).collect::<HashSet<_>>().len() < 2 {
            return Ok(None);
        }
        let words = vocabulary(labelled.iter().map(|(words, _)| words), labelled.len());
        let mut features = Array2::zeros((labelled.len(), words.len()));
        for (mut row, (text, _)) in features.rows_mut().into_iter().zip(&labelled) {
            row.assign(&vector(&words, text));
        }
        let targets: Array1<usize> = labelled.iter().map(|(_, label)| *label).collect();
        let regression = MultiLogisticRegression::default()
            .alpha(PENALTY)
            .gradient_tolerance(1e-4)
            .max_iterations(1000)
            .fit(&DatasetBase::new(features, targets))
            .map_err(|error| anyhow!("baseline:tfidf can't learn {}: {error}", task.name))?;
        Ok(Some(TfIdf { words, regression, labels: task.labels.len() }))
    }

    /// Natural-log probability of each label of the task; `text` is a Reel's [`text`].
    pub fn log_probabilities(&self, text: &str) -> Vec<f64> {
        let features = vector(&self.words, &Words::default().of(text)).insert_axis(ndarray::Axis(0));
        let probabilities = self.regression.predict_probabilities(&features);
        let mut logs = vec![UNSEEN.ln(); self.labels];
        for (label, probability) in self.regression.classes().iter().zip(probabilities.iter()) {
            logs[*label] = probability.max(UNSEEN).ln();
        }
        logs
    }
}

/// All that is said and written.
pub fn text(reel: &Reel) -> String {
    let texts = [&reel.transcript, &reel.caption].into_iter().flatten().chain(&reel.hashtags);
    texts.map(String::as_str).collect::<Vec<&str>>().join("\n")
}

/// Each word's column and its inverse document frequency ln((1 + n) / (1 + df)) + 1, as scikit-learn's
/// `TfidfVectorizer` smooths it.
fn vocabulary<'a>(texts: impl Iterator<Item = &'a Vec<String>>, n: usize) -> HashMap<String, (usize, f64)> {
    let mut records: BTreeMap<&str, usize> = BTreeMap::new();
    for text in texts {
        for word in text.iter().collect::<HashSet<_>>() {
            *records.entry(word).or_default() += 1;
        }
    }
    let mut kept: Vec<(&str, usize)> = records.into_iter().filter(|(_, records)| *records >= LEAST_RECORDS).collect();
    kept.sort_by_key(|(_, records)| std::cmp::Reverse(*records));
    kept.truncate(MOST_WORDS);
    let idf = |records: usize| ((1 + n) as f64 / (1 + records) as f64).ln() + 1.0;
    kept.into_iter().enumerate().map(|(column, (word, records))| (word.to_owned(), (column, idf(records)))).collect()
}

/// Counts of words times inverse document frequency, scaled to length 1.
fn vector(vocabulary: &HashMap<String, (usize, f64)>, words: &[String]) -> Array1<f64> {
    let mut vector: Array1<f64> = Array1::zeros(vocabulary.len());
    for (column, idf) in words.iter().filter_map(|word| vocabulary.get(word)) {
        vector[*column] += idf;
    }
    let length = vector.dot(&vector).sqrt();
    if length > 0.0 { vector / length } else { vector }
}
