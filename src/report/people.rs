//! What people say, beside the scores: how far they agree, which is the mark to reach, and how they rate texts.

use super::metrics::{self, count, counted, decimal, in_words};
use crate::scores::{Agreement, Metric, Scores, TaskRatings, TaskScores};

/// What people reach among themselves in a metric of a model, where both are the same number.
pub fn mark<'a>(task: &'a TaskScores, key: &str) -> Option<&'a Metric> {
    let of_people = match key {
        "accuracy" => "percent_agreement",
        "macro_f1" => "macro_f1",
        "kappa" => "cohen_kappa",
        _ => return None,
    };
    task.agreement.as_ref()?.metrics.get(of_people)
}

/// Value and interval.
pub fn mark_in_words(mark: &Metric) -> [String; 2] {
    [decimal(mark.value), metrics::interval(mark)]
}

/// Whether any task has a mark to reach.
pub fn have_mark(scores: &Scores) -> bool {
    scores.tasks.values().any(|task| task.agreement.is_some())
}

/// How people rate a task's texts, by what is rated.
pub fn rated(task: &TaskScores) -> impl Iterator<Item = (&str, &Metric)> {
    let scales = task.ratings.iter().flat_map(|ratings| &ratings.scales);
    scales.map(|(scale, metric)| (scale.as_str(), metric))
}

/// What a reader should know first.
pub fn verdicts(name: &str, task: &TaskScores) -> Vec<String> {
    let agreement = task.agreement.as_ref().map(|agreement| agreed(name, agreement));
    let ratings = task.ratings.as_ref().map(|ratings| {
        let scales = ratings.scales.iter();
        let means = scales.map(|(scale, mean)| format!("{scale} {}", with_interval(mean, 0)));
        format!(
            "{name}: {} gave {} from 1 to 5 on average {}.{}",
            counted(ratings.annotators.len(), "annotator"),
            counted(ratings.texts, "text"),
            means.collect::<Vec<_>>().join(", "),
            stale(ratings, 0)
        )
    });
    agreement.into_iter().chain(ratings).collect()
}

/// What a methods section says, in English and in Indonesian.
pub fn methods(name: &str, task: &TaskScores) -> Vec<[String; 2]> {
    let agreement = task.agreement.as_ref().map(|agreement| agree(name, agreement, |_| true));
    agreement.into_iter().chain(task.ratings.as_ref().map(|ratings| rate(name, ratings))).collect()
}

/// As [`verdicts`], of labels alone.
pub fn agreed(name: &str, agreement: &Agreement) -> String {
    let short = |key: &str| ["percent_agreement", "cohen_kappa"].contains(&key);
    let [english, _] = agree(name, agreement, short);
    english
}

fn agree(name: &str, agreement: &Agreement, told: fn(&str) -> bool) -> [String; 2] {
    let listed = |language: usize| {
        let metrics = agreement.metrics.iter().filter(|(key, _)| told(key));
        let told =
            metrics.map(|(key, metric)| format!("{} {}", called(key)[language], with_interval(metric, language)));
        told.collect::<Vec<_>>().join(", ")
    };
    let (who, reels) = (agreement.annotators.join(", "), agreement.items);
    [
        format!("{name}: annotators ({who}) reach among themselves, over {}, {}.", counted(reels, "Reel"), listed(0)),
        format!("{name}: kesepakatan antaranotator ({who}) atas {} Reels adalah {}.", angka(reels), listed(1)),
    ]
}

fn rate(name: &str, ratings: &TaskRatings) -> [String; 2] {
    let listed = |language: usize| {
        let scales = ratings.scales.iter();
        let told =
            scales.map(|(scale, metric)| format!("{} {}", called(scale)[language], with_interval(metric, language)));
        told.collect::<Vec<_>>().join(", ")
    };
    let agreed = |language: usize| -> String {
        let scales = ratings.agreement.iter();
        let told = scales.flat_map(|(scale, agreement)| {
            agreement.metrics.iter().map(move |(key, metric)| {
                format!("{} {} {}", called(scale)[language], called(key)[language], with_interval(metric, language))
            })
        });
        told.collect::<Vec<_>>().join(", ")
    };
    let [agreed, sepakat] = [agreed(0), agreed(1)];
    let (agreed, sepakat) = match agreed.is_empty() {
        true => (String::new(), String::new()),
        false => (format!(" They agree by {agreed}."), format!(" Kesepakatan mereka: {sepakat}.")),
    };
    [
        format!(
            "{name}: {} rated {} from 1 to 5; means over texts of the means over annotators: {}.{agreed}{}",
            counted(ratings.annotators.len(), "annotator"),
            counted(ratings.texts, "text"),
            listed(0),
            stale(ratings, 0)
        ),
        format!(
            "{name}: {} anotator menilai {} teks dari 1 sampai 5; rerata per teks atas rerata anotator: {}.{sepakat}{}",
            ratings.annotators.len(),
            angka(ratings.texts),
            listed(1),
            stale(ratings, 1)
        ),
    ]
}

/// How many ratings say nothing of the run; nothing where all do.
fn stale(ratings: &TaskRatings, language: usize) -> String {
    match (ratings.stale, language) {
        (0, _) => String::new(),
        (count, 0) => format!(" {} of texts that the run doesn’t have, left out.", counted(count, "rating")),
        (count, _) => format!(" {} penilaian atas teks yang tidak ada dalam hasil ini tidak diikutkan.", angka(count)),
    }
}

/// A number as a sentence has it.
fn with_interval(metric: &Metric, language: usize) -> String {
    match (language, metric.withheld.is_some()) {
        (0, _) => format!("{} ({})", decimal(metric.value), in_words(metric)),
        (_, true) => format!("{} (selang tidak ditampilkan)", decimal(metric.value)),
        _ => format!("{} (selang 95\u{a0}% {})", decimal(metric.value), metrics::interval(metric)),
    }
}

/// Indonesian writes 10.000 where English writes 10,000.
fn angka(value: usize) -> String {
    count(value).replace(',', ".")
}

/// What is measured, in English and in Indonesian.
fn called(key: &str) -> [&str; 2] {
    match key {
        "percent_agreement" => ["percent agreement", "persentase kesepakatan"],
        "cohen_kappa" => ["Cohen’s kappa", "kappa Cohen"],
        "fleiss_kappa" => ["Fleiss’ kappa", "kappa Fleiss"],
        "weighted_kappa" => ["quadratic weighted kappa", "kappa berbobot kuadrat"],
        "krippendorff_alpha" => ["Krippendorff’s alpha", "alpha Krippendorff"],
        "gwet_ac1" => ["Gwet’s AC1", "AC1 Gwet"],
        "macro_f1" => ["macro F1", "macro F1"],
        "faithful" => ["faithful", "kesetiaan"],
        "complete" => ["complete", "kelengkapan"],
        "fluent" => ["fluent", "kelancaran"],
        other => [other, other],
    }
}
