//! The parts of the page that are tables and figures.

use serde::Serialize;

use super::verdict::labels_instead;
use super::{GalReport, Maker, Reviewed, Side};
use crate::gal::ablation::Kind;
use crate::gal::diversity::Texts;
use crate::gal::ladder::{Difference, Level, Part, TaskLadder};
use crate::report::comparison::{p_value, signed, word};
use crate::report::metrics::{self, bounds, count, counted, decimal, percent};
use crate::report::people::agreed;
use crate::report::svg::{DataTable, Figure, Group, Look, Mark, Series, forest, lines};
use crate::scores::Agreement;

/// A part of the page.
#[derive(Serialize)]
pub(super) struct Section {
    pub id: String,
    pub heading: String,
    pub sentences: Vec<String>,
    pub figures: Vec<Figure>,
    /// Caption and table.
    pub tables: Vec<(String, DataTable)>,
}

pub(super) fn sections(report: &GalReport) -> Vec<Section> {
    let mut sections: Vec<Section> =
        report.tasks.iter().enumerate().map(|(at, task)| of_task(report, at, task)).collect();
    sections.extend(neighbours(report));
    sections.extend([filters(report), requested(report), likeness(report)].into_iter().flatten());
    sections.extend(people(report));
    sections.push(cost(report));
    sections
}

fn section(id: &str, heading: &str) -> Section {
    Section { id: id.to_owned(), heading: heading.to_owned(), sentences: vec![], figures: vec![], tables: vec![] }
}

fn of_task(report: &GalReport, at: usize, ladder: &TaskLadder) -> Section {
    let metric = metrics::name(ladder.metric);
    let mut section = section(&format!("task-{}", at + 1), &ladder.task);
    let seeds = report.ablation.as_ref().map_or(1, |ablation| ablation.seeds);
    section.sentences.push(format!(
        "{} of each run, of {}; {} where a seed changes anything. Intervals are over both.",
        counted(ladder.rows, "scored answer"),
        counted(ladder.sampling.clusters, ladder.sampling.unit()),
        counted(seeds, "seed")
    ));
    section.sentences.extend(ladder.instead.iter().map(|why| format!("Judged by {metric}: {why}.")));
    section.figures.extend([over_ratio(ladder), differences(ladder)].into_iter().flatten());
    let rows = ladder.levels.iter().map(level).collect();
    let header = ["Arm", "Real", "Beside", metric, "95 % interval", "SD over seeds", "Seeds"];
    section.tables.push((format!("Arms of {}", ladder.task), DataTable::new(&header, rows)));
    for (caption, differences) in [
        ("From the real records alone", &ladder.from_real),
        ("From the controls", &ladder.from_controls),
        ("From the mix before", &ladder.growth),
    ] {
        section.tables.extend((!differences.is_empty()).then(|| (caption.to_owned(), table(differences))));
    }
    for (what, part) in [
        ("Rows with a rare label", &ladder.rare),
        ("Rows with a frequent label", &ladder.frequent),
        ("Without Reels that have a near neighbour", &ladder.without_neighbours),
    ] {
        let Some(Part { metric, rows, differences }) = part else { continue };
        let caption = format!("{what}: {}, {}", counted(*rows, "row"), metrics::name(metric));
        section.tables.push((caption, table(differences)));
    }
    if let Some(told) = labels_instead(ladder) {
        section.sentences.push(format!("{told}."));
    }
    section
}

fn level(level: &Level) -> Vec<String> {
    let Level { arm, real, more, score, .. } = level;
    let more = if *more == 0 { "–".to_owned() } else { count(*more) };
    let interval = bounds(score.low, score.high).map_or("withheld".to_owned(), |[low, high]| format!("{low} – {high}"));
    let deviation = score.deviation().map_or("–".to_owned(), decimal);
    vec![arm.clone(), count(*real), more, decimal(score.value), interval, deviation, count(score.seeds.len())]
}

fn table(differences: &[Difference]) -> DataTable {
    let row = |Difference { arm, from, by }: &Difference| {
        let interval = bounds(by.low, by.high)
            .map_or("withheld".to_owned(), |_| format!("{} to {}", signed(by.low), signed(by.high)));
        let p = by.p_adjusted.map_or("–".to_owned(), p_value);
        vec![arm.clone(), from.clone(), signed(by.value), interval, p, word(by.verdict).to_owned()]
    };
    DataTable::new(
        &["Arm", "From", "Difference", "95 % interval", "p", "Verdict"],
        differences.iter().map(row).collect(),
    )
}

/// Score over the ratio of generated to real rows.
fn over_ratio(ladder: &TaskLadder) -> Option<Figure> {
    let ratio = |level: &Level| match level.kind {
        Kind::Real => Some(0.0),
        Kind::Generated(ratio) => Some(ratio),
        _ => None,
    };
    let points: Vec<(f64, &Level)> = ladder.levels.iter().filter_map(|level| Some((ratio(level)?, level))).collect();
    let last = points.iter().map(|(ratio, _)| *ratio).fold(0.0, f64::max);
    if last == 0.0 {
        return None;
    }
    let line = |name: &str, run: usize, of: &dyn Fn(&Level) -> f64| Series {
        name: name.to_owned(),
        points: points.iter().map(|(ratio, level)| (*ratio, of(level))).collect(),
        look: Look { run, marks: false },
    };
    let seeds = points.iter().flat_map(|(ratio, level)| level.score.seeds.iter().map(|value| (*ratio, *value)));
    let mut series = vec![
        line("mean over seeds", 0, &|level| level.score.value),
        Series { name: "a seed".to_owned(), points: seeds.collect(), look: Look { run: 0, marks: true } },
        line("lower bound of the 95 % interval", 2, &|level| level.score.low),
        line("upper bound", 2, &|level| level.score.high),
    ];
    for (at, control) in
        ladder.levels.iter().filter(|level| matches!(level.kind, Kind::Itself | Kind::Steps)).enumerate()
    {
        series.push(Series {
            name: format!("{}, a control", control.arm),
            points: vec![(0.0, control.score.value), (last, control.score.value)],
            look: Look { run: [1, 3][at % 2], marks: false },
        });
    }
    let metric = metrics::name(ladder.metric);
    let finding = format!("{} at 0 is that of the real records alone.", metric);
    let rows = points
        .iter()
        .map(|(ratio, level)| {
            let Level { score, .. } = level;
            let seeds: Vec<String> = score.seeds.iter().map(|value| decimal(*value)).collect();
            vec![ratio.to_string(), decimal(score.value), metrics::range(score.low, score.high), seeds.join(", ")]
        })
        .collect();
    Some(Figure {
        svg: lines(
            &format!("{metric} of {} over the ratio of generated rows", ladder.task),
            &finding,
            "generated rows for each real record",
            metric,
            &series,
        )?,
        heading: "Score over ratio.".to_owned(),
        finding,
        key: String::new(),
        table: Some(DataTable::new(&["Ratio", metric, "95 % interval", "Seeds"], rows)),
    })
}

/// What sets the arms apart from the real records.
fn differences(ladder: &TaskLadder) -> Option<Figure> {
    let mark = |each: &Difference| Mark {
        label: each.arm.clone(),
        low: each.by.low,
        value: each.by.value,
        high: each.by.high,
    };
    let metric = metrics::name(ladder.metric);
    let marks: Vec<Mark> = ladder.from_real.iter().map(mark).collect();
    let told = marks.iter().filter(|mark| mark.low > 0.0 || mark.high < 0.0).count();
    let finding = format!("{told} of {} intervals leave out 0.", marks.len());
    let groups = [Group { heading: metric.to_owned(), marks }];
    Some(Figure {
        svg: forest("Differences from the real records alone", &finding, &groups, true)?,
        heading: "Differences from the real records alone.".to_owned(),
        finding,
        key: "A square is the mean over seeds, its line the 95\u{a0}% interval over accounts and seeds; right of the dashed line an arm is better.".into(),
        table: None,
    })
}

fn neighbours(report: &GalReport) -> Option<Section> {
    report.ablation.as_ref()?;
    let mut section = section("neighbours", "Near neighbours of the test set");
    section.sentences.push(
        "A neighbour shares so many runs of letters, or a passage, that `reels split` would put both on the same side."
            .to_owned(),
    );
    let row = |each: &super::Neighbours| vec![each.arm.clone(), count(each.real.len()), count(each.generated.len())];
    let table = DataTable::new(
        &["Arm", "Test Reels with one in its real records", "in its generated rows"],
        report.neighbours.iter().map(row).collect(),
    );
    section.tables.push(("Reels that judge and what was there to be learned".to_owned(), table));
    let pairs: Vec<Vec<String>> = report
        .neighbours
        .last()
        .into_iter()
        .flat_map(|each| each.real.iter().chain(&each.generated))
        .take(10)
        .map(|(test, of)| vec![test.clone(), of.clone()])
        .collect();
    if !pairs.is_empty() {
        section.tables.push((
            "The first of them, in the largest mix".to_owned(),
            DataTable::new(&["Test Reel", "Neighbour"], pairs),
        ));
    }
    Some(section)
}

fn filters(report: &GalReport) -> Option<Section> {
    let [candidates, kept] = report.rows;
    let mut section = section("filters", "What filters left");
    section.sentences.push(format!(
        "{} of {} candidates are kept ({}).",
        count(kept),
        count(candidates),
        percent(kept as f64 / candidates.max(1) as f64)
    ));
    let row = |each: &crate::gal::filter::Yield| {
        let share = each.rejected as f64 / each.came.max(1) as f64;
        vec![each.filter.clone(), count(each.came), count(each.rejected), percent(share)]
    };
    let rows = report.yields.iter().filter(|each| each.came > 0).map(row).collect();
    section
        .tables
        .push(("Filters, in their order".to_owned(), DataTable::new(&["Filter", "Came", "Rejected", "Share"], rows)));
    Some(section)
}

/// How often a label was given that wasn't asked for, of how many.
pub(super) fn otherwise(assigned: &super::Assigned) -> [usize; 2] {
    let mut counts = [0, 0];
    for (requested, given) in assigned {
        for (label, rows) in given {
            counts[0] += if label == requested { 0 } else { *rows };
            counts[1] += rows;
        }
    }
    counts
}

fn requested(report: &GalReport) -> Option<Section> {
    let mut section = section("requested", "Requested and assigned labels");
    for (task, assigned) in &report.assigned {
        let [other, all] = otherwise(assigned);
        section.sentences.push(format!(
            "{task}: the teacher gives another label than was asked for to {} of {} ({}).",
            count(other),
            counted(all, "row"),
            percent(other as f64 / all.max(1) as f64)
        ));
        let mut labels: Vec<&String> =
            assigned.keys().chain(assigned.values().flat_map(|given| given.keys())).collect();
        labels.sort();
        labels.dedup();
        let row = |(requested, given): (&String, &std::collections::BTreeMap<String, usize>)| {
            let counts = labels.iter().map(|label| count(given.get(*label).copied().unwrap_or(0)));
            std::iter::once(requested.clone()).chain(counts).collect()
        };
        let mut header = vec!["Requested"];
        header.extend(labels.iter().map(|label| label.as_str()));
        section.tables.push((
            format!("{task}: a row is what was asked for, a column the teacher’s label"),
            DataTable::new(&header, assigned.iter().map(row).collect()),
        ));
    }
    (!section.tables.is_empty()).then_some(section)
}

/// What is told of texts of a kind, by its name.
type Row<'a> = (&'a str, &'a dyn Fn(&Texts) -> String);

fn likeness(report: &GalReport) -> Option<Section> {
    let diversity = &report.diversity;
    if diversity.generated.texts == 0 || diversity.real.texts == 0 {
        return None;
    }
    let mut section = section("likeness", "Generated texts beside real ones");
    let row = |(name, of): Row| vec![name.to_owned(), of(&diversity.real), of(&diversity.generated)];
    let spread = |spread: &crate::data::stats::Spread, decimals: usize| {
        format!(
            "{:.decimals$} ({:.decimals$} – {:.decimals$})",
            spread.median, spread.lower_quartile, spread.upper_quartile
        )
    };
    let rows: [Row; 6] = [
        ("texts", &|texts| count(texts.texts)),
        ("words, median (quartiles)", &|texts| spread(&texts.words, 0)),
        ("distinct-1", &|texts| decimal(texts.distinct[0])),
        ("distinct-2", &|texts| decimal(texts.distinct[1])),
        ("colloquial words", &|texts| format!("{:.1}\u{a0}%", 100.0 * texts.slang)),
        ("ROUGE-L with the nearest real text, median (quartiles)", &|texts| spread(&texts.nearest, 3)),
    ];
    section.sentences.push(format!(
        "Different words and pairs of words are counted among {} words of each; nearest texts are looked for among {} of each at most, a text itself aside.",
        count(diversity.of_words),
        count(diversity.compared)
    ));
    section.tables.push((
        "What is said in them".to_owned(),
        DataTable::new(&["", "Real", "Generated"], rows.into_iter().map(row).collect()),
    ));
    Some(section)
}

fn people(report: &GalReport) -> Option<Section> {
    let mut section = section("people", "What people say of the rows");
    let mut rows = vec![];
    for (task, Reviewed { kept, rejected }) in &report.people {
        for (name, side) in [("kept", kept), ("rejected", rejected)] {
            let Side { rows: count_of, labels, as_the_teacher, agreement } = side;
            let right = as_the_teacher.map_or("–".to_owned(), |[value, low, high]| {
                format!("{} ({} – {})", decimal(value), decimal(low), decimal(high))
            });
            rows.push(vec![
                task.clone(),
                name.to_owned(),
                count(*count_of),
                count(*labels),
                right,
                kappa(agreement.as_ref()),
            ]);
            section
                .sentences
                .extend(agreement.as_ref().map(|agreement| agreed(&format!("{task}, {name} rows"), agreement)));
        }
    }
    let header = ["Task", "Rows", "Answered about", "Labels", "Same as the teacher’s", "Kappa between people"];
    section
        .tables
        .push(("Blind to what was kept, and to the teacher’s labels".to_owned(), DataTable::new(&header, rows)));
    (!report.people.is_empty()).then_some(section)
}

/// Cohen's of two people, Fleiss' of more.
fn kappa(agreement: Option<&Agreement>) -> String {
    let metric = agreement.and_then(|agreement| {
        ["cohen_kappa", "fleiss_kappa", "krippendorff_alpha"].iter().find_map(|key| agreement.metrics.get(*key))
    });
    metric.map_or("–".to_owned(), |metric| format!("{} ({})", decimal(metric.value), metrics::interval(metric)))
}

fn cost(report: &GalReport) -> Section {
    let mut section = section("cost", "What it took");
    let known = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
    let row = |(what, maker): (&str, &Maker)| {
        let minutes = maker.seconds.map(|seconds| format!("{:.1}", seconds / 60.0));
        let tokens = |at: usize| known(maker.tokens.map(|tokens| count(tokens[at])));
        let cost = maker.cost.map(|cost| format!("{cost:.4}"));
        vec![what.to_owned(), maker.name.clone(), known(minutes), tokens(0), tokens(1), known(cost)]
    };
    let [writer, teacher] = &report.makers;
    let mut rows: Vec<Vec<String>> = [("generate", writer), ("annotate", teacher)].into_iter().map(row).collect();
    if let Some(ablation) = &report.ablation {
        let seconds: f64 = ablation.arms.iter().map(|arm| arm.seconds).sum();
        let none = || "–".to_owned();
        rows.push(vec![
            "ablate".into(),
            ablation.student.clone(),
            format!("{:.1}", seconds / 60.0),
            none(),
            none(),
            none(),
        ]);
    }
    section.sentences.extend(report.tasks.iter().filter_map(labels_instead).map(|told| format!("{told}.")));
    section.tables.push((
        "Time, tokens and money".to_owned(),
        DataTable::new(&["Stage", "Model", "Minutes", "Tokens read", "Tokens written", "Cost"], rows),
    ));
    section
}
