//! What is seen while a run goes on.

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::config::TrainSettings;
use crate::run::size;
use crate::train::schedule::Schedule;
use crate::train::trainer::{Ending, Event, State};

pub fn bar(schedule: &Schedule, state: &State) -> ProgressBar {
    let bar = ProgressBar::new(schedule.steps as u64).with_position(state.step as u64);
    let style = ProgressStyle::with_template("{wide_bar} step {pos}/{len}, {msg}{eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.reset_eta();
    bar.enable_steady_tick(std::time::Duration::from_millis(500));
    bar
}

pub fn event(bar: &ProgressBar, event: &Event) {
    match event {
        Event::Step(step) => {
            let per_second = step.tokens as f64 / step.seconds;
            bar.set_message(format!("loss {:.3}, {per_second:.0} tokens/s, ", step.loss));
            bar.inc(1);
        }
        Event::Evaluated(evaluation, better) => bar.suspend(|| {
            let note = if *better { ", the best so far" } else { "" };
            errln!("step {}: dev loss {:.4}{note}", evaluation.step, evaluation.dev_loss);
        }),
    }
}

pub fn finished(settings: &TrainSettings, state: &State, ending: Ending, peak_bytes: u64) {
    if ending == Ending::StoppedEarly {
        errln!("stopped early: {} checkpoints in a row were no better", state.since_best);
    }
    errln!(
        "trained {} steps in {:.0} s, {:.0} tokens/s, {} of memory at most",
        state.step,
        state.seconds,
        state.tokens as f64 / state.seconds.max(1e-9),
        size(peak_bytes)
    );
    if let Some([first, last]) = risen(&settings.output) {
        errln!(
            "warning: the loss rose from {first:.3} to {last:.3}: the model answers worse than before\nhint: train with a lower --lr, or more --warmup"
        );
    }
    match state.best {
        Some(best) => errln!("kept: step {}, dev loss {:.4}", best.step, best.dev_loss),
        None => errln!("kept: step {}", state.step),
    }
    errln!("run: {}; `reels report {}` shows its curves", settings.output.display(), settings.output.display());
}

/// The mean losses of the first and last tenth of the steps, where the last is half as much again.
fn risen(run: &Path) -> Option<[f64; 2]> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).ok()?;
    let losses = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()?["loss"].as_f64());
    let losses: Vec<f64> = losses.collect();
    let tenth = losses.len().div_ceil(10);
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    let [first, last] = [&losses[..tenth], &losses[losses.len() - tenth..]].map(mean);
    (last > 1.5 * first).then_some([first, last])
}
