//! `reels data review`: forms for annotators, and what they answered.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::table;
use crate::annotation::{Kind, Question, Rating};
use crate::ask::Records;
use crate::cli::{ReviewArgs, ReviewFormat};
use crate::commands::Code;
use crate::data::overlap::listed;
use crate::data::review::{
    self, Brought, Form, Item, Labelled, RATINGS_FILE, Texts, Told, by_reel, check, check_data, decide, give, sample,
    shuffle,
};
use crate::error::Hint;
use crate::lines::Snapshot;
use crate::prediction::{Answer, open_answers};
use crate::prompt::PromptSet;
use crate::publish::{publish, write_bytes};
use crate::reel::{Reel, each_reel};
use crate::task::{Task, TaskKind};

/// Reels that are named.
const SHOWN: usize = 10;

pub(super) fn run(args: &ReviewArgs) -> Result<Code> {
    let prompts = PromptSet::find(args.prompts.as_deref())?;
    let brought = Snapshot::open(&args.data, "data file")?;
    let records = Records::of(&brought, &prompts.tasks)?;
    let code = match args.to {
        Some(format) => write(args, format, &prompts.tasks, &records)?,
        None if args.runs.is_empty() => take_labels(args, &prompts.tasks, &brought, &records)?,
        None => take_ratings(args, &prompts.tasks, &records)?,
    };
    records.problems.warn();
    Ok(if records.problems.unusable > 0 { Code::SomeFailed } else { code })
}

/// The tasks of a kind that are asked: those that were named, or all.
pub(super) fn asked<'a>(tasks: &'a [Task], names: &[String], kind: TaskKind) -> Result<Vec<&'a Task>> {
    let of_kind: Vec<&Task> = tasks.iter().filter(|task| task.kind == kind).collect();
    let known: Vec<&str> = of_kind.iter().map(|task| task.name.as_str()).collect();
    let what = if kind == TaskKind::Label { "label" } else { "text" };
    if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
        let hint = "labels are asked of label tasks, and texts rated of text tasks (--runs)";
        bail!(anyhow!("--task {name} is not among the {what} tasks ({})", known.join(", ")).hint(hint));
    }
    let asked: Vec<&Task> = of_kind.into_iter().filter(|task| names.is_empty() || names.contains(&task.name)).collect();
    ensure!(!asked.is_empty(), anyhow!("there is no {what} task").hint("name prompts that have one by --prompts"));
    Ok(asked)
}

/// The one text task whose answers are rated.
fn rated<'a>(tasks: &'a [Task], names: &[String]) -> Result<&'a Task> {
    let asked = asked(tasks, names, TaskKind::Text)?;
    let names: Vec<&str> = asked.iter().map(|task| task.name.as_str()).collect();
    ensure!(
        asked.len() == 1,
        anyhow!("there are {} text tasks: {}", names.len(), names.join(", ")).hint("name one by --task")
    );
    Ok(asked[0])
}

pub(super) fn items(records: &Records) -> Result<Vec<Item>> {
    let mut items = vec![];
    each_reel(&records.lines, |reel, _| {
        items.extend(reel.unusable.is_none().then(|| Item::from(&reel)));
        Ok(())
    })?;
    Ok(items)
}

fn write(args: &ReviewArgs, format: ReviewFormat, tasks: &[Task], records: &Records) -> Result<Code> {
    let output = args.output.as_deref().context("a form is written to --output")?;
    let mut items = items(records)?;
    let title = args.data.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let form = if args.runs.is_empty() {
        let asked = asked(tasks, &args.task, TaskKind::Label)?;
        if let Some(run) = &args.show_answers {
            suggest(&mut items, run, &asked)?;
        }
        Form::new(Kind::Annotations, &title, asked.into_iter().map(Question::from).collect(), items)
    } else {
        ensure!(
            format == ReviewFormat::Html,
            anyhow!("texts are rated on the page alone").hint("write it with --to html")
        );
        let task = rated(tasks, &args.task)?;
        let runs = args.runs.iter().map(|run| Texts::of(run, &task.name)).collect::<Result<Vec<_>>>()?;
        give(&mut items, &runs);
        ensure!(
            !items.is_empty(),
            anyhow!("the runs have no text about the records of {}", args.data.display())
                .hint("give the data that they were made from")
        );
        Form::new(Kind::Ratings, &title, vec![Question::from(task)], items)
    };
    write_form(form, args, format, output)
}

fn write_form(mut form: Form, args: &ReviewArgs, format: ReviewFormat, output: &Path) -> Result<Code> {
    refuse_inputs(output, std::iter::once(&args.data))?;
    if let Some(size) = args.sample {
        sample(&mut form.items, size, args.seed);
    }
    ensure!(!form.items.is_empty(), anyhow!("there is no Reel to ask about").hint("give --sample 1 or more"));
    let annotator = args.annotator.as_deref().map(|name| name.trim().to_lowercase());
    if let Some(annotator) = &annotator {
        shuffle(&mut form.items, annotator);
    }
    match format {
        ReviewFormat::Html => {
            ensure!(
                annotator.is_none(),
                anyhow!("the page asks for the annotator’s name").hint("leave out --annotator: one page is for all")
            );
            write_bytes(output, review::html(&form)?.as_bytes())?;
        }
        ReviewFormat::Csv => {
            let annotator =
                annotator.context("a table is for one annotator").hint("say who it is by --annotator NAME")?;
            write_bytes(output, &review::write_table(&form, &annotator)?)?;
        }
        ReviewFormat::LabelStudio => {
            let interface = output.with_extension("xml");
            write_bytes(&interface, review::label_studio_config(&form)?.as_bytes())?;
            let tasks = serde_json::to_vec_pretty(&review::label_studio_tasks(&form))?;
            write_bytes(output, &tasks)?;
            errln!("labelling interface: {}", interface.display());
            errln!(
                "hint: Label Studio asks one annotator about each task; import into a project of each annotator’s own"
            );
        }
    }
    let names: Vec<&str> = form.tasks.iter().map(|task| task.name.as_str()).collect();
    errln!("{}: {} Reels, {}", output.display(), form.items.len(), names.join(", "));
    if format == ReviewFormat::Csv {
        for task in &form.tasks {
            errln!("  {}: {}", task.name, task.labels.join(", "));
        }
    }
    Ok(Code::Done)
}

/// Gives items the labels that a run has for them.
fn suggest(items: &mut [Item], run: &Path, tasks: &[&Task]) -> Result<()> {
    let answers = open_answers(&run.join("predictions.jsonl"))
        .hint("name a result directory of `reels eval` or `reels score`")?;
    let mut items: HashMap<String, &mut Item> = items.iter_mut().map(|item| (item.id.clone(), item)).collect();
    let mut suggested = 0;
    answers.each(|line| {
        let Some(answer) = Answer::of_line(&line, &answers)? else { return Ok(()) };
        let task = tasks.iter().find(|task| task.name == answer.task);
        let label = task.zip(answer.output.as_deref()).and_then(|(task, output)| task.label_said(output));
        if let (Some(item), Some(label)) = (items.get_mut(&answer.id), label) {
            item.suggested.insert(answer.task, label.to_owned());
            suggested += 1;
        }
        Ok(())
    })?;
    ensure!(
        suggested > 0,
        anyhow!("{} has no label for any of the records", run.display()).hint("name a run over this data")
    );
    Ok(())
}

/// Reads answers that go together.
pub(in crate::commands) fn answers(files: &[PathBuf], kind: Kind, tasks: &[Task]) -> Result<Vec<Brought>> {
    let mut brought = review::read(files, tasks)?;
    let Told { mended, described_otherwise } = check(&mut brought, kind, tasks)?;
    if let Some((file, from, to)) = mended.first() {
        errln!("{file}: labels that were spelt otherwise: {}, such as {from:?} for {to:?}", mended.len());
    }
    for file in described_otherwise {
        errln!("warning: {file}: the tasks were described otherwise to whoever answered than they are now");
    }
    Ok(brought)
}

/// What is shown of each record, by its id.
pub(super) fn shown(records: &Records) -> Result<HashMap<String, String>> {
    Ok(items(records)?.into_iter().map(|item| (item.id, item.shown)).collect())
}

pub(in crate::commands) fn refuse_inputs<'a>(
    output: &Path,
    mut inputs: impl Iterator<Item = &'a PathBuf>,
) -> Result<()> {
    let there = output.canonicalize().ok();
    let is_it = |input: &&PathBuf| there.is_some() && input.canonicalize().ok() == there;
    if let Some(input) = inputs.find(is_it) {
        bail!(anyhow!("{} is what is read, and would be overwritten", input.display()).hint("name another --output"));
    }
    Ok(())
}

fn take_labels(args: &ReviewArgs, tasks: &[Task], before: &Snapshot, records: &Records) -> Result<Code> {
    let output = args.output.as_deref().context("the labelled records need a place").hint("name it by --output")?;
    refuse_inputs(output, std::iter::once(&args.data).chain(&args.from))?;
    let brought = answers(&args.from, Kind::Annotations, tasks)?;
    check_data(&brought, &shown(records)?, records.lines.name())?;
    let by_reel = by_reel(&brought);
    let mut labelled: Vec<Option<Labelled>> = vec![];
    let mut reels = vec![];
    each_reel(&records.lines, |reel, _| {
        let answers = by_reel.get(reel.id.as_str());
        labelled.push(answers.map(|answers| decide(&reel, answers)).transpose()?);
        reels.push(reel);
        Ok(())
    })?;
    publish(output, |file| {
        let mut number = 0;
        before.lines.each(|line| {
            if line.bytes.trim_ascii().is_empty() {
                return Ok(());
            }
            match &labelled[number] {
                Some(labelled) => serde_json::to_writer(&mut *file, &labelled.record(line.bytes, &reels[number])?)?,
                None => file.write_all(line.bytes)?,
            }
            file.write_all(b"\n")?;
            number += 1;
            Ok(())
        })
    })?;
    tell_annotators(&brought);
    tell_labels(&reels, &labelled, tasks);
    errln!("written  {}", output.display());
    Ok(Code::Done)
}

/// Who answered how much.
fn tell_annotators(brought: &[Brought]) {
    let of_annotator = brought.iter().map(|Brought { file, answers }| {
        let answered = answers.items.iter().filter(|item| !item.answers.is_empty() || !item.ratings.is_empty()).count();
        vec![answers.annotator.clone(), format!("{answered} of {}", answers.of), file.clone()]
    });
    outln!("{}", table(&["annotator", "Reels", "file"], of_annotator));
}

/// What labels came to.
fn tell_labels(reels: &[Reel], labelled: &[Option<Labelled>], tasks: &[Task]) {
    for task in tasks {
        let of = |has: &dyn Fn(&Labelled) -> bool| labelled.iter().flatten().filter(|labelled| has(labelled)).count();
        let disputed: Vec<&str> = reels
            .iter()
            .zip(labelled)
            .filter(|(_, labelled)| labelled.as_ref().is_some_and(|labelled| labelled.disputed.contains(&task.name)))
            .map(|(reel, _)| reel.id.as_str())
            .collect();
        let decided = of(&|labelled| labelled.reference.contains_key(&task.name));
        if decided == 0 && disputed.is_empty() {
            continue;
        }
        let disputes = match disputed.len() {
            0 => String::new(),
            count => format!(", {count} disputed, with the reference that they had: {}", listed(&disputed, SHOWN)),
        };
        outln!("{}: {decided} decided{disputes}", task.name);
    }
    if labelled.iter().flatten().any(|labelled| !labelled.disputed.is_empty()) {
        errln!("hint: `reels data agreement FILE… --data DATA --adjudicate F.html` writes a page to decide them on");
    }
}

fn take_ratings(args: &ReviewArgs, tasks: &[Task], records: &Records) -> Result<Code> {
    ensure!(
        args.output.is_none(),
        anyhow!("ratings are kept beside each run’s rows ({RATINGS_FILE})").hint("leave out --output")
    );
    let task = rated(tasks, &args.task)?;
    let brought = answers(&args.from, Kind::Ratings, tasks)?;
    check_data(&brought, &shown(records)?, records.lines.name())?;
    let runs = args.runs.iter().map(|run| Texts::of(run, &task.name)).collect::<Result<Vec<_>>>()?;
    let ratings = review::ratings(&runs, &task.name, &brought)?;
    tell_annotators(&brought);
    for (run, ratings) in runs.iter().zip(&ratings) {
        let path = run.folder.join(RATINGS_FILE);
        write_ratings(&path, ratings)?;
        errln!("{}: {} ratings", path.display(), ratings.len());
    }
    errln!("`reels report DIR` and `reels compare DIR DIR…` show them");
    Ok(Code::Done)
}

fn write_ratings(path: &Path, ratings: &[Rating]) -> Result<()> {
    publish(path, |file| {
        for rating in ratings {
            serde_json::to_writer(&mut *file, rating)?;
            file.write_all(b"\n")?;
        }
        Ok(())
    })
}
