//! `reels gal filter`: which candidates are fit to learn from, and why the others aren't.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use comfy_table::{Table, presets};
use serde_json::json;

use super::{ANNOTATED, CANDIDATES, ROWS, YIELD, generate};
use crate::ask::Records;
use crate::cli::GalFilterArgs;
use crate::commands::{Code, folder, locked::announce};
use crate::data::lock::{Lock, folder_of};
use crate::error::Hint;
use crate::gal::checks::Checks;
use crate::gal::filter::{Filtered, Limits, answers as read, filter};
use crate::predict::predictions_path;
use crate::prompt::PromptSet;
use crate::publish::{publish, write_json};
use crate::run::{sha256_file, timestamp};

pub(super) fn run(args: &GalFilterArgs) -> Result<Code> {
    let GalFilterArgs { folder, seeds, lock, confidence, agreement, per_label, hard } = args;
    for (flag, value) in [("confidence", *confidence), ("agreement", *agreement)] {
        ensure!((0.0..=1.0).contains(&value), "--{flag} {value} is not between 0 and 1");
    }
    let candidates = folder.join(CANDIDATES);
    let answers = predictions_path(&folder.join(ANNOTATED));
    for (path, stage) in [(&candidates, "generate SEEDS --output"), (&answers, "annotate")] {
        ensure!(
            path.is_file(),
            anyhow!("{} is not there", path.display())
                .hint(format!("`reels gal {stage} {}` writes it", folder.display()))
        );
    }
    let prompts = PromptSet::find(Some(&folder.join(ANNOTATED).join("prompts")))?;
    let seeds = match seeds {
        Some(seeds) => seeds.clone(),
        None => seeds_of(folder)?,
    };
    let seed_records = Records::open_for(Some(&seeds), &prompts.tasks)?;
    let lock = Lock::find(lock.as_deref(), &[folder_of(&seeds), folder])?;
    if let Some((path, lock)) = &lock {
        announce(path, lock)?;
    }
    let records = Records::open(Some(&candidates))?;
    let limits = Limits { confidence: *confidence, agreement: *agreement, per_label: *per_label, hard: *hard };
    let seeds = seed_records.reels()?;
    let lock = lock.as_ref().map(|(_, lock)| lock);
    let said = read(&answers, &prompts.tasks)?;
    let mut filtered = Filtered::default();
    publish(&folder.join(ROWS), |file| {
        let checks = Checks::new(&seeds, lock);
        filtered = filter(&records.lines, &said, &prompts.tasks, checks, &limits, &mut |row| {
            serde_json::to_writer(&mut *file, row)?;
            Ok(file.write_all(b"\n")?)
        })?;
        Ok(())
    })?;
    let kept = filtered.kept;
    let summary = json!({
        "v": 1,
        "made_at": timestamp(),
        "candidates_sha256": sha256_file(&candidates)?,
        "answers_sha256": sha256_file(&answers)?,
        "seeds_sha256": seed_records.sha256,
        "locked": lock.map(|lock| lock.records.len()),
        "settings": {"confidence": confidence, "agreement": agreement, "per_label": per_label, "hard": hard},
        "kept": kept,
        "yields": filtered.yields,
        "assigned": filtered.assigned,
    });
    write_json(&folder.join(YIELD), &summary)?;
    outln!("{}", table(&filtered));
    errln!("{}: {kept} of {} rows are kept", folder.join(ROWS).display(), filtered.rows);
    ensure!(
        kept > 0,
        anyhow!("no row is kept: the table says which filter rejects most")
            .hint("lower --confidence or --agreement, or generate more with another model or template")
    );
    Ok(Code::Done)
}

/// The seeds that generation drew from.
fn seeds_of(gal: &Path) -> Result<PathBuf> {
    let manifest = folder::manifest(&gal.join(generate::FOLDER))?;
    let path = manifest.and_then(|manifest| manifest.data).map(|data| PathBuf::from(data.path));
    path.filter(|path| path.is_file())
        .context("the seeds that were drawn from aren’t where they were")
        .hint("name them by --seeds F.jsonl: rows mustn’t be copies of them")
}

fn table(filtered: &Filtered) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["filter", "came", "rejected", "left"]);
    table.add_rows(filtered.yields.iter().map(|step| {
        [step.filter.clone(), step.came.to_string(), step.rejected.to_string(), (step.came - step.rejected).to_string()]
    }));
    table
}
