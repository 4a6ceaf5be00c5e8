//! What a result says and what it doesn't say, in sentences.

use indexmap::IndexSet;

use super::cautions::cautions;
use super::comparison::verdicts;
use super::intervals;
use super::metrics::{self, counted, decimal, in_words, percent};
use super::{people, rated};
use crate::ask::Manifest;
use crate::score::compare::Comparison;
use crate::score::metric::{find, headline};
use crate::scores::{Scores, TaskScores};
use crate::task::Task;

/// A result as prose needs it.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub scores: &'a Scores,
    pub tasks: &'a [Task],
    pub manifest: &'a Manifest,
    pub ladder: Option<&'a Comparison>,
}

/// A sentence or two a task: how good, how sure, and against what.
pub fn verdict(subject: Subject) -> Vec<String> {
    let mut sentences: Vec<String> = cautions(subject.manifest).into_iter().map(|[english, _]| english).collect();
    for (name, task) in &subject.scores.tasks {
        sentences.extend(of_task(name, task));
        sentences.extend(people::verdicts(name, task));
    }
    sentences.extend(subject.ladder.map(verdicts).unwrap_or_default());
    sentences
}

fn of_task(name: &str, scores: &TaskScores) -> Option<String> {
    let headline = headline(scores)?;
    let metric = headline.metric;
    let mut sentence = format!(
        "{name}: {} is {} ({}) on {}.",
        metrics::name(headline.key),
        decimal(metric.value),
        in_words(metric),
        counted(metric.n, "answer")
    );
    sentence.extend(intervals::coverage(scores).map(|coverage| format!(" {coverage}.")));
    match (intervals::instead(&headline, metrics::name), headline.instead.or(metric.withheld.as_deref())) {
        (Some(instead), Some(why)) => sentence.push_str(&format!(" It stands {instead}: {why}.")),
        (_, Some(why)) => sentence.push_str(&format!(" The interval is withheld: {why}.")),
        _ => {}
    }
    let accuracy = scores.metrics.get("accuracy");
    let most = scores.classes.iter().max_by_key(|(_, class)| class.support);
    if let (Some(accuracy), Some((label, class))) = (accuracy, most) {
        let share = class.support as f64 / accuracy.n as f64;
        let (right, share_of_most) = (percent(accuracy.value), percent(share));
        let always = format!("always answering “{label}” would get");
        let word = match () {
            () if accuracy.low > share => "more than",
            () if accuracy.high < share => "less than",
            () => "not shown to differ from",
        };
        sentence.push_str(&match accuracy.withheld {
            None => format!(" {right} are right: {word} the {share_of_most} that {always}."),
            Some(_) => format!(
                " {right} are right; {always} {share_of_most}. Without an interval there is no telling how much of that is chance."
            ),
        });
    }
    Some(sentence)
}

/// What a reader should keep in mind.
pub fn limitations(subject: Subject) -> Vec<String> {
    let Subject { scores, manifest, ladder, .. } = subject;
    let mut limits = Vec::new();
    if manifest.data.as_ref().is_some_and(|data| data.path == "eval/sample.jsonl") {
        limits.push("The bundled sample is fictional: these numbers show that the pipeline works, not how good a model is on real Reels.".into());
    }
    for (name, task) in &scores.tasks {
        let Some(sampling) = &task.sampling else {
            if task.asked == 0 && scores.tasks.values().any(|task| task.asked > 0) {
                continue;
            }
            limits.push(format!("{name}: no answer has a reference, so nothing is scored."));
            continue;
        };
        if sampling.largest_share > 0.2 && sampling.clusters > 1 {
            limits.push(format!(
                "{name}: one {} has {} of the rows; the result is largely its.",
                sampling.unit(),
                percent(sampling.largest_share)
            ));
        }
        if let Some(unknown) = intervals::unknown_in_words(sampling) {
            limits.push(format!("{name}: {unknown}."));
        }
        if let Some(unread) = intervals::unread_in_words(task, metrics::name) {
            limits.push(format!("{name}: {unread}."));
        }
        if let Some(absent) = intervals::absent_in_words(task) {
            limits.push(format!("{name}: {absent}. The result says nothing of them."));
        }
        if let Some(rare) = intervals::rare_in_words(task) {
            limits.push(format!("{name}: {rare}. The scores of such a label say little."));
        }
        if let Some(valid) = &task.valid_only {
            limits.push(format!(
                "{name}: over the {} alone accuracy would be {} and macro F1 {}. That leaves out what went wrong.",
                counted(valid.n, "valid answer"),
                decimal(valid.accuracy),
                decimal(valid.macro_f1)
            ));
        }
        for (key, metric) in intervals::distinct(task) {
            if let Some(note) = &metric.note {
                limits.push(format!("{name}, {}: {note}.", metrics::name(key)));
            }
        }
        let of_metrics: IndexSet<&str> = task.metrics.keys().filter_map(|key| find(key)?.prose.limit).collect();
        limits.extend(of_metrics.into_iter().map(|limit| format!("{name}: {limit}")));
    }
    if ladder.is_some() {
        limits.push("The best of several runs, picked on this data, looks better than it is.".into());
    }
    limits
}

/// What a paper would say about how runs were compared, in English and in Indonesian.
pub fn comparison_methods(comparison: &Comparison) -> [String; 2] {
    let part = |key: &str| {
        let parts = comparison.signature.split('|');
        parts.filter_map(|part| part.split_once(':')).find(|(name, _)| *name == key).map_or("?", |(_, value)| value)
    };
    let (resamples, seed) = (part("B"), part("seed"));
    let (unit, satuan) = if part("cluster") == "account" { ("accounts", "akun") } else { ("Reels", "Reels") };
    let baseline = &comparison.runs[0];
    let [how, cara] = match part("ci") {
        "bca" | "percentile" => [
            format!("{} bootstrap intervals from {resamples} resamples of whole {unit} (seed {seed})", part("ci")),
            format!("bootstrap {} dengan {resamples} resampel atas {satuan} secara utuh (seed {seed})", part("ci")),
        ],
        _ => [
            format!("intervals from leaving out one of the {unit} at a time (jackknife, Student’s t)"),
            format!("jackknife yang mengeluarkan satu {satuan} setiap kali (t Student)"),
        ],
    };
    let [english, indonesian] = [
        format!(
            "All runs answer the same rows. Differences from {baseline} have 95 % {how}; where none holds it is withheld. They are tested by exchanging the answers of whole {unit} between two runs, in all ways if there are no more than {resamples}, else {resamples} times (seed {seed}), which for means flips the signs of the rows’ differences and for F1 swaps labels; accuracy is tested by McNemar’s exact test where each row stands alone. p is adjusted over the runs by Holm’s method. The runs tied with the best are those that single-step max-T over all pairs, on the same exchanges, does not tell from it."
        ),
        format!(
            "Semua hasil menjawab baris yang sama. Selisih terhadap {baseline} diberi selang kepercayaan 95 % dari {cara}; bila tidak ada yang berlaku, selang tidak ditampilkan. Selisih diuji dengan menukar jawaban {satuan} secara utuh antara dua hasil, dengan semua cara bila tidak lebih dari {resamples}, selain itu {resamples} kali (seed {seed}), yang untuk rerata berarti membalik tanda selisih tiap baris dan untuk F1 menukar label; akurasi diuji dengan uji eksak McNemar bila tiap baris berdiri sendiri. Nilai p disesuaikan menurut Holm. Hasil yang setara dengan yang terbaik adalah yang tidak dapat dibedakan darinya oleh max-T satu langkah atas semua pasangan, pada penukaran yang sama."
        ),
    ];
    if comparison.ratings.is_empty() {
        return [english, indonesian];
    }
    let [rated, dinilai] = rated::methods(unit, satuan);
    [format!("{english} {rated}"), format!("{indonesian} {dinilai}")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn a_verdict_names_what_is_withheld() {
        let mut scores = fixture::scores();
        fixture::withhold(&mut scores);
        let sentence = of_task("category", &scores.tasks["category"]).unwrap();
        assert!(
            sentence.starts_with(
                "category: Weighted F1 is 0.790 (95\u{a0}% interval 0.711 – 0.823) on 1,204 answers. It stands in place of \
                 Macro F1, whose interval is withheld: 1 of 3 labels don’t occur: oto_motif. 80\u{a0}% are right: more than"
            ),
            "{sentence}"
        );
        for metric in scores.tasks["category"].metrics.values_mut() {
            (metric.low, metric.high, metric.withheld) = (f64::NAN, f64::NAN, Some("few".into()));
        }
        let sentence = of_task("category", &scores.tasks["category"]).unwrap();
        assert!(
            sentence.ends_with("how much of that is chance.")
                && sentence.contains("(95\u{a0}% interval withheld)")
                && sentence.contains("no interval either: few.")
        );
        assert!(sentence.contains("; always answering “musik” would get"), "{sentence}");
    }
}
