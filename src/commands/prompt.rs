//! `reels prompt`: look at prompts, or write a set to work on.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};

use super::Code;
use crate::ask::{Answerer, Format, Prompts, Records};
use crate::cli::{PromptCommand, RenderArgs};
use crate::config::{ModelName, PromptOverrides, SettingsFile};
use crate::error::Hint;
use crate::predict::select_tasks;
use crate::prompt::{FitError, PromptSet, fit, without_control_tokens};

pub(super) fn run(command: PromptCommand, file: &SettingsFile) -> Result<Code> {
    match command {
        PromptCommand::List { prompts } => {
            let settings = file.add("prompt", PromptOverrides { prompts, ..PromptOverrides::default() })?;
            list(&PromptSet::find(settings.prompts.as_deref())?);
        }
        PromptCommand::Render(args) => render(args, file)?,
        PromptCommand::Eject { folder } => eject(&folder)?,
    }
    Ok(Code::Done)
}

fn list(prompts: &PromptSet) {
    errln!("prompts: {}", prompts.source);
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["task", "kind", "template", "max tokens", "labels"]);
    for task in &prompts.tasks {
        let kind = format!("{:?}", task.kind).to_lowercase();
        let label = |(wording, label): (&String, &String)| match wording == label {
            true => label.clone(),
            false => format!("{wording} (in references {label})"),
        };
        let labels: Vec<String> = task.wordings.iter().zip(&task.labels).map(label).collect();
        table.add_row([&task.name, &kind, &task.template, &task.max_tokens.to_string(), &labels.join(", ")]);
    }
    outln!("{table}");
}

fn render(args: RenderArgs, file: &SettingsFile) -> Result<()> {
    let (settings, of_model) = file.add("prompt", args.settings)?.resolve()?;
    let found =
        if of_model { Prompts::find(&settings)? } else { Prompts::of(PromptSet::find(settings.prompts.as_deref())?) };
    let prompts = &found.set;
    let tasks = select_tasks(&prompts.tasks, &settings.tasks)?;
    let records = Records::open(settings.data.as_deref())?;
    let reels = records.reels()?;
    let reel = match &args.id {
        None => &reels[0],
        Some(id) => reels
            .iter()
            .find(|reel| reel.id == *id)
            .with_context(|| format!("{} has no record {id:?}", records.lines.name()))
            .with_hint(|| format!("ids look like {:?}", reels[0].id))?,
    };
    if let Some(reason) = &reel.unusable {
        bail!("{reason}");
    }
    let is_hosted = matches!(settings.model, ModelName::Hosted(_));
    if !of_model || is_hosted {
        let reel = if is_hosted { &without_control_tokens(reel) } else { reel };
        for task in tasks.into_iter().map(|index| &prompts.tasks[index]) {
            for message in prompts.render(reel, task)? {
                outln!("--- {}: {}\n{}", task.name, message.role, message.content);
            }
        }
        prompts.warnings().iter().for_each(|warning| errln!("{warning}"));
        return Ok(());
    }
    let answerer = Answerer::open(&settings, &prompts.tasks)?;
    let Format::Chat { chat, tokenizer, budget } = answerer.format(answerer.budget(&settings, &found)?) else {
        bail!(anyhow!("{} reads no prompt", settings.model).hint("name a .gguf file with --model"));
    };
    let rendered = fit(reel, prompts, chat, tokenizer, budget)
        .map_err(FitError::into_error)
        .with_context(|| format!("record {:?}", reel.id))?;
    for index in tasks {
        let prompt = &rendered[index];
        outln!(
            "--- {}: {} tokens, {} left out",
            prompts.tasks[index].name,
            prompt.tokens.len(),
            prompt.truncated_tokens
        );
        outln!("{}", prompt.text);
    }
    prompts.warnings().iter().for_each(|warning| errln!("{warning}"));
    Ok(())
}

fn eject(folder: &Path) -> Result<()> {
    let prompts = PromptSet::embedded()?;
    if let Some(name) = prompts.file_names().find(|name| folder.join(name).exists()) {
        bail!(
            anyhow!("{} is there already", folder.join(name).display())
                .hint("name another folder: reels prompt eject DIR")
        );
    }
    prompts.write_to(folder)?;
    errln!(
        "wrote {} files to {}; use them with --prompts {}",
        prompts.file_names().count(),
        folder.display(),
        folder.display()
    );
    Ok(())
}
