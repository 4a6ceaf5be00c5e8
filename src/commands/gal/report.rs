//! `reels gal report`: whether it helped, and what an examiner asks.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use indexmap::IndexMap;
use serde_json::Value;

use super::ablate::{DATA, SCORED};
use super::{ANNOTATED, Against, ROWS, YIELD, ablation, generate, needs};
use crate::annotation::{Kind as Answers, Role};
use crate::ask::{Manifest, Records};
use crate::cli::GalReportArgs;
use crate::commands::data::answers;
use crate::commands::{Code, folder};
use crate::data::lock::Index;
use crate::data::review::{Brought, by_reel};
use crate::error::Hint;
use crate::gal::ablation::{Ablation, Arm, Kind, Source};
use crate::gal::checks::identifies;
use crate::gal::diversity::Diversity;
use crate::gal::filter::Yield;
use crate::gal::ladder::{Arms, TaskLadder};
use crate::gal::neighbours::neighbours;
use crate::gal::row::each_row;
use crate::gguf;
use crate::lines::Lines;
use crate::prompt::PromptSet;
use crate::publish::{write_bytes, write_json};
use crate::reel::Reel;
use crate::report::gal::{GalReport, Maker, Neighbours, Reviewed, Side, gal_html, gal_markdown, questions, verdict};
use crate::run::{sha256_file, timestamp};
use crate::score::compare::crossed::{Arm as Seeded, Crossed};
use crate::score::{People, Table, wilson};
use crate::scores::{Row, each_row as each_scored};
use crate::task::{Task, TaskKind};

pub(super) fn run(args: &GalReportArgs) -> Result<Code> {
    let gal = &args.folder;
    let rows = gal.join(ROWS);
    needs(&rows, &format!("filter {}", gal.display()))?;
    let prompts = PromptSet::find(Some(&gal.join(ANNOTATED).join("prompts")))?;
    let against = Against::of(gal, args.seeds.as_deref(), args.lock.as_deref(), &prompts.tasks)?;
    let (mut kept, mut given, mut all, mut most) = (vec![], HashMap::new(), 0, 0);
    each_row(&rows, &mut |row, origin| {
        all += 1;
        most = origin.votes.values().map(|votes| votes.values().sum()).fold(most, usize::max);
        given.insert(row.id.clone(), (origin.rejected.is_none(), row.reference.clone()));
        kept.extend(origin.rejected.is_none().then_some(row));
        Ok(())
    })?;
    let text = std::fs::read(gal.join(YIELD)).with_context(|| gal.join(YIELD).display().to_string())?;
    let summary: Value = serde_json::from_slice(&text).with_context(|| gal.join(YIELD).display().to_string())?;
    ensure!(
        summary["rows_sha256"].as_str() == Some(&sha256_file(&rows)?),
        anyhow!("{} is not of these rows", gal.join(YIELD).display()).hint("filter again: the last time was cut short")
    );
    let ablated = args.ablation.clone().unwrap_or_else(|| gal.join("ablation"));
    let ablation = if args.ablation.is_some() || ablated.is_dir() { Some(ablation(&ablated)?) } else { None };
    let (mut tasks, mut near, mut real, mut test_ids) = (vec![], vec![], against.seeds.clone(), None);
    if let Some(ablation) = &ablation {
        ensure!(
            ablation.finished_at.is_some(),
            anyhow!("the ablation in {} is not at its end", ablated.display())
                .hint("`reels gal ablate` with the same flags goes on from there")
        );
        ensure!(
            ablation.rows_sha256 == sha256_file(&rows)?,
            anyhow!("{} isn’t what the ablation in {} learned from", rows.display(), ablated.display())
                .hint("ablate again into another --output, and name it by --ablation")
        );
        real = read(&ablation.real)?;
        let test = read(&ablation.test)?;
        test_ids = Some(test.iter().map(|reel| reel.id.clone()).collect::<Vec<String>>());
        near = near_of(ablation, &ablated, &real, &test)?;
        tasks = ladders(ablation, &ablated, &prompts.tasks, &real, &near)?;
    }
    let checks = against.checks();
    let generated = folder::manifest(&gal.join(generate::FOLDER))?.unwrap_or_default();
    let makers_locked = generated.other.get("locked").and_then(Value::as_u64);
    let makers = [maker(&gal.join(generate::FOLDER))?, maker(&gal.join(ANNOTATED))?];
    let report = GalReport {
        v: 1,
        made_at: timestamp(),
        title: gal.file_name().unwrap_or(gal.as_os_str()).to_string_lossy().into_owned(),
        tasks,
        rows: [all, kept.len()],
        answers: most,
        yields: serde_json::from_value::<Vec<Yield>>(summary["yields"].clone())?,
        assigned: serde_json::from_value(summary["assigned"].clone())?,
        diversity: Diversity::of(&real, &kept),
        neighbours: near,
        people: people(args, &prompts.tasks, &given)?,
        memorised: kept.iter().filter(|row| checks.repeats_a_seed(row)).count(),
        identifying: kept.iter().filter(|row| identifies(row)).count(),
        makers,
        locked: [makers_locked, summary["locked"].as_u64()].map(|locked| locked.map(|records| records as usize)),
        locked_of_test: against.lock.as_ref().zip(test_ids).map(|(lock, ids)| {
            let index = Index::of(lock);
            ids.iter().filter(|id| index.id(id).is_some()).count()
        }),
        limits: summary["settings"].clone(),
        ablation,
    };
    let output = args.output.clone().unwrap_or_else(|| gal.clone());
    std::fs::create_dir_all(&output)?;
    write_json(&output.join("report.json"), &report)?;
    write_bytes(&output.join("report.md"), gal_markdown(&report).as_bytes())?;
    write_bytes(&output.join("report.html"), gal_html(&report)?.as_bytes())?;
    verdict(&report).iter().for_each(|sentence| outln!("{sentence}"));
    let missing: Vec<&str> =
        questions(&report).iter().filter(|each| each.is_missing).map(|each| each.question).collect();
    if !missing.is_empty() {
        errln!(
            "{} of the examiner’s twelve questions can’t be answered yet; the report says what would",
            missing.len()
        );
    }
    errln!("report: {}", output.join("report.html").display());
    Ok(Code::Done)
}

/// Records that haven't changed since.
fn read(source: &Source) -> Result<Vec<Reel>> {
    let records = Records::open(Some(Path::new(&source.path)))?;
    ensure!(
        records.sha256 == source.sha256,
        anyhow!("{} has changed since the ablation", source.path)
            .hint("bring it back, or ablate again into another --output")
    );
    Ok(records.reels()?.into_iter().filter(|reel| reel.unusable.is_none()).collect())
}

/// By arm that learned from all real records, what of the test set was near to what it learned from.
fn near_of(ablation: &Ablation, folder: &Path, real: &[Reel], test: &[Reel]) -> Result<Vec<Neighbours>> {
    let of_real = neighbours(test, real);
    let arms = ablation.arms.iter().filter(|arm| matches!(arm.kind, Kind::Real | Kind::Generated(_)));
    arms.map(|arm| {
        let mut generated: BTreeMap<String, Reel> = BTreeMap::new();
        for seed in 1..=arm.seeds {
            let data = Records::open(Some(&seed_folder(folder, arm, seed).join(DATA)))?;
            let written = data.reels()?.into_iter().filter(|reel| reel.synthetic);
            generated.extend(written.map(|reel| (reel.id.clone(), reel)));
        }
        Ok(Neighbours { arm: arm.name.clone(), real: of_real.clone(), generated: neighbours(test, generated.values()) })
    })
    .collect()
}

fn seed_folder(folder: &Path, arm: &Arm, seed: usize) -> PathBuf {
    folder.join(&arm.name).join(format!("seed-{seed}"))
}

/// What the arms come to, task by task.
fn ladders(
    ablation: &Ablation,
    folder: &Path,
    tasks: &[Task],
    real: &[Reel],
    near: &[Neighbours],
) -> Result<Vec<TaskLadder>> {
    // By arm and seed.
    let mut scored: Vec<Vec<Vec<Row>>> = vec![];
    for arm in &ablation.arms {
        let rows = |seed| -> Result<Vec<Row>> {
            let path = seed_folder(folder, arm, seed).join(SCORED);
            let mut rows = vec![];
            each_scored(&Lines::open(&path, "rows")?, |row, _| {
                rows.push(Row { prompt: String::new(), ..row });
                Ok(())
            })?;
            Ok(rows)
        };
        scored.push((1..=arm.seeds).map(rows).collect::<Result<_>>()?);
    }
    let close: HashSet<&String> = near.iter().flat_map(|each| each.real.keys().chain(each.generated.keys())).collect();
    let mut ladders = vec![];
    for task in tasks {
        let is_scored = |row: &Row| row.task == task.name && row.reference.is_some();
        // A baseline for labels answers no text.
        let answering: Vec<usize> =
            (0..scored.len()).filter(|at| scored[*at].iter().all(|rows| rows.iter().any(is_scored))).collect();
        let arms: Vec<Arm> = answering.iter().map(|at| ablation.arms[*at].clone()).collect();
        let of_rows = |keep: &dyn Fn(&Row) -> bool| -> Result<Option<Crossed>> {
            let mut seeded = vec![];
            for (at, arm) in answering.iter().zip(&arms) {
                let table = |rows: &Vec<Row>| -> Result<Table> {
                    let kept: Vec<Row> = rows.iter().filter(|row| is_scored(row) && keep(row)).cloned().collect();
                    Table::of(&kept, std::slice::from_ref(task))
                };
                let seeds: Vec<Table> = scored[*at].iter().map(table).collect::<Result<_>>()?;
                if seeds.iter().any(|table| table.tasks[0].is_empty()) {
                    return Ok(None);
                }
                seeded.push(Seeded { name: arm.name.clone(), seeds });
            }
            if seeded.is_empty() { Ok(None) } else { Crossed::new(seeded).map(Some) }
        };
        let Some(whole) = of_rows(&|_| true)? else { continue };
        let arms = Arms(&arms);
        let Some(mut ladder) = arms.ladder(&whole, 0) else { continue };
        if task.kind == TaskKind::Label {
            let rare = rare(task, real);
            let is_rare = |row: &Row| row.reference.as_ref().is_some_and(|label| rare.contains(label));
            ladder.rare = of_rows(&is_rare)?.and_then(|crossed| arms.labels(&crossed));
            ladder.frequent = of_rows(&|row| !is_rare(row))?.and_then(|crossed| arms.labels(&crossed));
        }
        if !close.is_empty() {
            let is_far = |row: &Row| !close.contains(&row.reel_id);
            ladder.without_neighbours = of_rows(&is_far)?.and_then(|crossed| arms.rows(&crossed));
        }
        ladders.push(ladder);
    }
    Ok(ladders)
}

/// Labels with fewer real records than an equal share.
fn rare(task: &Task, real: &[Reel]) -> HashSet<String> {
    let count = |label: &String| real.iter().filter(|reel| reel.reference.get(&task.name) == Some(label)).count();
    let all: usize = task.labels.iter().map(count).sum();
    task.labels.iter().filter(|label| count(label) * task.labels.len() < all).cloned().collect()
}

/// Whether a row is kept, and the teacher's answers about it.
type Given = (bool, BTreeMap<String, String>);

/// What people say of the rows, kept and rejected.
fn people(args: &GalReportArgs, tasks: &[Task], given: &HashMap<String, Given>) -> Result<IndexMap<String, Reviewed>> {
    let mut reviewed = IndexMap::new();
    if args.annotations.is_empty() {
        return Ok(reviewed);
    }
    let brought = answers(&args.annotations, Answers::Annotations, tasks)?;
    let known = by_reel(&brought).keys().filter(|id| given.contains_key(**id)).count();
    ensure!(
        known > 0,
        anyhow!("the --annotations are of no row in {}", args.folder.join(ROWS).display())
            .hint("give the answers to the form that `reels gal review` wrote")
    );
    for task in tasks.iter().filter(|task| task.kind == TaskKind::Label) {
        let [kept, rejected] = [true, false].map(|kept| side(task, &brought, given, kept));
        let (kept, rejected) = (kept?, rejected?);
        if kept.labels + rejected.labels > 0 {
            reviewed.insert(task.name.clone(), Reviewed { kept, rejected });
        }
    }
    Ok(reviewed)
}

fn side(task: &Task, brought: &[Brought], given: &HashMap<String, Given>, kept: bool) -> Result<Side> {
    let (mut side, mut people, mut same) = (Side::default(), People::default(), 0);
    for (id, answers) in by_reel(brought) {
        let Some((_, labels)) = given.get(id).filter(|(is_kept, _)| *is_kept == kept) else { continue };
        let blind = || {
            answers.iter().filter(|(one, _)| one.answers.role == Role::Annotator).filter_map(|(one, item)| {
                Some((one.answers.annotator.as_str(), item.answers.get(&task.name)?.as_str()))
            })
        };
        people.add(id, None, task, blind())?;
        if let Some(teacher) = labels.get(&task.name) {
            let count = blind().count();
            side.rows += usize::from(count > 0);
            side.labels += count;
            same += blind().filter(|(_, label)| label == teacher).count();
        }
    }
    side.as_the_teacher = (side.labels > 0).then(|| {
        let interval = wilson(same as f64 / side.labels as f64, side.rows as f64);
        [interval.value, interval.low, interval.high]
    });
    side.agreement = people.agreement(task);
    Ok(side)
}

/// What a stage's manifest says of its model and what it took.
fn maker(folder: &Path) -> Result<Maker> {
    let manifest: Manifest = folder::manifest(folder)?.unwrap_or_default();
    let model = manifest.model.clone();
    let file = manifest.model_path.as_ref().map(PathBuf::from).filter(|path| path.is_file());
    let licence = file.and_then(|path| Some(gguf::read_header(&path).ok()?.text("general.license")?.to_owned()));
    let seconds = manifest.other.get("seconds").and_then(Value::as_f64);
    let of_log = manifest.other.get("tokens").and_then(|tokens| serde_json::from_value(tokens.clone()).ok());
    let hosted = manifest.hosted.as_ref();
    let counted = |hosted: &crate::ask::HostedFacts| {
        [hosted.spent.counted.prompt_tokens, hosted.spent.counted.completion_tokens].map(|tokens| tokens as usize)
    };
    let of_speed = manifest.speed.as_ref().map(|speed| [speed.prompt_tokens, speed.generated_tokens]);
    Ok(Maker {
        name: model.as_ref().map_or("?".to_owned(), |model| model.name.clone()),
        sha256: model.map_or(String::new(), |model| model.sha256),
        licence,
        seconds: seconds.or(manifest.speed.as_ref().map(|speed| speed.seconds)),
        tokens: hosted.map(counted).or(of_log).or(of_speed),
        cost: hosted.and_then(|hosted| hosted.cost),
        manifest,
    })
}
