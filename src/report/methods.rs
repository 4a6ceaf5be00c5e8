//! How a result was made, as the methods section of a paper would say it, in English and in Indonesian.

use indexmap::IndexSet;

use super::cautions::cautions;
use super::intervals_made::intervals_made;
use super::metrics::{count, decimal};
use super::people;
use super::prose::Subject;
use crate::prediction::Shortened;
use crate::score::metric::{METRICS, main_of};
use crate::scores::TaskScores;
use crate::task::TaskKind;

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
    let is_scored = |name: &str| scores.tasks.get(name).is_some_and(|task| !task.metrics.is_empty());
    let of_kind = |kind| tasks.iter().filter(move |task| task.kind == kind && is_scored(&task.name));
    let names = |kind| of_kind(kind).map(|task| task.name.as_str()).collect::<Vec<_>>().join(", ");
    let (texts, labels) = (names(TaskKind::Text), names(TaskKind::Label));
    let classes = of_kind(TaskKind::Label).map(|task| task.labels.len().to_string()).collect::<Vec<_>>().join(" / ");
    let baseline = model.starts_with("baseline:");
    let is_known = manifest.model.is_some();

    // Indonesian writes 10.000 where English writes 10,000.
    let angka = |number: &str| number.replace(',', ".");

    let (mut english, mut indonesian) = (vec![], vec![]);
    let reels_angka = angka(&reels);
    if is_known {
        english.push(format!(
            "We evaluated {model} (SHA-256 {model_hash}) with reels {version} on {reels} Reels ({data}, SHA-256 {data_hash})."
        ));
        indonesian.push(format!(
            "Kami mengevaluasi {model} (SHA-256 {model_hash}) dengan reels {version} pada {reels_angka} Reels ({data}, SHA-256 {data_hash})."
        ));
    } else {
        english.push(format!(
            "We scored answers that were made elsewhere with reels {version} on {reels} Reels ({data}, SHA-256 {data_hash}). Which model, prompts and settings they were made with is not recorded."
        ));
        indonesian.push(format!(
            "Kami menilai jawaban yang dibuat di luar program ini dengan reels {version} pada {reels_angka} Reels ({data}, SHA-256 {data_hash}). Model, prompt, dan pengaturan yang dipakai untuk membuatnya tidak tercatat."
        ));
    }
    for (name, task) in scores.tasks.iter().filter(|(_, task)| task.missing() > 0) {
        let [asked, answered] = [task.asked, task.answered].map(count);
        let (fate, nasib) =
            if task.answered_only { ("are left out", "tidak diikutkan") } else { ("count as wrong", "dihitung salah") };
        english.push(format!("Of {asked} answers asked for in {name} there are {answered}; the missing ones {fate}."));
        indonesian.push(format!(
            "Dari {} jawaban yang diminta untuk {name} tersedia {}; yang tidak ada {nasib}.",
            angka(&asked),
            angka(&answered)
        ));
    }
    if is_known && !baseline {
        english.push(format!("The prompts have SHA-256 {}.", prompts_hash));
        indonesian.push(format!("Prompt yang dipakai ber-SHA-256 {}.", prompts_hash));
    }
    if let Some(Shortened { reels, of, most_tokens }) = manifest.shortened.filter(|shortened| shortened.reels > 0) {
        let [reels, of, most_tokens] = [reels, of, most_tokens].map(count);
        english.push(format!(
            "The transcripts of {reels} of {of} Reels were shortened to fit their prompts, by {most_tokens} tokens at most."
        ));
        indonesian.push(format!(
            "Transkrip {} dari {} Reels dipotong agar muat dalam prompt, paling banyak {} token.",
            angka(&reels),
            angka(&of),
            angka(&most_tokens)
        ));
    }
    if !texts.is_empty() {
        if is_known && !baseline {
            let (how, cara) =
                if greedy { ("greedily", "secara greedy") } else { ("by nucleus sampling", "dengan nucleus sampling") };
            english.push(format!("Texts ({texts}) were generated {how}."));
            indonesian.push(format!("Teks ({texts}) dihasilkan {cara}."));
        }
        let [by, dengan] = text_scores();
        english.push(format!("Texts were scored by {by}, all averaged over answers."));
        indonesian.push(format!("Teks dinilai dengan {dengan}, semuanya dirata-ratakan per jawaban."));
        let has_means = |task: &TaskScores| task.metrics.keys().any(|key| key.ends_with("_mean"));
        if scores.tasks.values().any(has_means) {
            english.push("Where a Reel has several references, the best score over them counts, metric by metric; the mean over them stands beside it.".into());
            indonesian.push("Bila sebuah Reel memiliki beberapa rujukan, yang dihitung adalah nilai terbaik di antaranya untuk tiap ukuran; reratanya disajikan di sampingnya.".into());
        }
        for (name, task) in scores.tasks.iter().filter(|(_, task)| main_of(task).unread_headline) {
            let unread = count(task.unread);
            english.push(format!("{unread} references of {name} are mostly in letters that rouge_score drops (all but a–z and 0–9); ROUGE-L over words of any script stands for the task."));
            indonesian.push(format!("{} rujukan {name} sebagian besar memakai huruf yang dibuang rouge_score (selain a–z dan 0–9); ROUGE-L atas kata dalam aksara apa pun mewakili tugas ini.", angka(&unread)));
        }
    }
    if !labels.is_empty() {
        if !is_known {
            english.push(format!("Labels ({labels}) were matched exactly after trimming and case folding."));
            indonesian.push(format!("Label ({labels}) dicocokkan persis setelah dirapikan dan disamakan hurufnya."));
        } else if !baseline && scored {
            english.push(format!("Labels ({labels}) were not generated: the answer is the label whose tokens, with the end of the answer, are most probable."));
            indonesian.push(format!("Label ({labels}) tidak dihasilkan sebagai teks: jawabannya adalah label yang token-tokennya, termasuk akhir jawaban, paling mungkin."));
        } else if !baseline {
            english
                .push(format!("Labels ({labels}) were generated and matched exactly after trimming and case folding."));
            indonesian.push(format!("Label ({labels}) dihasilkan sebagai teks dan dicocokkan persis setelah dirapikan dan disamakan hurufnya."));
        }
        english.push(format!(
            "F1 is averaged over all configured labels ({classes}); an invalid, empty or failed answer counts as wrong."
        ));
        indonesian.push(format!("F1 dirata-ratakan atas semua label yang ditetapkan ({classes}); jawaban yang tidak sah, kosong, atau gagal dihitung salah."));
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
    for (name, task) in &scores.tasks {
        for [by, dengan] in people::methods(name, task) {
            english.push(by);
            indonesian.push(dengan);
        }
    }
    let (unit, satuan) = if by_account { ("accounts", "akun") } else { ("Reels", "Reels") };
    let [by, dengan] = intervals_made(scores, &resamples, &seed);
    english.push(by);
    indonesian.push(dengan);
    for [by, dengan] in cautions(manifest) {
        english.push(by);
        indonesian.push(dengan);
    }
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
