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

use crate::data::stats::stats;
use crate::error::Hint;
use crate::gal::row::each_row;
use crate::prompt::{Message, PromptSet};
use crate::publish::{publish, write_bytes, write_json};
use crate::reel::Reel;
use crate::report::data_card;
use crate::run::{sha256, sha256_file, timestamp};
use crate::task::Task;

/// Ids that are named.
const SHOWN: usize = 5;

pub(super) fn run(args: &GalBuildArgs) -> Result<Code> {
    let GalBuildArgs { folder, real, ratio, seed, lock, to, output } = args;
    ensure!(
        ratio.is_finite() && *ratio > 0.0,
        anyhow!("--ratio {ratio} is not above 0").hint("1 takes as many generated rows as real ones")
    );
    let rows = folder.join(ROWS);
    needs(&rows, &format!("filter {}", folder.display()))?;
    refuse_inputs(output, [real, &rows].into_iter())?;
    let records = Records::open(Some(real))?;
    let mut all: Vec<Reel> = records.reels()?.into_iter().filter(|reel| reel.unusable.is_none()).collect();
    let people = all.len();
    let written: Vec<&String> = all.iter().filter(|reel| reel.synthetic).map(|reel| &reel.id).collect();
    ensure!(
        written.is_empty(),
        anyhow!("{} of the --real records were written by a model: {}", written.len(), listed(&written, SHOWN))
            .hint("name records of people alone")
    );
    ensure!(people > 0, anyhow!("{} has no record that can be used", real.display()).hint("name the training part"));
    let mut kept: Vec<Reel> = vec![];
    each_row(&rows, &mut |row, origin| {
        kept.extend(origin.rejected.is_none().then_some(row));
        Ok(())
    })?;
    let wanted = (people as f64 * ratio).round() as usize;
    ensure!(
        kept.len() >= wanted,
        anyhow!("--ratio {ratio} takes {wanted} generated rows for {people} real ones, and {} are kept", kept.len())
            .hint(format!(
                "generate more, or give --ratio {:.2}",
                (kept.len() as f64 / people as f64 * 100.0).floor() / 100.0
            ))
    );
    // By chance, and of a larger ratio these too.
    kept.sort_by_cached_key(|row| sha256(format!("gal build\n{seed}\n{}", row.id).as_bytes()));
    kept.truncate(wanted);
    kept.sort_by(|a, b| a.id.cmp(&b.id));
    all.extend(kept);
    let lock = Lock::find(lock.as_deref(), &[folder, folder_of(real)])?;
    if let Some((path, lock)) = &lock {
        announce(path, lock)?;
        let index = Index::of(lock);
        let held: Vec<&String> =
            all.iter().filter(|reel| index.holds(&Known::from(*reel)).is_some()).map(|reel| &reel.id).collect();
        ensure!(
            held.is_empty(),
            anyhow!("{} rows are what the lock keeps for judging: {}", held.len(), listed(&held, SHOWN))
                .hint("filter with this lock, and give real records of the training part")
        );
    }
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
        "real": {"path": real.display().to_string(), "sha256": records.sha256, "records": people},
        "generated": {"path": rows.display().to_string(), "sha256": sha256_file(&rows)?, "records": wanted},
        "ratio": ratio,
        "seed": seed,
        "locked": lock.map(|(_, lock)| lock.records.len()),
        "sha256": sha256_file(output)?,
    });
    let mut beside = output.clone().into_os_string();
    beside.push(".manifest.json");
    let beside = PathBuf::from(beside);
    write_json(&beside, &manifest)?;
    errln!("{}: {people} real records and {wanted} generated rows", output.display());
    if *to == BuildFormat::Records {
        let prompts = PromptSet::find(Some(&folder.join(ANNOTATED).join("prompts")))?;
        let card = output.with_extension("card.md");
        write_bytes(&card, data_card(&stats(&Records::open(Some(output))?, &prompts.tasks)?).as_bytes())?;
        errln!("data card: {}", card.display());
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
