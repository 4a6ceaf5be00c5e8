//! `reels gal annotate`: a teacher's answers to all tasks about the candidates, several times, its labels in another order each.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::{ANNOTATED, CANDIDATES};
use crate::ask::Prompts;
use crate::commands::Code;
use crate::commands::predict::{finish_manifest, predict};
use crate::config::{PredictSettings, Repeats};
use crate::error::Hint;
use crate::predict::predictions_path;
use crate::stop::Stop;

/// Answers are predictions, kept beside the candidates.
pub(super) fn run(folder: &PathBuf, samples: u32, mut settings: PredictSettings, stop: &Stop) -> Result<Code> {
    let candidates = folder.join(CANDIDATES);
    ensure!(
        candidates.is_file(),
        anyhow::anyhow!("{} is not there", candidates.display())
            .hint(format!("`reels gal generate SEEDS --output {}` writes it", folder.display()))
    );
    settings.data = Some(candidates);
    settings.limit = None;
    settings.repeats = Repeats { count: samples, shuffled: true };
    let prompts = Prompts::find(&settings)?;
    let mut predicted = predict(&settings, prompts, "gal annotate", Some(folder.join(ANNOTATED)), stop)?;
    if predicted.ended {
        finish_manifest(&predicted.folder, &mut predicted.manifest)?;
    }
    errln!("answers: {}", predictions_path(&predicted.folder).display());
    Ok(predicted.code)
}
