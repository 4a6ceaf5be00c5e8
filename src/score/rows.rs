//! Joins predictions with their references and scores each on its own.

use std::collections::HashMap;

use anyhow::{Result, bail, ensure};
use indexmap::{IndexMap, IndexSet};
use rayon::prelude::*;

use super::{classification, rouge};
use crate::prediction::{Finish, Prediction, settings_of};
use crate::reel::Reel;
use crate::scores::Row;
use crate::task::{Task, TaskKind, check_references};

/// One row a prediction, in the order of the tasks, then of the data, then of the repeats.
///
/// A row without a reference has no metrics. A failed answer counts as an empty one.
///
/// # Errors
/// Names what is unknown (Reel, task, gold label), what is mixed (settings, model, adapter) and what was answered
/// twice.
pub fn rows(predictions: &[Prediction], reels: &[Reel], tasks: &[Task]) -> Result<Vec<Row>> {
    ensure!(!predictions.is_empty(), "there are no predictions\nhint: run `reels predict` first");
    check_references(reels, tasks, "data")?;
    refuse_mixed("settings_sha256", settings_of(predictions))?;
    refuse_mixed("model_sha256", predictions.iter().map(|p| p.model_sha256.as_str()).collect())?;
    refuse_mixed(
        "adapter_sha256",
        predictions.iter().map(|p| p.adapter_sha256.as_deref().unwrap_or("none")).collect(),
    )?;

    let order_of_reel: HashMap<&str, usize> = reels.iter().enumerate().map(|(i, reel)| (reel.id.as_str(), i)).collect();
    let order_of_task: HashMap<&str, usize> =
        tasks.iter().enumerate().map(|(i, task)| (task.name.as_str(), i)).collect();
    refuse_unknown(
        "Reel",
        predictions.iter().map(|p| p.reel_id.as_str()),
        &order_of_reel,
        "score with the --data file they were made from",
    )?;
    refuse_unknown(
        "task",
        predictions.iter().map(|p| p.task.as_str()),
        &order_of_task,
        "name their prompts with --prompts",
    )?;

    let mut joined: Vec<_> = predictions
        .iter()
        .map(|p| ((order_of_task[p.task.as_str()], order_of_reel[p.reel_id.as_str()], p.repeat), p))
        .collect();
    joined.sort_by_key(|(place, _)| *place);
    if let Some(pair) = joined.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        let p = pair[0].1;
        bail!(
            "id {:?}, task {:?}, repeat {} was answered twice, to different prompts\nhint: the template or the data changed in between; predict into a new folder",
            p.reel_id,
            p.task,
            p.repeat
        );
    }
    Ok(joined
        .into_par_iter()
        .map_init(rouge::Scorer::default, |scorer, ((task, reel, _), prediction)| {
            row(prediction, &reels[reel], &tasks[task], scorer)
        })
        .collect())
}

fn refuse_mixed(name: &str, values: IndexSet<&str>) -> Result<()> {
    ensure!(
        values.len() <= 1,
        "the predictions mix {} values of {name}: {}\nhint: score one run at a time; give each run its own predictions file",
        values.len(),
        listed(&values)
    );
    Ok(())
}

fn refuse_unknown<'a>(
    what: &str,
    names: impl Iterator<Item = &'a str>,
    known: &HashMap<&str, usize>,
    hint: &str,
) -> Result<()> {
    let unknown: IndexSet<&str> = names.filter(|name| !known.contains_key(name)).collect();
    ensure!(
        unknown.is_empty(),
        "the predictions name {} unknown {what}(s): {}\nhint: {hint}",
        unknown.len(),
        listed(&unknown)
    );
    Ok(())
}

/// The first few: a wrong data file makes hundreds.
fn listed(values: &IndexSet<&str>) -> String {
    const SHOWN: usize = 5;
    let mut parts: Vec<&str> = values.iter().take(SHOWN).copied().collect();
    if values.len() > SHOWN {
        parts.push("…");
    }
    parts.join(", ")
}

fn row(prediction: &Prediction, reel: &Reel, task: &Task, scorer: &mut rouge::Scorer) -> Row {
    let reference = reel.reference.get(&task.name).cloned();
    let metrics = reference.as_deref().map(|reference| metrics(prediction, reference, task, scorer));
    Row {
        v: 1,
        reel_id: prediction.reel_id.clone(),
        account: reel.account.clone(),
        task: task.name.clone(),
        repeat: prediction.repeat,
        prompt: prediction.prompt.clone(),
        reference,
        output: prediction.output.clone(),
        label_logprobs: prediction.label_logprobs.clone(),
        finish: prediction.finish,
        metrics: metrics.unwrap_or_default(),
    }
}

fn metrics(prediction: &Prediction, reference: &str, task: &Task, scorer: &mut rouge::Scorer) -> IndexMap<String, f64> {
    let Prediction { output, finish, .. } = prediction;
    match task.kind {
        TaskKind::Text => {
            let output = if *finish == Finish::Error { "" } else { output };
            let scores = scorer.score(reference, output);
            rouge::METRICS.iter().zip(scores).map(|(key, score)| (key.to_string(), score.f)).collect()
        }
        TaskKind::Label => {
            let label = classification::answer(task, output, *finish).map(|index| &task.labels[index]);
            let correct = label.is_some_and(|label| label == reference);
            IndexMap::from([("correct".to_owned(), f64::from(u8::from(correct)))])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prediction::TokenCounts;
    use crate::task::parse_tasks;

    fn tasks() -> Vec<Task> {
        let text = "[task.summary]\nkind = \"text\"\ntemplate = \"s\"\nmax_tokens = 9\n\
            [task.ad]\nkind = \"label\"\ntemplate = \"a\"\nmax_tokens = 9\nlabels = [\"iklan\", \"bukan iklan\"]\n";
        parse_tasks(text, "tasks.toml").unwrap()
    }

    fn reel(id: &str, summary: Option<&str>) -> Reel {
        let mut reel = Reel { id: id.into(), ..Reel::default() };
        reel.reference.insert("ad".into(), "iklan".into());
        reel.reference.extend(summary.map(|text| ("summary".to_owned(), text.to_owned())));
        reel
    }

    fn prediction(reel_id: &str, task: &str, repeat: u32, output: &str) -> Prediction {
        Prediction {
            v: 1,
            reel_id: reel_id.into(),
            task: task.into(),
            repeat,
            output: output.into(),
            label_logprobs: None,
            finish: Finish::Stop,
            error: None,
            truncated_tokens: 0,
            prompt: format!("{task}?"),
            prompt_sha256: "p".into(),
            model_sha256: "m".into(),
            adapter_sha256: None,
            settings_sha256: "s".into(),
            tokens: TokenCounts::default(),
            seconds: 0.0,
        }
    }

    #[test]
    fn rows_stand_in_the_order_of_tasks_data_and_repeats() {
        let reels = [reel("b", Some("kopi")), reel("a", None)];
        let predictions = [
            prediction("a", "ad", 1, "iklan"),
            prediction("a", "ad", 0, "apa"),
            prediction("b", "ad", 0, "iklan"),
            prediction("a", "summary", 0, "teh"),
            prediction("b", "summary", 0, "Kopi."),
        ];
        let rows = rows(&predictions, &reels, &tasks()).unwrap();
        let seen: Vec<_> = rows
            .iter()
            .map(|row| (row.task.as_str(), row.reel_id.as_str(), row.repeat, row.metrics.get("correct")))
            .collect();
        assert_eq!(
            seen,
            [
                ("summary", "b", 0, None),
                ("summary", "a", 0, None),
                ("ad", "b", 0, Some(&1.0)),
                ("ad", "a", 0, Some(&0.0)),
                ("ad", "a", 1, Some(&1.0)),
            ]
        );
        assert_eq!((rows[0].metrics["rouge1"], rows[0].prompt.as_str()), (1.0, "summary?"));
        assert!(rows[1].reference.is_none() && rows[1].metrics.is_empty());
    }

    #[test]
    fn a_failed_answer_is_wrong_whatever_it_says() {
        let failed = |task| Prediction { finish: Finish::Error, ..prediction("a", task, 0, "iklan") };
        let rows = rows(&[failed("summary"), failed("ad")], &[reel("a", Some("iklan"))], &tasks()).unwrap();
        assert_eq!((rows[0].metrics["rouge1"], rows[1].metrics["correct"]), (0.0, 0.0));
    }

    #[test]
    fn errors_name_the_values_and_the_next_step() {
        let good = prediction("a", "ad", 0, "iklan");
        let other = |change: fn(&mut Prediction)| {
            let mut other = Prediction { repeat: 1, ..good.clone() };
            change(&mut other);
            other
        };
        for (second, expected) in [
            (other(|p| p.reel_id = "z".into()), "the predictions name 1 unknown Reel(s): z\nhint: "),
            (other(|p| p.task = "mood".into()), "the predictions name 1 unknown task(s): mood\nhint: "),
            (other(|p| p.settings_sha256 = "t".into()), "mix 2 values of settings_sha256: s, t\nhint: "),
            (other(|p| p.model_sha256 = "n".into()), "mix 2 values of model_sha256: m, n\nhint: "),
            (other(|p| p.adapter_sha256 = Some("x".into())), "mix 2 values of adapter_sha256: none, x\nhint: "),
            (other(|p| p.repeat = 0), "id \"a\", task \"ad\", repeat 0 was answered twice"),
        ] {
            let message = rows(&[good.clone(), second], &[reel("a", None)], &tasks()).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
        assert!(rows(&[], &[], &tasks()).unwrap_err().to_string().starts_with("there are no predictions"));
    }
}
