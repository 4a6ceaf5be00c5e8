//! `reels data stats`: what there is in a set of records.

use anyhow::{Result, bail};
use indexmap::IndexMap;

use super::Code;
use crate::annotation::{Annotation, Role};
use crate::ask::{Answerer, Format, Prompts, Records};
use crate::cli::StatsArgs;
use crate::config::{PredictSettings, PromptOverrides, SettingsFile};
use crate::data::stats::{Histogram, Spread, Tokens, stats};
use crate::error::Hint;
use crate::prompt::{FitError, PromptSet, fit};
use crate::publish::{write_bytes, write_json};
use crate::reel::each_reel;
use crate::report::{data_card, data_html, data_sentences};
use crate::score::People;
use crate::scores::Agreement;
use crate::task::{Task, TaskKind};

pub(super) fn run(args: StatsArgs, file: &SettingsFile) -> Result<Code> {
    let StatsArgs { data, prompts, model, max_prompt_tokens, output } = args;
    let of = PromptOverrides { prompts, model, max_prompt_tokens, data: Some(data), task: None };
    let (settings, of_model) = file.add("prompt", of)?.resolve()?;
    let found =
        if of_model { Prompts::find(&settings)? } else { Prompts::of(PromptSet::find(settings.prompts.as_deref())?) };
    // Labels that are none of the task’s are counted too.
    let records = Records::open(settings.data.as_deref())?;
    records.problems.refuse(false)?;
    let mut stats = stats(&records, &found.set.tasks)?;
    stats.agreement = agreement(&records, &found.set.tasks)?;
    stats.tokens = of_model.then(|| tokens(&settings, &found, &records)).transpose()?;
    data_sentences(&stats).iter().for_each(|sentence| outln!("{sentence}"));
    let unknown: Vec<String> = stats.missing.iter().map(|(field, count)| format!("{field} {count}")).collect();
    outln!("Unknown: {}.", unknown.join(", "));
    records.problems.warn();
    if let Some(folder) = output {
        std::fs::create_dir_all(&folder)?;
        write_json(&folder.join("data.json"), &stats)?;
        write_bytes(&folder.join("data.md"), data_card(&stats).as_bytes())?;
        write_bytes(&folder.join("data.html"), data_html(&stats)?.as_bytes())?;
        errln!("page: {}", folder.join("data.html").display());
    }
    Ok(if records.problems.unusable > 0 { Code::SomeFailed } else { Code::Done })
}

/// By label task that two annotators and more labelled, how far they agree.
fn agreement(records: &Records, tasks: &[Task]) -> Result<IndexMap<String, Agreement>> {
    let mut agreements = IndexMap::new();
    for task in tasks.iter().filter(|task| task.kind == TaskKind::Label) {
        let mut people = People::default();
        each_reel(&records.lines, |reel, _| {
            let answers = reel.annotations.get(&task.name).into_iter().flatten();
            // Labels that are none of the task's were answers to another version of it.
            let counts = |label: &Annotation| label.role == Role::Annotator && task.labels.contains(&label.answer);
            let blind = answers.filter(|annotation| counts(annotation));
            let labels = blind.map(|annotation| (annotation.by.as_str(), annotation.answer.as_str()));
            people.add(&reel.id, reel.account.as_deref(), task, labels)
        })?;
        agreements.extend(people.agreement(task).map(|agreement| (task.name.clone(), agreement)));
    }
    Ok(agreements)
}

/// Renders every prompt, as a prediction would.
fn tokens(settings: &PredictSettings, found: &Prompts, records: &Records) -> Result<Tokens> {
    let answerer = Answerer::open(settings, &found.set.tasks)?;
    let budget = answerer.budget(settings, found)?;
    let Format::Chat { chat, tokenizer, budget } = answerer.format(budget) else {
        bail!(anyhow::anyhow!("{} counts no tokens here", settings.model).hint("name a .gguf file with --model"));
    };
    let (mut longest, mut left_out, mut none_fits) = (vec![], vec![], 0);
    each_reel(&records.lines, |reel, _| {
        if reel.unusable.is_some() {
            return Ok(());
        }
        match fit(&reel, &found.set, chat, tokenizer, budget) {
            Ok(prompts) => {
                let whole = prompts.iter().map(|prompt| prompt.tokens.len() + prompt.truncated_tokens).max();
                longest.extend(whole.map(|tokens| tokens as f64));
                let cut = prompts.iter().map(|prompt| prompt.truncated_tokens).max().filter(|cut| *cut > 0);
                left_out.extend(cut.map(|cut| cut as f64));
            }
            Err(FitError::TooLong { .. }) => none_fits += 1,
            Err(error) => return Err(error.into_error()),
        }
        Ok(())
    })?;
    let model = settings.model.to_string();
    Ok(Tokens {
        model,
        budget,
        cut: left_out.len(),
        prompt: Histogram::of(longest, 20),
        left_out: Spread::of(&mut left_out),
        none_fits,
    })
}
