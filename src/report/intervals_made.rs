//! How the intervals of a result were made, for a methods section in English and in Indonesian.

use indexmap::{IndexMap, IndexSet};

use super::{intervals, metrics};
use crate::score::bootstrap::ResamplePlan;
use crate::score::metric::{Range, find};
use crate::scores::{ClassIntervals, ClassScores, Metric, Scores, TaskScores};
use crate::task::TaskKind;

/// By method, the keys of the metrics whose intervals were made so; `none` is left out.
type Methods<'a> = IndexMap<&'a str, IndexSet<&'a str>>;

/// A sentence or two for each method that was used, and what was withheld. `resamples` and `seed` are as English writes
/// them.
pub fn intervals_made(scores: &Scores, resamples: &str, seed: &str) -> [String; 2] {
    let sampling = scores.tasks.values().filter_map(|task| task.sampling.as_ref()).max_by_key(|task| task.clusters);
    let Some(sampling) = sampling else { return [String::new(), String::new()] };
    let methods = methods(scores);
    let (unit, satuan) = if sampling.unit == "account" { ("account", "akun") } else { ("Reel", "Reel") };
    let in_groups = ResamplePlan::groups(sampling.clusters) < sampling.clusters;
    let (one, satu) = if in_groups {
        (
            format!("one of {} groups of {unit}s", ResamplePlan::groups(sampling.clusters)),
            format!("satu kelompok {satuan}"),
        )
    } else {
        (format!("one {unit}"), format!("satu {satuan}"))
    };
    let drawn = format!("from {resamples} resamples of whole {unit}s, the same for all metrics (seed {seed})");
    let ditarik = format!(
        "dari {} resampel atas {satuan} secara utuh, sama untuk semua metrik (seed {seed})",
        resamples.replace(',', ".")
    );
    let units = metrics::count(sampling.clusters);
    let mut told = vec![];
    if !methods.is_empty() {
        told.push([
            format!("All intervals are at 95 % and by {unit}, of which there are {units}."),
            format!(
                "Semua selang kepercayaan bertaraf 95 % dan menurut {satuan}, sebanyak {}.",
                units.replace(',', ".")
            ),
        ]);
    }
    if sampling.unknown_accounts > 0 && !methods.is_empty() {
        let rows = metrics::counted(sampling.unknown_accounts, "row");
        let baris = metrics::count(sampling.unknown_accounts).replace(',', ".");
        told.push([
            format!("Where the account is unknown ({rows}), a Reel stands by itself; where such Reels share an account, these intervals are too narrow."),
            format!("Bila akunnya tidak diketahui ({baris} baris), Reel berdiri sendiri; bila Reels seperti itu sebenarnya dari akun yang sama, selang ini terlalu sempit."),
        ]);
    }
    let what = |method: &str| methods.get(method).map(|keys| named(keys, &methods));
    for (method, name, nama) in [
        (
            "bootstrap-t",
            "symmetric studentised bootstrap intervals (Hall 1988)",
            "bootstrap terstudentkan simetris (Hall 1988)",
        ),
        ("bca", "BCa bootstrap intervals (Efron 1987)", "bootstrap BCa (Efron 1987)"),
        ("percentile", "percentile bootstrap intervals", "bootstrap persentil"),
    ] {
        if let Some([what, apa]) = what(method) {
            told.push([
                format!("Those of {what} are {name} {drawn}."),
                format!("Selang untuk {apa} adalah selang {nama} {ditarik}."),
            ]);
        }
    }
    if let Some([what, apa]) = what("jackknife") {
        told.push([
            format!(
                "Those of {what} are Student’s t intervals from leaving out {one} at a time (jackknife; Efron and Stein 1981). Their variance is the jackknife’s or, if larger, the one that all {unit}s together suggest for {unit}s of these sizes; their degrees of freedom are one less than the effective number of {unit}s, (Σ rows)² / Σ rows², or a half (a third, if some labels are no {unit}’s own) of that number where few of many {unit}s have most of the rows. To means over labels the variance is added that such a label has of which all or no answers are right, as a rate with two more {unit}s of each kind (Agresti and Coull 1998)."
            ),
            format!(
                "Selang untuk {apa} adalah selang t Student dengan menghilangkan {satu} setiap kali (jackknife; Efron dan Stein 1981). Ragamnya adalah ragam jackknife atau, bila lebih besar, ragam yang disiratkan semua {satuan} bersama-sama bagi {satuan} berukuran demikian; derajat bebasnya adalah jumlah {satuan} efektif, (Σ baris)² / Σ baris², dikurangi satu, atau setengah (sepertiga, bila ada label yang bukan milik {satuan} mana pun) jumlah itu bila sedikit dari banyak {satuan} memiliki sebagian besar baris. Pada rerata antarlabel ditambahkan ragam label yang semua atau tak satu pun jawabannya benar, sebagai proporsi dengan tambahan dua {satuan} tiap jenis (Agresti dan Coull 1998)."
            ),
        ]);
    }
    told.extend(scales(&methods));
    if let Some([what, apa]) = what("wilson") {
        told.push([
            format!("A rate of exactly 0 or 1 ({what}) has Wilson’s interval, with the effective number of {unit}s as the number of rows."),
            format!("Proporsi yang tepat 0 atau 1 ({apa}) diberi selang Wilson dengan jumlah {satuan} efektif sebagai jumlah baris."),
        ]);
    }
    let keys = |of: fn(&TaskScores) -> Vec<&str>| scores.tasks.values().flat_map(of).collect::<IndexSet<&str>>();
    let beside = keys(|task| {
        let has_bounds = |metric: &Metric| metric.bootstrap.as_ref().is_some_and(|it| it.withheld.is_none());
        intervals::distinct(task).into_iter().filter(|(_, metric)| has_bounds(metric)).map(|(key, _)| key).collect()
    });
    if !beside.is_empty() {
        let [names, nama] = listed(&beside);
        told.push([
            format!("Beside those of {names} stand symmetric studentised bootstrap intervals (Hall 1988) on the same scale, {drawn}."),
            format!("Di samping selang untuk {nama} diberikan selang bootstrap terstudentkan simetris (Hall 1988) pada skala yang sama, {ditarik}."),
        ]);
    }
    let has_interval = |class: &ClassScores| class.intervals != ClassIntervals::default();
    if scores.tasks.values().flat_map(|task| task.classes.values()).any(has_interval) {
        told.push([
            format!("A label’s precision, recall and F1 have Student’s t intervals on the logit scale from leaving out one {unit} at a time (with half the effective number of {unit}s as degrees of freedom: wrong answers come in clumps), or Wilson’s over the {unit}s where all or none of the rows are right; F1 is 2 J / (1 + J), where J is the share of right answers among the rows that have the label or are answered so."),
            format!("Presisi, recall, dan F1 tiap label diberi selang t Student pada skala logit dengan menghilangkan satu {satuan} setiap kali (dengan derajat bebas setengah jumlah {satuan} efektif, sebab jawaban salah datang bergerombol), atau selang Wilson atas {satuan} bila semua atau tidak satu pun barisnya benar; F1 adalah 2 J / (1 + J), dengan J pangsa jawaban benar di antara baris yang berlabel itu atau dijawab demikian."),
        ]);
    }
    if keys(|task| intervals::distinct(task).into_iter().map(|(key, _)| key).collect()).contains("macro_f1_present") {
        told.push([
            "Macro F1 over the labels that occur estimates the mean of the F1 that these labels have in the population.".into(),
            "Macro F1 atas label yang muncul menaksir rerata F1 label-label itu dalam populasi.".into(),
        ]);
    }
    let withheld = intervals::withheld(scores, intervals::distinct, metrics::name);
    if !withheld.is_empty() {
        let each: Vec<String> = withheld.iter().map(|it| format!("{} ({})", it.which(), it.why)).collect();
        let tiap: Vec<String> = withheld.iter().map(|it| format!("{} ({})", it.yang_mana(), alasan(it.why))).collect();
        told.push([
            format!("Intervals that don’t hold on such data are withheld: {}.", each.join("; ")),
            format!("Selang yang tidak berlaku pada data seperti ini tidak ditampilkan: {}.", tiap.join("; ")),
        ]);
    }
    [0, 1].map(|language| told.iter().map(|pair| pair[language].as_str()).collect::<Vec<_>>().join(" "))
}

fn methods(scores: &Scores) -> Methods<'_> {
    let mut methods = Methods::new();
    for (key, metric) in scores.tasks.values().flat_map(intervals::distinct) {
        let method = metric.method.split(':').next().unwrap_or_default();
        if method != "none" {
            methods.entry(method).or_default().insert(key);
        }
    }
    methods
}

/// The scales of the intervals that are symmetric on one.
fn scales(methods: &Methods) -> Option<[String; 2]> {
    let keys: IndexSet<&str> =
        ["bootstrap-t", "jackknife"].iter().filter_map(|method| methods.get(method)).flatten().copied().collect();
    let of = |range: Range| {
        let keys: IndexSet<&str> =
            keys.iter().copied().filter(|key| find(key).is_some_and(|info| info.range == range)).collect();
        (!keys.is_empty()).then(|| listed(&keys))
    };
    of(Range::Unit).or_else(|| of(Range::Signed)).or_else(|| of(Range::Open))?;
    let mut told =
        ["They are symmetric on the logit scale".to_owned(), "Selang itu simetris pada skala logit".to_owned()];
    if let Some([names, nama]) = of(Range::Signed) {
        told[0].push_str(&format!("; for {names} on that of the inverse hyperbolic tangent"));
        told[1].push_str(&format!("; untuk {nama} pada skala tangen hiperbolik invers"));
    }
    if let Some([names, nama]) = of(Range::Open) {
        told[0].push_str(&format!("; for {names} as they are"));
        told[1].push_str(&format!("; untuk {nama} pada skala aslinya"));
    }
    Some(told.map(|told| told + "."))
}

/// Their names, in English and in Indonesian.
fn listed(keys: &IndexSet<&str>) -> [String; 2] {
    let names: Vec<&str> = keys.iter().map(|key| metrics::name(key)).collect();
    ["and", "dan"].map(|and| joined(&names, and))
}

/// `a, b and c`
fn joined(names: &[&str], and: &str) -> String {
    match names {
        [others @ .., last] if !others.is_empty() => format!("{} {and} {}", others.join(", "), last),
        _ => names.concat(),
    }
}

/// Metrics by name, or as those of texts or of labels where they are all that have an interval.
fn named(keys: &IndexSet<&str>, methods: &Methods) -> [String; 2] {
    let (mut what, mut apa) = (vec![], vec![]);
    for (kind, all, semua) in [
        (TaskKind::Text, "the metrics of texts", "metrik teks"),
        (TaskKind::Label, "the metrics of labels", "metrik label"),
    ] {
        let is_of_kind = |key: &&&str| find(key).is_some_and(|info| info.kind == kind);
        let of_kind: IndexSet<&str> = keys.iter().filter(is_of_kind).copied().collect();
        let others = methods.values().filter(|others| *others != keys).flatten();
        if of_kind.len() > 2 && others.filter(is_of_kind).count() == 0 {
            what.push(all);
            apa.push(semua);
        } else {
            let names = of_kind.iter().map(|key| metrics::name(key));
            what.extend(names.clone());
            apa.extend(names);
        }
    }
    [joined(&what, "and"), joined(&apa, "dan")]
}

/// A reason in Indonesian; one that isn't known stands as it is.
fn alasan(why: &str) -> String {
    let dari = |counts: &str| counts.replace(" of ", " dari ");
    let unit = |text: &str| if text.contains("account") { "akun" } else { "Reel" };
    let number = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    if let Some((counts, names)) = why.split_once(" labels don’t occur: ") {
        return format!("{} label tidak muncul: {names}", dari(counts));
    }
    if let Some(rest) = why.strip_prefix("accounts keep to few labels, and none keeps to ") {
        let (counts, names) = rest.split_once(": ").unwrap_or((rest, ""));
        let counts = dari(counts);
        return format!("tiap akun hanya memakai sedikit label, dan tidak ada yang memakai {counts}: {names}");
    }
    if let Some((there, takes)) = why.strip_prefix("the rows are of ").and_then(|rest| rest.split_once(';')) {
        return format!("hanya ada baris dari {} {}; selang membutuhkan {}", number(there), unit(there), number(takes));
    }
    match why {
        "it is too large by chance, by an unknown amount" => "nilainya terlalu besar karena kebetulan, entah seberapa",
        "nothing varies between its rows" => "tidak ada perbedaan antarbaris",
        "the value is not defined" => "nilainya tidak terdefinisi",
        _ => why,
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;
    use crate::scores::Sampling;

    fn scores(method: &str) -> Scores {
        let mut scores = fixture::scores();
        for task in scores.tasks.values_mut() {
            task.sampling = Some(Sampling {
                unit: "account".into(),
                unknown_accounts: 0,
                clusters: 42,
                largest_share: 0.1,
                design_effect: None,
            });
            task.metrics.values_mut().for_each(|metric| metric.method = method.into());
        }
        scores
    }

    #[test]
    fn the_text_follows_the_methods() {
        let [english, indonesian] = intervals_made(&scores("bca"), "10,000", "7");
        assert!(
            english.contains("Those of the metrics of texts and the metrics of labels are BCa bootstrap intervals (Efron 1987) from 10,000 resamples of whole accounts"),
            "{english}"
        );
        assert!(
            indonesian.contains("selang bootstrap BCa (Efron 1987) dari 10.000 resampel atas akun"),
            "{indonesian}"
        );
        assert!(!english.contains("studentised") && !english.contains("symmetric") && !english.contains("withheld"));

        let mut scores = scores("jackknife");
        scores.tasks["summary"].metrics.values_mut().for_each(|metric| metric.method = "bootstrap-t".into());
        scores.tasks["category"].metrics["invalid_rate"].method = "wilson".into();
        fixture::withhold(&mut scores);
        let [english, indonesian] = intervals_made(&scores, "10,000", "7");
        for part in [
            "Those of the metrics of texts are symmetric studentised",
            "Those of Accuracy, Weighted F1, MCC, Cohen’s kappa and Brier score are Student’s t intervals from leaving out one account",
            "for MCC and Cohen’s kappa on that of the inverse hyperbolic tangent",
            "exactly 0 or 1 (Invalid rate) has Wilson’s",
            "are withheld: Macro F1 of category (1 of 3 labels don’t occur: oto_motif).",
        ] {
            assert!(english.contains(part), "{part}: {english}");
        }
        assert!(
            indonesian.contains("tidak ditampilkan: Macro F1 pada category (1 dari 3 label tidak muncul: oto_motif).")
        );
    }

    #[test]
    fn reasons_are_told_in_indonesian() {
        for (why, expected) in [
            (
                "the rows are of 1 account; an interval takes at least 10",
                "hanya ada baris dari 1 akun; selang membutuhkan 10",
            ),
            ("2 of 15 labels don’t occur: a of b, c", "2 dari 15 label tidak muncul: a of b, c"),
            (
                "accounts keep to few labels, and none keeps to 2 of 15: a",
                "tiap akun hanya memakai sedikit label, dan tidak ada yang memakai 2 dari 15: a",
            ),
            ("something else", "something else"),
        ] {
            assert_eq!(alasan(why), expected);
        }
    }
}
