//! `reels split`: records → train, dev and a frozen test set, or folds.

mod show;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, anyhow, bail, ensure};
use indicatif::ProgressBar;
use serde_json::json;

use self::show::Shown;
use super::Code;
use super::locked::announce;
use crate::ask::Records;
use crate::config::{Parts, Size, SplitSettings, TEST_SHARE};
use crate::data::lock::{FILE, Lock, folder_of};
use crate::data::split::{Data, Plan, TEST, Wish, folds, plan};
use crate::error::{Hint, environment};
use crate::lines::Snapshot;
use crate::prompt::PromptSet;
use crate::publish::{publish, write_json};
use crate::run::{machine, sha256_file, timestamp};
use crate::stop::Stop;

/// A lock and where it is.
type Found = (PathBuf, Lock);

/// A file to write: a part of the plan, or all but that.
struct Output {
    name: String,
    part: usize,
    others: bool,
    /// What a model wrote is nothing to judge by.
    people_only: bool,
}

impl Output {
    fn takes(&self, data: &Data, plan: &Plan, at: usize) -> bool {
        match plan.parts[at] {
            Some(part) if self.others => part != self.part,
            Some(part) => part == self.part && !(self.people_only && data.is_synthetic(at)),
            None => false,
        }
    }
}

pub(super) fn run(settings: SplitSettings, stop: &Stop) -> Result<Code> {
    let started = timestamp();
    let prompts = PromptSet::find(settings.prompts.as_deref())?;
    let brought = Snapshot::open(&settings.data, "data file")?;
    let records = Records::of(&brought, &prompts.tasks)?;
    let lock = Lock::find(settings.lock.as_deref(), &[&settings.output, folder_of(&settings.data)])?;
    if let Some((path, lock)) = &lock {
        announce(path, lock)?;
        let asked = match settings.parts {
            Parts::Sizes { test: Size::Records(records), .. } => records != lock.records.len(),
            Parts::Sizes { test: Size::Share(share), .. } => share != TEST_SHARE,
            Parts::Folds(_) => false,
        };
        if asked {
            errln!(
                "warning: --test isn't looked at: the test set is frozen with {} records\nhint: to draw another one, delete {}; scores from before can't be compared with those after",
                lock.records.len(),
                path.display()
            );
        }
    }
    let frozen = lock.as_ref().map(|(_, lock)| lock);
    let bar = ProgressBar::new_spinner().with_message("looking for what belongs together");
    bar.enable_steady_tick(Duration::from_millis(500));
    let data = Data::read(&records, &prompts.tasks, stop)?;
    if data.entries.is_empty() {
        records.problems.refuse_unusable()?;
    }
    let planned = match settings.parts {
        Parts::Folds(count) => folds(&data, count, settings.seed, frozen),
        Parts::Sizes { train, dev, test } => wish(&data, [train, Some(dev), Some(test)], frozen)
            .and_then(|wish| plan(&data, wish, settings.seed, frozen)),
    };
    bar.finish_and_clear();
    if stop.wished() {
        errln!("interrupted: nothing was written");
        return Ok(Code::Interrupted);
    }
    let mut plan = planned?;
    if let Some(lock) = frozen {
        let gone = lock.records.len().saturating_sub(plan.frozen);
        if gone > 0 {
            errln!(
                "warning: {gone} of {} locked records are not in {}: the test set is smaller than what was judged by\nhint: add \
                 the data that they came from",
                lock.records.len(),
                brought.lines.name()
            );
        }
    }
    let outputs = outputs(settings.parts);
    let shown = Shown::of(&data, &plan, &outputs, settings.parts, frozen)?;
    write(&settings, &brought, &data, &plan, &outputs)?;
    let lock = keep(&settings, &mut plan, lock)?;
    let manifest = json!({
        "v": 1,
        "command": "split",
        "crate_version": env!("CARGO_PKG_VERSION"),
        "started_at": started,
        "finished_at": timestamp(),
        "data": {"path": settings.data, "sha256": records.sha256, "file_sha256": records.file_sha256},
        "prompts": {"source": prompts.source.to_string(), "sha256": prompts.sha256()},
        "lock": lock,
        "seed": settings.seed,
        "records": data.entries.len(),
        "unusable": records.problems.unusable,
        "machine": machine(),
        "split": shown.json(),
    });
    write_json(&settings.output.join("manifest.json"), &manifest)?;
    shown.print();
    errln!("written  {}", settings.output.display());
    records.problems.warn();
    Ok(if records.problems.unusable > 0 { Code::SomeFailed } else { Code::Done })
}

/// How many records go where; sizes are of those that others are judged by.
fn wish(data: &Data, sizes: [Option<Size>; 3], frozen: Option<&Lock>) -> Result<Wish> {
    let all = (0..data.entries.len()).filter(|at| data.counts(*at)).count();
    let what = if data.unlabelled { "records" } else { "records with gold answers" };
    let [train, dev, test] = sizes.map(|size| size.map(|size| size.records(all)));
    let (dev, mut test) = (dev.unwrap_or(0), test.unwrap_or(0));
    if frozen.is_some() {
        test = 0;
    }
    ensure!(
        dev + test <= all,
        anyhow!("--dev {dev} and --test {test} are more than there are: {all} {what}").hint("ask for less")
    );
    let rest = all - dev - test;
    if let Some(train) = train.filter(|train| frozen.is_none() && train.abs_diff(rest) > 1) {
        bail!(
            anyhow!(
                "--train {train}, --dev {dev} and --test {test} are {}, and there are {all} {what}",
                train + dev + test
            )
            .hint("leave out --train: it gets what dev and test leave")
        );
    }
    Ok(Wish { train: rest, dev, test })
}

fn outputs(parts: Parts) -> Vec<Output> {
    match parts {
        Parts::Sizes { .. } => ["train.jsonl", "dev.jsonl", "test.jsonl"]
            .iter()
            .enumerate()
            .map(|(part, name)| Output { name: (*name).to_owned(), part, others: false, people_only: part > 0 })
            .collect(),
        Parts::Folds(count) => (0..count)
            .flat_map(|part| [("train", true), ("test", false)].map(|(name, others)| (part, name, others)))
            .map(|(part, name, others)| Output {
                name: format!("fold-{}/{name}.jsonl", part + 1),
                part,
                others,
                people_only: !others,
            })
            .collect(),
    }
}

/// Writes each record's line as it was brought.
fn write(settings: &SplitSettings, brought: &Snapshot, data: &Data, plan: &Plan, outputs: &[Output]) -> Result<()> {
    let paths: Vec<PathBuf> = outputs.iter().map(|output| settings.output.join(&output.name)).collect();
    for path in &paths {
        let is_data = path.canonicalize().is_ok_and(|path| settings.data.canonicalize().is_ok_and(|data| data == path));
        ensure!(
            !is_data,
            anyhow!("{} is the data, and would be overwritten", path.display()).hint("name another --output")
        );
    }
    let mut entry_of = vec![None; data.entries.iter().map(|entry| entry.line + 1).max().unwrap_or(0)];
    for (at, entry) in data.entries.iter().enumerate() {
        entry_of[entry.line] = Some(at);
    }
    for (output, path) in outputs.iter().zip(&paths) {
        let folder = folder_of(path);
        std::fs::create_dir_all(folder).map_err(|error| {
            environment(format!("cannot make {}: {error}", folder.display())).hint("name another --output")
        })?;
        publish(path, |file| {
            let mut number = 0;
            brought.lines.each(|line| {
                if line.bytes.trim_ascii().is_empty() {
                    return Ok(());
                }
                let entry = entry_of.get(number).copied().flatten();
                number += 1;
                if entry.is_some_and(|at| output.takes(data, plan, at)) {
                    file.write_all(line.bytes)?;
                    file.write_all(b"\n")?;
                }
                Ok(())
            })
        })?;
    }
    Ok(())
}

/// Writes the lock of a test set that was drawn now, or notes that a frozen one was written again. Gives its path.
fn keep(settings: &SplitSettings, plan: &mut Plan, lock: Option<Found>) -> Result<Option<PathBuf>> {
    let here = settings.output.join(FILE);
    let (path, mut lock) = match (lock, plan.lock.take()) {
        (Some(found), _) => found,
        (None, Some(drawn)) => (here.clone(), drawn),
        (None, None) => return Ok(None),
    };
    let writes_test = matches!(settings.parts, Parts::Sizes { .. });
    let is_here = folder_of(&path).canonicalize().ok() == settings.output.canonicalize().ok();
    if writes_test && is_here {
        let sha256 = Some(sha256_file(&settings.output.join(&lock.data))?);
        if lock.data_sha256 != sha256 {
            lock.data_sha256 = sha256;
            lock.write(&path)?;
        }
    }
    if plan.parts.contains(&Some(TEST)) && writes_test && path == here {
        errln!("lock     {}: commit it with the data; train and split keep to it", path.display());
    }
    Ok(Some(path))
}
