//! What people say of the texts of several runs, for people: the same tables for every format.

use super::comparison::{interval, p_value, signed, word};
use super::metrics::{self, count, decimal};
use super::svg::DataTable;
use crate::score::compare::Comparison;
use crate::score::metric::METRICS;
use crate::score::ratings::{PairPreference, RatingComparison};
use crate::score::significance::LEVEL;
use crate::scores::{Metric, TaskRatings};

/// A table and what it shows.
pub type Captioned = (String, DataTable);

/// How metrics go with ratings; `None` where nothing is rated.
pub fn correlations(ratings: &TaskRatings) -> Option<DataTable> {
    let scales: Vec<&String> = ratings.scales.keys().collect();
    let header: Vec<&str> = std::iter::once("Metric").chain(scales.iter().map(|scale| scale.as_str())).collect();
    let order = |key: &str| METRICS.iter().position(|info| info.key == key).unwrap_or(METRICS.len());
    let mut keys: Vec<&String> = ratings.correlations.keys().collect();
    keys.sort_by_key(|key| order(key));
    let cell = |key: &String, scale: &String| {
        ratings.correlations[key]
            .get(scale)
            .map_or(String::new(), |rho| format!("{} ({})", signed(rho.value), signed_interval(rho)))
    };
    let row = |key: &String| {
        let name = if key == "flags" { "Flags" } else { metrics::name(key) };
        std::iter::once(name.to_owned()).chain(scales.iter().map(|scale| cell(key, scale))).collect()
    };
    (!keys.is_empty()).then(|| DataTable::new(&header, keys.into_iter().map(row).collect()))
}

fn signed_interval(metric: &Metric) -> String {
    match metric.withheld {
        Some(_) => "withheld".to_owned(),
        None => format!("{} – {}", signed(metric.low), signed(metric.high)),
    }
}

/// By task, what people say of the runs.
pub fn tables(comparison: &Comparison) -> Vec<Captioned> {
    comparison.ratings.iter().flat_map(|(task, ratings)| of_task(task, ratings, &comparison.runs)).collect()
}

fn of_task(task: &str, ratings: &RatingComparison, runs: &[String]) -> Vec<Captioned> {
    let mut tables =
        vec![(format!("{task}: means of ratings from 1 to 5, and differences from {}", runs[0]), means(ratings, runs))];
    if !ratings.preferences.is_empty() {
        tables.push((format!("{task}: which text people prefer, Reel by Reel"), preferences(ratings, runs)));
    }
    if !ratings.strengths.is_empty() {
        let row =
            |(run, strength): (&String, &Metric)| vec![run.clone(), signed(strength.value), signed_interval(strength)];
        let rows = runs.iter().zip(&ratings.strengths).map(row).collect();
        let caption = format!("{task}: strengths by Bradley and Terry, as logarithms less their mean");
        tables.push((caption, DataTable::new(&["Run", "Strength", "95 % interval"], rows)));
    }
    tables
}

fn means(ratings: &RatingComparison, runs: &[String]) -> DataTable {
    let mut rows = vec![];
    for (scale, of_scale) in &ratings.scales {
        for (index, run) in runs.iter().enumerate() {
            let mean = of_scale.means[index].as_ref();
            let mut row = vec![format!("{run}, {scale}"), mean.map_or("–".to_owned(), |mean| decimal(mean.value))];
            row.extend(match index.checked_sub(1).map(|index| &of_scale.differences[index]) {
                None => ["", "", "", "baseline"].map(str::to_owned),
                Some(of) => [
                    signed(of.difference.value),
                    interval(&of.difference),
                    of.difference.p_adjusted.map_or("–".to_owned(), p_value),
                    word(of.difference.verdict).to_owned(),
                ],
            });
            rows.push(row);
        }
    }
    DataTable::new(&["Run", "Mean", "Difference", "95 % interval", "p", "Verdict"], rows)
}

fn preferences(ratings: &RatingComparison, runs: &[String]) -> DataTable {
    let row = |pair: &PairPreference| {
        let PairPreference { run, against, wins, losses, ties, same_text, share, p_adjusted, .. } = pair;
        vec![
            format!("{} over {}", runs[*run], runs[*against]),
            count(*wins),
            count(*losses),
            count(*ties),
            count(*same_text),
            decimal(share.value),
            metrics::interval(share),
            p_value(*p_adjusted),
        ]
    };
    let header = ["Runs", "Preferred", "Not", "Neither", "Same text", "Share", "95 % interval", "p"];
    DataTable::new(&header, ratings.preferences.iter().map(row).collect())
}

/// How ratings of runs were compared, in English and in Indonesian; `unit` is what intervals leave out.
pub fn methods(unit: &str, satuan: &str) -> [String; 2] {
    [
        format!(
            "People who were not told whose texts they read rated them from 1 to 5 and said which of two they prefer. Differences are means over Reels of what one annotator gave to both texts, with intervals from leaving out one of the {unit} at a time and tests by flipping the signs of whole {unit}, adjusted over runs and scales by Holm’s method. The preference for a Reel is the sign of the sum over annotators; it is tested by the exact sign test where no two Reels are of one account, else by flipping signs of whole {unit}, adjusted over pairs of runs. Strengths are those of Bradley and Terry by maximum likelihood, with half a win each where neither is preferred. Annotators are taken as they are: the intervals are about other Reels."
        ),
        format!(
            "Orang yang tidak diberi tahu asal teks menilainya dari 1 sampai 5 dan menyebut mana dari dua teks yang lebih baik. Selisih adalah rerata per Reel atas nilai seorang anotator untuk kedua teks, dengan selang yang mengeluarkan satu {satuan} setiap kali dan uji yang membalik tanda {satuan} secara utuh, disesuaikan menurut Holm atas hasil dan aspek. Pilihan untuk sebuah Reel adalah tanda jumlah atas anotator; diuji dengan uji tanda eksak bila tidak ada dua Reel dari satu akun, selain itu dengan membalik tanda {satuan} secara utuh, disesuaikan atas pasangan hasil. Kekuatan dihitung menurut Bradley dan Terry dengan kemungkinan maksimum; bila tidak ada yang dipilih, masing-masing mendapat setengah kemenangan. Anotator dianggap tetap: selang berlaku untuk Reel lain."
        ),
    ]
}

/// What a reader should know first.
pub fn verdicts(comparison: &Comparison) -> Vec<String> {
    let mut sentences = vec![];
    for (task, ratings) in &comparison.ratings {
        for pair in &ratings.preferences {
            sentences.push(preferred(task, pair, &comparison.runs));
        }
        let withheld =
            ratings.strengths.iter().find_map(|strength| strength.note.as_ref().or(strength.withheld.as_ref()));
        sentences.extend(withheld.map(|why| format!("{task}: strengths or their intervals are withheld: {why}.")));
    }
    sentences
}

fn preferred(task: &str, pair: &PairPreference, runs: &[String]) -> String {
    let PairPreference { run, against, wins, losses, p_adjusted, share, .. } = pair;
    let [run, against] = [run, against].map(|at| &runs[*at]);
    if wins + losses == 0 {
        return format!("{task}: nobody prefers {run} or {against} for any Reel.");
    }
    let (better, other, won) = if wins >= losses { (run, against, wins) } else { (against, run, losses) };
    let shown = match *p_adjusted < LEVEL {
        true => format!("people prefer {better} to {other}"),
        false => "no preference is shown".to_owned(),
    };
    let interval = match &share.withheld {
        None => format!(", share of {run} {} – {}", decimal(share.low), decimal(share.high)),
        Some(why) => format!(", interval withheld: {why}"),
    };
    format!(
        "{task}: {shown}: {better} is better for {won} of {} Reels (p = {}{interval}).",
        wins + losses,
        p_value(*p_adjusted)
    )
}
