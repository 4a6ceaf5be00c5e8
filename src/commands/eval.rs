//! `reels eval`: predict, score and report in one directory.

use anyhow::Result;

use super::predict::predict;
use super::score::{asked, restrict, score_into};
use super::{Code, folder, threshold};
use crate::ask::Prompts;
use crate::config::{PredictSettings, ScoringSettings};
use crate::lines::Lines;
use crate::predict::predictions_path;
use crate::score::Join;
use crate::stop::Stop;

pub(super) fn run(settings: PredictSettings, scoring: &ScoringSettings, stop: &Stop) -> Result<Code> {
    let prompts = Prompts::find(&settings)?;
    threshold::check(scoring, &prompts.set.tasks)?;
    let predicted = predict(&settings, prompts, "eval", settings.output.clone(), stop)?;
    if !predicted.ended {
        return Ok(predicted.code);
    }
    let answers = Lines::open(&predictions_path(&predicted.folder), "predictions")?;
    let tasks = &predicted.prompts.tasks;
    let mut join = Join::new(&answers, &predicted.records.lines, tasks)?;
    restrict(&mut join, &asked(&predicted.manifest));
    let scores = score_into(&predicted.folder, &join, &predicted.records, tasks, scoring, predicted.manifest)?;
    predicted.records.problems.warn();
    folder::point_latest_at(&predicted.folder)?;
    let judged = threshold::judge(&scoring.fail_under, &scores);
    Ok(if predicted.code == Code::Done { judged } else { predicted.code })
}
