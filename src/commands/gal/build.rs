//! `reels gal build`: real records and generated rows in one file to train on.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, ensure};
use serde_json::{Value, json};

use super::{ANNOTATED, ROWS, needs};
use crate::ask::Records;
use crate::cli::{BuildFormat, GalBuildArgs};
use crate::commands::{Code, data::refuse_inputs, locked::announce};
use crate::data::columns;
use crate::data::known::Known;
use crate::data::lock::{Index, Lock, folder_of};
use crate::data::overlap::listed;
use crate::data::stats::{Stats, stats};
use crate::error::{Hint, environment};
use crate::gal::ablation::{drawn, wanted};
use crate::gal::row::each_row;
use crate::prompt::{Message, PromptSet};
use crate::publish::{publish, write_bytes, write_json};
use crate::reel::Reel;
use crate::report::data_card;
use crate::run::{sha256_file, timestamp};
use crate::task::Task;

/// Ids that are named.
const SHOWN: usize = 5;

/// Records of people, and what they are.
pub(super) struct Real {
    pub reels: Vec<Reel>,
    pub sha256: String,
}

/// The records of people that can be used, and the generated rows that are kept.
pub(super) fn sources(real: &Path, rows: &Path) -> Result<(Real, Vec<Reel>)> {
    let records = Records::open(Some(real))?;
    let reels: Vec<Reel> = records.reels()?.into_iter().filter(|reel| reel.unusable.is_none()).collect();
    let written: Vec<&String> = reels.iter().filter(|reel| reel.synthetic).map(|reel| &reel.id).collect();
    ensure!(
        written.is_empty(),
        anyhow!("{} of the --real records were written by a model: {}", written.len(), listed(&written, SHOWN))
            .hint("name records of people alone")
    );
    ensure!(
        !reels.is_empty(),
        anyhow!("{} has no record that can be used", real.display()).hint("name the training part")
    );
    let mut kept: Vec<Reel> = vec![];
    each_row(rows, &mut |row, origin| {
        kept.extend(origin.rejected.is_none().then_some(row));
        Ok(())
    })?;
    Ok((Real { reels, sha256: records.sha256 }, kept))
}

/// Refuses a ratio that takes more rows than are kept.
pub(super) fn check_ratio(ratio: f64, flag: &str, people: usize, kept: usize) -> Result<()> {
    ensure!(
        ratio.is_finite() && ratio > 0.0,
        anyhow!("{flag} {ratio} is not above 0").hint("1 takes as many generated rows as real ones")
    );
    let wanted = wanted(people, ratio);
    ensure!(wanted > 0, anyhow!("{flag} {ratio} takes no row for {people} real records").hint("give a larger one"));
    ensure!(
        kept >= wanted,
        anyhow!("{flag} {ratio} takes {wanted} generated rows for {people} real ones, and {kept} are kept").hint(
            format!("generate more, or give {flag} {:.2}", (kept as f64 / people as f64 * 100.0).floor() / 100.0)
        )
    );
    Ok(())
}

/// Refuses records to learn from that the lock keeps, and says how many it has.
pub(super) fn refuse_locked(all: &[Reel], gal: &Path, real: &Path, lock: Option<&Path>) -> Result<Option<usize>> {
    let Some((path, lock)) = Lock::find(lock, &[gal, folder_of(real)])? else { return Ok(None) };
    announce(&path, &lock)?;
    let index = Index::of(&lock);
    let held: Vec<&String> =
        all.iter().filter(|reel| index.holds(&Known::from(*reel)).is_some()).map(|reel| &reel.id).collect();
    ensure!(
        held.is_empty(),
        anyhow!("{} rows are what the lock keeps for judging: {}", held.len(), listed(&held, SHOWN))
            .hint("filter with this lock, and give real records of the training part")
    );
    Ok(Some(lock.records.len()))
}

pub(super) fn run(args: &GalBuildArgs) -> Result<Code> {
    let GalBuildArgs { folder, real, ratio, seed, lock, to, output } = args;
    let rows = folder.join(ROWS);
    needs(&rows, &format!("filter {}", folder.display()))?;
    refuse_inputs(output, [real, &rows].into_iter())?;
    let (Real { reels: mut all, sha256 }, kept) = sources(real, &rows)?;
    let people = all.len();
    check_ratio(*ratio, "--ratio", people, kept.len())?;
    let taken = drawn(&kept, people, *ratio, *seed);
    let wanted = taken.len();
    all.extend(taken);
    let locked = refuse_locked(&all, folder, real, lock.as_deref())?;
    match to {
        BuildFormat::Records => write_lines(output, all.iter().map(|reel| Ok(serde_json::to_value(reel)?)))?,
        BuildFormat::Messages => {
            let prompts = PromptSet::find(Some(&folder.join(ANNOTATED).join("prompts")))?;
            let conversations = all.iter().flat_map(|reel| {
                let of_task = |task| conversation(reel, task, &prompts).transpose();
                prompts.tasks.iter().filter_map(of_task).collect::<Vec<_>>()
            });
            write_lines(output, conversations)?;
        }
        BuildFormat::Parquet => publish(output, |file| columns::write(file, &all))?,
    }
    let manifest = json!({
        "v": 1,
        "command": "gal build",
        "made_at": timestamp(),
        "crate_version": env!("CARGO_PKG_VERSION"),
        "real": {"path": real.display().to_string(), "sha256": sha256, "records": people},
        "generated": {"path": rows.display().to_string(), "sha256": sha256_file(&rows)?, "records": wanted},
        "ratio": ratio,
        "seed": seed,
        "locked": locked,
        "sha256": sha256_file(output)?,
    });
    let mut beside = output.clone().into_os_string();
    beside.push(".manifest.json");
    let beside = PathBuf::from(beside);
    write_json(&beside, &manifest)?;
    errln!("{}: {people} real records and {wanted} generated rows", output.display());
    let prompts = PromptSet::find(Some(&folder.join(ANNOTATED).join("prompts")))?;
    let card = output.with_extension("card.md");
    // What is counted is records, whatever they were written as.
    let counted = tempfile::Builder::new().suffix(".jsonl").tempfile();
    let counted = counted.map_err(|error| environment(format!("cannot make a temporary file: {error}")))?;
    write_lines(counted.path(), all.iter().map(|reel| Ok(serde_json::to_value(reel)?)))?;
    let stats =
        Stats { data: output.display().to_string(), ..stats(&Records::open(Some(counted.path()))?, &prompts.tasks)? };
    write_bytes(&card, data_card(&stats).as_bytes())?;
    errln!("data card: {}", card.display());
    if *to == BuildFormat::Records {
        errln!("hint: `reels train --data {}` learns soft labels as weighted examples", output.display());
    }
    Ok(Code::Done)
}

fn write_lines(output: &Path, lines: impl Iterator<Item = Result<Value>>) -> Result<()> {
    publish(output, |file| {
        for line in lines {
            serde_json::to_writer(&mut *file, &line?)?;
            file.write_all(b"\n")?;
        }
        Ok(())
    })
}

/// A task about a Reel with its gold answer, as OpenAI's fine-tuning takes it; `None` without one.
fn conversation(reel: &Reel, task: &Task, prompts: &PromptSet) -> Result<Option<Value>> {
    let Some(gold) = reel.reference.get(&task.name) else { return Ok(None) };
    let mut messages = prompts.render(reel, task)?;
    messages.push(Message { role: "assistant", content: task.wording(gold).to_owned() });
    Ok(Some(json!({"messages": messages})))
}
