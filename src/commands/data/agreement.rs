//! `reels data agreement`: how far annotators agree.

use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use indexmap::IndexMap;

use super::review::{answers, asked, items, shown};
use crate::annotation::{Kind, Role};
use crate::ask::Records;
use crate::cli::AgreementArgs;
use crate::commands::Code;
use crate::data::review::{Brought, adjudication, by_reel, check_data, disputed, html};
use crate::error::{Hint, environment};
use crate::prompt::PromptSet;
use crate::publish::{write_bytes, write_json};
use crate::report::{TaskAgreement, agreement_markdown, agreement_table};
use crate::score::People;
use crate::task::{Task, TaskKind};

pub(super) fn run(args: &AgreementArgs) -> Result<Code> {
    let prompts = PromptSet::find(args.prompts.as_deref())?;
    let tasks = asked(&prompts.tasks, &args.task, TaskKind::Label)?;
    let brought = answers(&args.files, Kind::Annotations, &prompts.tasks)?;
    let agreements = agreements(&brought, &tasks)?;
    let records = args.data.as_deref().map(|data| Records::open_for(Some(data), &prompts.tasks)).transpose()?;
    if let Some(records) = &records {
        check_data(&brought, &shown(records)?, records.lines.name())?;
    }
    if args.json {
        outln!("{}", serde_json::to_string_pretty(&agreements)?);
    } else {
        outln!("{}", agreement_table(&agreements));
    }
    if let Some(folder) = &args.output {
        std::fs::create_dir_all(folder)
            .map_err(|error| environment(format!("cannot make {}: {error}", folder.display())))?;
        write_json(&folder.join("agreement.json"), &agreements)?;
        write_bytes(&folder.join("agreement.md"), agreement_markdown(&agreements).as_bytes())?;
        errln!("written  {}", folder.join("agreement.md").display());
    }
    if let (Some(page), Some(records)) = (&args.adjudicate, &records) {
        adjudicate(page, records, &tasks, &brought)?;
    }
    Ok(Code::Done)
}

/// By task, where two annotators and more answered.
fn agreements(brought: &[Brought], tasks: &[&Task]) -> Result<IndexMap<String, TaskAgreement>> {
    let mut agreements = IndexMap::new();
    for task in tasks {
        let mut people = People::default();
        for (id, answers) in by_reel(brought) {
            let blind = || answers.iter().filter(|(one, _)| one.answers.role == Role::Annotator);
            let account = blind().find_map(|(_, item)| item.account.as_deref());
            let labels = blind().filter_map(|(one, item)| {
                Some((one.answers.annotator.as_str(), item.answers.get(&task.name)?.as_str()))
            });
            people.add(id, account, task, labels)?;
        }
        if let Some(agreement) = people.agreement(task) {
            let disputed = disputed(brought, task);
            agreements.insert(task.name.clone(), TaskAgreement { labels: task.labels.clone(), agreement, disputed });
        }
    }
    if agreements.is_empty() {
        let who: Vec<String> = brought
            .iter()
            .map(|Brought { file, answers }| {
                format!("{} about {} Reels in {file}", answers.annotator, answers.items.len())
            })
            .collect();
        return Err(anyhow!("no Reel has labels of two annotators: there is {}", who.join(", "))
            .hint("agreement takes answers of two people about the same Reels"));
    }
    Ok(agreements)
}

fn adjudicate(page: &Path, records: &Records, tasks: &[&Task], brought: &[Brought]) -> Result<()> {
    let name = Path::new(records.lines.name()).file_stem().context("the data has no name")?;
    let form = adjudication(&name.to_string_lossy(), items(records)?, tasks, brought);
    ensure!(
        !form.items.is_empty(),
        anyhow!("nothing is disputed, so there is nothing to decide").hint("leave out --adjudicate")
    );
    write_bytes(page, html(&form)?.as_bytes())?;
    errln!("{}: {} Reels to decide", page.display(), form.items.len());
    errln!(
        "hint: `reels data review {} --from … FILE --output …` takes back what all of them answered",
        records.lines.name()
    );
    Ok(())
}
