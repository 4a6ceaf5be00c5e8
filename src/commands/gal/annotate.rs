//! `reels gal annotate`: a teacher's answers to all tasks about the candidates whose texts pass, several times, its labels in
//! another order each.

use anyhow::{Result, anyhow, ensure};

use super::{ANNOTATED, Against, CANDIDATES, needs};
use crate::ask::Prompts;
use crate::cli::GalAnnotateArgs;
use crate::commands::Code;
use crate::commands::predict::{finish_manifest, predict};
use crate::config::{PredictSettings, Repeats};
use crate::error::Hint;
use crate::gal::checks::passing;
use crate::gal::row::each_row;
use crate::stop::Stop;

/// Answers are predictions, kept beside the candidates.
pub(super) fn run(args: &GalAnnotateArgs, mut settings: PredictSettings, stop: &Stop) -> Result<Code> {
    let GalAnnotateArgs { folder, samples, seeds, lock, .. } = args;
    let of_predict = [
        ("--data", args.settings.data.is_some()),
        ("--output", args.settings.output.is_some()),
        ("--limit", args.settings.limit.is_some()),
        ("--shard", args.settings.shard.is_some()),
    ];
    if let Some((flag, _)) = of_predict.iter().find(|(_, given)| *given) {
        return Err(anyhow!("{flag} is not for `reels gal annotate`")
            .hint("it asks about what passes in the folder, and writes there"));
    }
    let path = folder.join(CANDIDATES);
    needs(&path, &format!("generate SEEDS --output {}", folder.display()))?;
    let prompts = Prompts::find(&settings)?;
    let against = Against::of(folder, seeds.as_deref(), lock.as_deref(), &prompts.set.tasks)?;
    let mut candidates = vec![];
    each_row(&path, &mut |reel, origin| {
        candidates.push((reel, origin));
        Ok(())
    })?;
    // A teacher is asked, and paid, for what can be kept.
    let passes = passing(&candidates, against.checks());
    errln!("texts    {} of {} candidates pass the filters for texts", passes.len(), candidates.len());
    ensure!(
        !passes.is_empty(),
        anyhow!("there is no candidate to ask about").hint(format!(
            "`reels gal generate` says why, or change its --template or --model; they are in {}",
            path.display()
        ))
    );
    settings.only = Some(passes);
    settings.data = Some(path);
    settings.limit = None;
    settings.repeats = Repeats { count: *samples, shuffled: true };
    let mut predicted = predict(&settings, prompts, "gal annotate", Some(folder.join(ANNOTATED)), stop)?;
    if predicted.ended {
        finish_manifest(&predicted.folder, &mut predicted.manifest)?;
        errln!("hint: `reels gal filter {}` tells what of it can be learned from", folder.display());
    }
    Ok(predicted.code)
}
