//! What a result says, how it was made and what it doesn't say, in sentences.

use indexmap::IndexSet;

use super::comparison::verdicts;
use super::metrics::{self, count, counted, decimal, percent};
use crate::ask::Manifest;
use crate::score::compare::Comparison;
use crate::score::metric::{METRICS, find, main_metric};
use crate::scores::{Scores, TaskScores};
use crate::task::{Task, TaskKind};

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
    let mut sentences: Vec<String> =
        subject.scores.tasks.iter().filter_map(|(name, task)| of_task(name, task, subject.tasks)).collect();
    sentences.extend(subject.ladder.map(verdicts).unwrap_or_default());
    sentences
}

fn of_task(name: &str, scores: &TaskScores, tasks: &[Task]) -> Option<String> {
    let kind = tasks.iter().find(|task| task.name == name)?.kind;
    let key = main_metric(kind).key;
    let metric = scores.metrics.get(key)?;
    let mut sentence = format!(
        "{name}: {} is {} (95\u{a0}% interval {} to {}) on {}.",
        metrics::name(key),
        decimal(metric.value),
        decimal(metric.low),
        decimal(metric.high),
        counted(metric.n, "answer")
    );
    let accuracy = scores.metrics.get("accuracy");
    let most = scores.classes.iter().max_by_key(|(_, class)| class.support);
    if let (Some(accuracy), Some((label, class))) = (accuracy, most) {
        let share = class.support as f64 / accuracy.n as f64;
        let word = match () {
            () if accuracy.low > share => "more than",
            () if accuracy.high < share => "less than",
            () => "not shown to differ from",
        };
        sentence.push_str(&format!(
            " {} are right: {word} the {} that always answering “{label}” would get.",
            percent(accuracy.value),
            percent(share)
        ));
    }
    Some(sentence)
}

/// What the methods section of a paper would say, in English and in Indonesian.
pub fn methods(subject: Subject) -> [String; 2] {
    let Subject { scores, tasks, manifest, ladder } = subject;
    let hash =
        |sha256: Option<&String>| -> String { sha256.map_or("?".to_owned(), |hash| hash.chars().take(12).collect()) };
    let model_hash = hash(manifest.model.as_ref().map(|model| &model.sha256));
    let data_hash = hash(manifest.data.as_ref().map(|data| &data.sha256));
    let prompts_hash = hash(manifest.prompts.as_ref().map(|prompts| &prompts.sha256));
    let model = manifest.model.as_ref().map_or("?", |model| &model.name);
    let version = manifest.crate_version.as_deref().unwrap_or(env!("CARGO_PKG_VERSION"));
    let reels = manifest.data.as_ref().map_or("?".to_owned(), |data| count(data.reels));
    let data = manifest.data.as_ref().map_or("?", |data| &data.path);
    let greedy = manifest.settings["temperature"].as_f64().unwrap_or(0.0) == 0.0;
    let scored = manifest.settings["label_mode"] != "generate";
    let resamples = manifest.bootstrap.as_ref().map_or("?".to_owned(), |bootstrap| count(bootstrap.resamples));
    let seed = manifest.bootstrap.as_ref().map_or("?".to_owned(), |bootstrap| bootstrap.seed.to_string());
    let sampling = scores.tasks.values().find_map(|task| task.sampling.as_ref());
    let by_account = sampling.is_some_and(|sampling| sampling.unit == "account");
    let units = sampling.map_or(0, |sampling| sampling.clusters);
    let of_kind = |kind| tasks.iter().filter(move |task| task.kind == kind && scores.tasks.contains_key(&task.name));
    let names = |kind| of_kind(kind).map(|task| task.name.as_str()).collect::<Vec<_>>().join(", ");
    let (texts, labels) = (names(TaskKind::Text), names(TaskKind::Label));
    let classes = of_kind(TaskKind::Label).map(|task| task.labels.len().to_string()).collect::<Vec<_>>().join(" / ");
    let baseline = model.starts_with("baseline:");

    // Indonesian writes 10.000 where English writes 10,000.
    let angka = |number: &str| number.replace(',', ".");

    let mut english = vec![format!(
        "We evaluated {model} (SHA-256 {}) with reels {version} on {reels} Reels ({}, SHA-256 {}).",
        model_hash, data, data_hash
    )];
    let mut indonesian = vec![format!(
        "Kami mengevaluasi {model} (SHA-256 {}) dengan reels {version} pada {} Reels ({}, SHA-256 {}).",
        model_hash,
        angka(&reels),
        data,
        data_hash
    )];
    if !baseline {
        english.push(format!("The prompts have SHA-256 {}.", prompts_hash));
        indonesian.push(format!("Prompt yang dipakai ber-SHA-256 {}.", prompts_hash));
    }
    if !texts.is_empty() {
        if !baseline {
            let (how, cara) =
                if greedy { ("greedily", "secara greedy") } else { ("by nucleus sampling", "dengan nucleus sampling") };
            english.push(format!("Texts ({texts}) were generated {how}."));
            indonesian.push(format!("Teks ({texts}) dihasilkan {cara}."));
        }
        let [by, dengan] = text_scores();
        english.push(format!("They were scored by {by}, all averaged over answers."));
        indonesian.push(format!("Teks dinilai dengan {dengan}, semuanya dirata-ratakan per jawaban."));
    }
    if !labels.is_empty() {
        if !baseline && scored {
            english.push(format!("Labels ({labels}) were not generated: the answer is the label whose tokens, with the end of the answer, are most probable."));
            indonesian.push(format!("Label ({labels}) tidak dihasilkan sebagai teks: jawabannya adalah label yang token-tokennya, termasuk akhir jawaban, paling mungkin."));
        } else if !baseline {
            english
                .push(format!("Labels ({labels}) were generated and matched exactly after trimming and case folding."));
            indonesian.push(format!("Label ({labels}) dihasilkan sebagai teks dan dicocokkan persis setelah dirapikan dan disamakan hurufnya."));
        }
        english.push(format!(
            "F1 is averaged over all configured labels ({classes}); an invalid or failed answer counts as wrong."
        ));
        indonesian.push(format!("F1 dirata-ratakan atas semua label yang ditetapkan ({classes}); jawaban yang tidak sah atau gagal dihitung salah."));
        for (name, task) in scores.tasks.iter().filter_map(|(name, task)| Some((name, task.threshold?))) {
            english.push(format!(
                "The decision threshold of {name}, {}, was chosen for macro F1 on separate data.",
                decimal(task)
            ));
            indonesian.push(format!(
                "Ambang keputusan {name}, {}, dipilih menurut macro F1 pada data terpisah.",
                decimal(task)
            ));
        }
    }
    let (unit, satuan) = if by_account { ("accounts", "akun") } else { ("Reels", "Reels") };
    english.push(format!("Intervals are 95 % BCa bootstrap intervals from {resamples} resamples of whole {unit} ({}), the same for all metrics (seed {seed}); those of rates are Wilson’s over the effective number of rows.", count(units)));
    indonesian.push(format!("Selang kepercayaan 95 % berasal dari bootstrap BCa dengan {} resampel atas {satuan} secara utuh ({}), sama untuk semua metrik (seed {seed}); untuk proporsi dipakai selang Wilson atas jumlah baris efektif.", angka(&resamples),
        angka(&count(units))));
    if ladder.is_some() {
        english.push(format!("Runs are compared on the same resamples; differences are tested by exchanging the answers of whole {unit} between two runs (exact McNemar for accuracy where each row stands alone), with Holm’s adjustment over the runs."));
        indonesian.push(format!("Hasil dibandingkan pada resampel yang sama; selisih diuji dengan menukar jawaban {satuan} secara utuh antara dua hasil (McNemar eksak untuk akurasi bila tiap baris berdiri sendiri), dengan penyesuaian Holm."));
    }
    [english.join(" "), indonesian.join(" ")]
}

/// By what texts are scored, in English and in Indonesian.
fn text_scores() -> [String; 2] {
    let parts: IndexSet<[&str; 2]> = METRICS.iter().filter_map(|info| info.prose.methods).collect();
    let listed = |language: usize, again: &str, last: &str| {
        let parts: Vec<&str> = parts.iter().map(|part| part[language]).collect();
        match &parts[..] {
            [others @ .., end] if !others.is_empty() => {
                format!("{}; {last} {end}", others.join(&format!("; {again} ")))
            }
            _ => parts.concat(),
        }
    };
    [listed(0, "by", "and by"), listed(1, "dengan", "serta dengan")]
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
            limits.push(format!("{name}: no answer has a reference, so nothing is scored."));
            continue;
        };
        if sampling.too_few() {
            limits.push(format!(
                "{name}: with {} intervals come out too narrow; 40 or more are needed.",
                counted(sampling.clusters, sampling.unit())
            ));
        }
        if sampling.largest_share > 0.2 && sampling.clusters > 1 {
            limits.push(format!(
                "{name}: one {} has {} of the rows; the result is largely its.",
                sampling.unit(),
                percent(sampling.largest_share)
            ));
        }
        let rare = task.classes.values().filter(|class| class.support < 10).count();
        if rare > 0 {
            limits.push(format!(
                "{name}: fewer than 10 references for {rare} of {} labels, whose scores say little.",
                task.classes.len()
            ));
        }
        if let Some(valid) = &task.valid_only {
            limits.push(format!(
                "{name}: over the {} alone accuracy would be {} and macro F1 {}. That leaves out what went wrong.",
                counted(valid.n, "valid answer"),
                decimal(valid.accuracy),
                decimal(valid.macro_f1)
            ));
        }
        for (key, metric) in &task.metrics {
            if let Some(note) = &metric.note {
                limits.push(format!("{name}: {} is {note}.", metrics::name(key)));
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
    [
        format!(
            "All runs answer the same rows. Differences from {baseline} have 95 % BCa bootstrap intervals from {resamples} resamples of whole {unit}, the same resamples for every run and metric (seed {seed}). They are tested by exchanging the answers of whole {unit} between two runs {resamples} times, which for means flips the signs of the rows’ differences and for F1 swaps labels; accuracy is tested by McNemar’s exact test where each row stands alone. p is never below 1/(B+1) and is adjusted over the runs by Holm’s method. The runs tied with the best are those that single-step max-T over all pairs does not tell from it."
        ),
        format!(
            "Semua hasil menjawab baris yang sama. Selisih terhadap {baseline} diberi selang kepercayaan 95 % dari bootstrap BCa dengan {resamples} resampel atas {satuan} secara utuh, dengan resampel yang sama untuk setiap hasil dan metrik (seed {seed}). Selisih diuji dengan menukar jawaban {satuan} secara utuh antara dua hasil sebanyak {resamples} kali, yang untuk rerata berarti membalik tanda selisih tiap baris dan untuk F1 menukar label; akurasi diuji dengan uji eksak McNemar bila tiap baris berdiri sendiri. Nilai p tidak pernah di bawah 1/(B+1) dan disesuaikan menurut Holm. Hasil yang setara dengan yang terbaik adalah yang tidak dapat dibedakan darinya oleh max-T satu langkah atas semua pasangan."
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_scores_texts_is_told_in_both_languages() {
        let [english, indonesian] = text_scores();
        assert!(english.starts_with("the F-measure of ROUGE-1") && english.contains("; by the same over Indonesian"));
        assert!(english.contains("; and by ") && english.contains(" chrF and chrF++"), "{english}");
        assert!(indonesian.contains("; serta dengan ") && indonesian.contains(" chrF dan chrF++"), "{indonesian}");
    }
}
