//! `reels gal`: Generate–Annotate–Learn, a file a stage.

mod ablate;
mod annotate;
mod arms;
mod build;
mod filter;
mod generate;
mod log;
mod plan;
mod report;
mod review;
mod rounds;
mod wanted;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};

use super::locked::announce;
use super::{Code, folder, priced};
use crate::ask::Records;
use crate::cli::{GalCommand, PlanArgs};
use crate::config::SettingsFile;
use crate::data::lock::{Lock, folder_of};
use crate::error::Hint;
use crate::gal::ablation::Ablation;
use crate::gal::checks::Checks;
use crate::reel::Reel;
use crate::stop::Stop;
use crate::task::Task;

/// The records that were written, before anybody looked at them.
const CANDIDATES: &str = "candidates.jsonl";
/// The teacher's answers about them: a folder of predictions.
const ANNOTATED: &str = "annotated";
/// The candidates with labels, kept and rejected.
const ROWS: &str = "rows.jsonl";
/// What each filter did.
const YIELD: &str = "yield.json";

/// What nothing that is kept may be of: the seeds, and what is locked for judging.
struct Against {
    seeds: Vec<Reel>,
    seeds_sha256: String,
    lock: Option<Lock>,
}

impl Against {
    /// The seeds named, else those that generation drew from, with the lock beside them.
    fn of(gal: &Path, seeds: Option<&Path>, lock: Option<&Path>, tasks: &[Task]) -> Result<Against> {
        let drawn_from = || -> Result<PathBuf> {
            let manifest = folder::manifest(&gal.join(generate::FOLDER))?;
            let path = manifest.and_then(|manifest| manifest.data).map(|data| PathBuf::from(data.path));
            path.filter(|path| path.is_file())
                .context("the seeds that were drawn from aren’t where they were")
                .hint("name them by --seeds F.jsonl: rows mustn’t be copies of them")
        };
        let path = seeds.map_or_else(drawn_from, |seeds| Ok(seeds.to_owned()))?;
        let records = Records::open_for(Some(&path), tasks)?;
        let lock = Lock::find(lock, &[gal, folder_of(&path)])?;
        if let Some((path, lock)) = &lock {
            announce(path, lock)?;
        }
        Ok(Against { seeds: records.reels()?, seeds_sha256: records.sha256, lock: lock.map(|(_, lock)| lock) })
    }

    fn checks(&self) -> Checks<'_> {
        Checks::new(&self.seeds, self.lock.as_ref())
    }
}

/// Refuses a folder without the file that an earlier stage writes.
fn needs(path: &Path, stage: &str) -> Result<()> {
    ensure!(path.is_file(), anyhow!("{} is not there", path.display()).hint(format!("`reels gal {stage}` writes it")));
    Ok(())
}

/// What an ablation did.
fn ablation(folder: &Path) -> Result<Ablation> {
    let path = folder.join(ablate::ABLATION);
    let text = std::fs::read(&path).with_context(|| format!("{} can’t be read", path.display()));
    let text = text.hint("`reels gal ablate` writes it")?;
    let ablation = serde_json::from_slice(&text).with_context(|| path.display().to_string());
    ablation.hint("it is of another version: delete the folder, and ablate again")
}

pub(super) fn run(command: GalCommand, file: &SettingsFile, stop: &Stop) -> Result<Code> {
    match command {
        GalCommand::Plan(PlanArgs { generate: args, preview }) => {
            ensure!(preview > 0, "--preview 0 looks at nothing");
            generate::plan(&generate::settings(args, file)?, preview, stop)
        }
        GalCommand::Generate(args) => generate::run(&generate::settings(args, file)?, stop),
        GalCommand::Annotate(args) => {
            let settings = priced(file, file.add("predict", args.settings.clone())?.resolve()?)?;
            annotate::run(&args, settings, stop)
        }
        GalCommand::Filter(args) => filter::run(&args),
        GalCommand::Review(args) => review::run(args),
        GalCommand::Build(args) => build::run(&args),
        GalCommand::Ablate(args) => ablate::run(&args, file, stop),
        GalCommand::Report(args) => report::run(&args),
    }
}
