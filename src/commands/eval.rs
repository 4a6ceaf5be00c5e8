//! `reels eval`: predict, score, report.

use anyhow::Result;

use super::predict::predict;
use super::score::score_into;
use super::{Code, folder};
use crate::config::{PredictSettings, ScoreSettings};
use crate::predict::predictions_path;
use crate::prediction::read_predictions;

pub(super) fn run(settings: PredictSettings, score: ScoreSettings) -> Result<Code> {
    let predicted = predict(&settings, "eval", settings.output.clone())?;
    if predicted.code == Code::Interrupted {
        return Ok(Code::Interrupted);
    }
    let predictions = read_predictions(&predictions_path(&predicted.folder))?;
    let data = predicted.data;
    score_into(&predicted.folder, &predictions, &data.reels, &predicted.prompts.tasks, score, predicted.manifest)?;
    folder::point_latest_at(&predicted.folder)?;
    Ok(predicted.code)
}
