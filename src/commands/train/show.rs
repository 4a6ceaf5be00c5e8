//! What is seen while a run goes on.

use indicatif::{ProgressBar, ProgressStyle};

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
    match state.best {
        Some(best) => errln!("kept: step {}, dev loss {:.4}", best.step, best.dev_loss),
        None => errln!("kept: step {}", state.step),
    }
    errln!("run: {}; `reels report {}` shows its curves", settings.output.display(), settings.output.display());
}
