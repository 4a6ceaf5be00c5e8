//! Which answers these are: what they depend on, as hashes.

use indexmap::IndexMap;
use serde_json::{Value, json};

use crate::config::{Fit, ModelName, PredictSettings, Repeats};
use crate::run::sha256;
use crate::task::Task;

/// Which answers these are; the same for all predictions of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of `Prediction` with these names")]
pub struct Identity {
    pub model_sha256: String,
    pub adapter_sha256: Option<String>,
    pub settings_sha256: String,
}

/// SHA-256 of the settings that can change an answer, the same whichever tasks are asked for.
pub(super) fn settings_sha256(settings: &PredictSettings, tasks: &[Task], budget: usize) -> String {
    sha256(settings_json(settings, tasks, budget).to_string().as_bytes())
}

/// What `settings_sha256` is over, for a manifest.
pub fn settings_json(settings: &PredictSettings, tasks: &[Task], budget: usize) -> Value {
    let sampling = settings.sampling;
    // Then prompts depend on what else is asked.
    let fit = (settings.fit == Fit::Asked && !settings.tasks.is_empty()).then(|| {
        let asked = tasks.iter().map(|task| &task.name).filter(|name| settings.tasks.contains(name));
        asked.collect::<Vec<_>>()
    });
    let greedy = sampling.temperature == 0.0;
    // What only engines here look at.
    let here = !matches!(settings.model, ModelName::Hosted(_));
    let tasks: IndexMap<&str, _> = tasks
        .iter()
        .map(|task| {
            let mut settings = json!({"max_tokens": task.max_tokens, "labels": task.labels});
            if task.wordings != task.labels {
                settings["wordings"] = json!(task.wordings);
            }
            (task.name.as_str(), settings)
        })
        .collect();
    let mut all = json!({
        "label_mode": settings.label_mode,
        "temperature": sampling.temperature,
        "top_p": (!greedy).then_some(sampling.top_p),
        "sampling_seed": (!greedy).then_some(sampling.seed),
        "loop_stop": here.then_some(sampling.loop_stop),
        "kv_type": here.then_some(settings.engine.kv_type),
        "max_prompt_tokens": here.then_some(budget),
        "fit": fit,
        "reproducible": here.then_some(settings.engine.reproducible),
        "tasks": tasks,
    });
    if settings.repeats != Repeats::default() {
        // How often doesn't change any of the answers.
        all["repeats"] = json!({"shuffled": settings.repeats.shuffled, "seed": sampling.seed});
    }
    all
}
