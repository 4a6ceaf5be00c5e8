//! `reels data review --from-model`: a model as an annotator, who is shown no answer of anybody.

use std::collections::HashMap;

use anyhow::{Context, Result, anyhow, ensure};

use super::review::{asked, items};
use crate::annotation::{Answered, Answers, Kind, Question, Role};
use crate::ask::{Prompts, Records};
use crate::cli::ReviewArgs;
use crate::commands::predict::{finish_manifest, predict};
use crate::commands::{Code, priced};
use crate::config::{ModelName, PredictOverrides, SettingsFile};
use crate::data::review::{Item, sample, version};
use crate::error::Hint;
use crate::predict::predictions_path;
use crate::prediction::{Prediction, read_predictions};
use crate::publish::write_json;
use crate::stop::Stop;
use crate::task::{Task, TaskKind};

/// Answers as an annotator’s file has them; the predictions they are made of stay in a directory beside it.
pub(super) fn run(args: ReviewArgs, model: String, file: &SettingsFile, stop: &Stop) -> Result<Code> {
    let output = args.output.context("the answers need a place").hint("name it by --output F.json")?;
    let folder = output.with_extension("run");
    ensure!(
        folder != output,
        anyhow!("{} is where the predictions go", output.display()).hint("name the answers F.json, say")
    );
    let overrides = PredictOverrides {
        model: Some(model),
        data: Some(args.data.clone()),
        prompts: args.prompts,
        output: Some(folder.clone()),
        hosted: args.hosted,
        ..PredictOverrides::default()
    };
    let mut settings = priced(file, file.add("predict", overrides)?.resolve()?)?;
    // That is asked of predictions; here --sample says how many.
    settings.limit = None;
    let prompts = Prompts::find(&settings)?;
    let tasks: Vec<Task> = asked(&prompts.set.tasks, &args.task, TaskKind::Label)?.into_iter().cloned().collect();
    settings.tasks = tasks.iter().map(|task| task.name.clone()).collect();
    let mut items = items(&Records::open_for(Some(&args.data), &prompts.set.tasks)?)?;
    if let Some(size) = args.sample {
        sample(&mut items, size, args.seed);
        settings.only = Some(items.iter().map(|item| item.id.clone()).collect());
    }
    ensure!(!items.is_empty(), anyhow!("there is no Reel to ask about").hint("give --sample 1 or more"));
    let annotator = match &settings.model {
        ModelName::Hosted(hosted) => hosted.name.clone(),
        ModelName::Gguf(path) => path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        baseline @ ModelName::Baseline(_) => baseline.to_string(),
    };
    let mut predicted = predict(&settings, prompts, "review", Some(folder), stop)?;
    if !predicted.ended {
        return Ok(predicted.code);
    }
    finish_manifest(&predicted.folder, &mut predicted.manifest)?;
    let predictions = read_predictions(&predictions_path(&predicted.folder))?;
    let answers = answers(annotator.to_lowercase(), &tasks, &items, predictions);
    write_json(&output, &answers)?;
    errln!(
        "{}: {} of {} Reels have an answer of {}",
        output.display(),
        answers.items.len(),
        answers.of,
        answers.annotator
    );
    errln!("hint: `reels data agreement {} FILE…` tells how far annotators agree with it", output.display());
    Ok(predicted.code)
}

fn answers(annotator: String, tasks: &[Task], items: &[Item], predictions: Vec<Prediction>) -> Answers {
    let mut by_reel: HashMap<String, Vec<Prediction>> = HashMap::new();
    for prediction in predictions {
        by_reel.entry(prediction.reel_id.clone()).or_default().push(prediction);
    }
    let answered = |item: &Item| {
        let of = by_reel.get(&item.id).map_or(&[][..], Vec::as_slice);
        // A label that is none, or none at all, is no answer.
        let label = |task: &Task| {
            let answer = of.iter().find(|prediction| prediction.task == task.name && prediction.error.is_none())?;
            Some((task.name.clone(), task.labels.iter().find(|label| **label == answer.output)?.clone()))
        };
        Answered {
            id: item.id.clone(),
            account: item.account.clone(),
            shown: item.shown.clone(),
            answers: tasks.iter().filter_map(label).collect(),
            seconds: Some(of.iter().map(|prediction| prediction.seconds).sum()),
            ..Answered::default()
        }
    };
    let questions: Vec<Question> = tasks.iter().map(Question::from).collect();
    Answers {
        v: 1,
        kind: Kind::Annotations,
        form: version(Kind::Annotations, &questions),
        role: Role::Annotator,
        annotator,
        tasks: questions,
        of: items.len(),
        items: items.iter().map(answered).filter(|item| !item.answers.is_empty()).collect(),
    }
}
