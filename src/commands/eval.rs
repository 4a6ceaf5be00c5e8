//! `reels eval`: predict, score, report.

use anyhow::Result;

use super::predict::predict;
use super::score::score_into;
use super::{Code, folder, threshold};
use crate::config::{PredictSettings, ScoreSettings, Threshold};
use crate::predict::predictions_path;
use crate::prediction::read_predictions;
use crate::prompt::PromptSet;

pub(super) fn run(settings: PredictSettings, score: ScoreSettings, fail_under: &[Threshold]) -> Result<Code> {
    threshold::check(fail_under, &PromptSet::find(settings.prompts.as_deref())?.tasks)?;
    let predicted = predict(&settings, "eval", settings.output.clone())?;
    if predicted.code == Code::Interrupted {
        return Ok(Code::Interrupted);
    }
    let predictions = read_predictions(&predictions_path(&predicted.folder))?;
    let data = predicted.data;
    let scores =
        score_into(&predicted.folder, &predictions, &data.reels, &predicted.prompts.tasks, score, predicted.manifest)?;
    folder::point_latest_at(&predicted.folder)?;
    let judged = threshold::judge(fail_under, &scores);
    Ok(if predicted.code == Code::Done { judged } else { predicted.code })
}
