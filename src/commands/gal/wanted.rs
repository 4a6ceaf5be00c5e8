//! What is asked for, and that it may be.

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Value, json};

use crate::config::GenerateSettings;
use crate::data::known::Known;
use crate::data::lock::{Index, Lock};
use crate::error::{Hint, did_you_mean};
use crate::gal::generate::Wish;
use crate::prompt::Generation;
use crate::task::{Task, TaskKind};

/// The label task whose labels are asked for.
pub(super) fn class_task<'a>(settings: &GenerateSettings, tasks: &'a [Task]) -> Result<Option<&'a Task>> {
    let labelled = || tasks.iter().filter(|task| task.kind == TaskKind::Label);
    match settings.task.as_deref() {
        Some("") => Ok(None),
        None => Ok(labelled().next()),
        Some(name) => {
            let known: Vec<&str> = labelled().map(|task| task.name.as_str()).collect();
            let task = labelled().find(|task| task.name == name);
            let task = task.with_context(|| format!("--task {name} is no label task"));
            Ok(Some(task.hint(format!("there are {}, or none", known.join(", ")))?))
        }
    }
}

/// The labels asked for.
pub(super) fn labels(settings: &GenerateSettings, task: Option<&Task>) -> Result<Vec<String>> {
    let Some(task) = task else {
        ensure!(
            settings.labels.is_empty(),
            anyhow!("--label {} belongs to no task", settings.labels.join(",")).hint("name its --task")
        );
        return Ok(vec![]);
    };
    if let Some(label) = settings.labels.iter().find(|label| !task.labels.contains(label)) {
        bail!(anyhow!("--label {label} is none of the labels of {}", task.name).hint(format!(
            "{}there are {}",
            did_you_mean(label, &task.labels),
            task.labels.join(", ")
        )));
    }
    let wanted = |label: &&String| settings.labels.is_empty() || settings.labels.contains(label);
    Ok(task.labels.iter().filter(wanted).cloned().collect())
}

/// Refuses a prompt that quotes what a model is judged by.
pub(super) fn refuse_what_is_locked(
    generation: &Generation,
    task: Option<&Task>,
    labels: &[String],
    lock: Option<&Lock>,
) -> Result<()> {
    let Some(lock) = lock else { return Ok(()) };
    let index = Index::of(lock);
    for [system, user] in said(generation, task, labels)? {
        let known = Known { text: format!("{system}\n{user}"), ..Known::default() };
        ensure!(
            index.holds(&known).is_none(),
            anyhow!("{} quotes a Reel that is locked for judging", generation.source)
                .hint("take the example from other data; labels and what they mean stand in tasks.toml")
        );
    }
    Ok(())
}

/// What is said of each label, or of none.
pub(super) fn said(generation: &Generation, task: Option<&Task>, labels: &[String]) -> Result<Vec<[String; 2]>> {
    let Some(task) = task else { return Ok(vec![generation.render("", None)?]) };
    let render = |label: &String| generation.render(&task.name, Some((task.wording(label), description(task, label))));
    labels.iter().map(render).collect()
}

pub(super) fn description<'a>(task: &'a Task, label: &str) -> Option<&'a str> {
    task.descriptions.get(task.wording(label)).map(String::as_str)
}

/// What can change a candidate; more may be asked for in the same folder.
pub(super) fn settings_json(settings: &GenerateSettings, wish: &Wish, seeds_sha256: &str, texts_sha256: &str) -> Value {
    let [temperature, top_p] = settings.predict.sampling.decimals();
    json!({
        "task": wish.classes.as_ref().map(|(task, _)| task),
        "shots": wish.shots,
        "seed": wish.seed,
        "seeds_sha256": seeds_sha256,
        "texts_sha256": texts_sha256,
        "temperature": temperature,
        "top_p": top_p,
        "reel_tokens": settings.reel_tokens,
        "reproducible": settings.predict.engine.reproducible,
    })
}
