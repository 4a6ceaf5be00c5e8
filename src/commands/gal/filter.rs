//! `reels gal filter`: which candidates are fit to learn from, and why the others aren't.

use std::io::Write;

use anyhow::{Result, anyhow, ensure};
use comfy_table::{Table, presets};
use serde_json::{Map, Value, json};

use super::{ANNOTATED, Against, CANDIDATES, ROWS, YIELD, generate, needs};
use crate::cli::GalFilterArgs;
use crate::commands::{Code, folder};
use crate::error::Hint;
use crate::gal::filter::{Filtered, Limits, answers as read, filter, says_nothing_of_sureness};
use crate::predict::predictions_path;
use crate::prompt::PromptSet;
use crate::publish::{publish, write_json};
use crate::run::{sha256_file, timestamp};
use crate::task::Task;

pub(super) fn run(args: &GalFilterArgs) -> Result<Code> {
    let GalFilterArgs { folder: gal, seeds, lock, confidence, agreement, per_label, hard } = args;
    for (flag, value) in [("confidence", *confidence), ("agreement", *agreement)] {
        ensure!(
            (0.0..=1.0).contains(&value),
            anyhow!("--{flag} {value} is not between 0 and 1").hint("0 takes all, 1 only what is certain")
        );
    }
    let candidates = gal.join(CANDIDATES);
    let answers = predictions_path(&gal.join(ANNOTATED));
    needs(&candidates, &format!("generate SEEDS --output {}", gal.display()))?;
    needs(&answers, &format!("annotate {}", gal.display()))?;
    let prompts = PromptSet::find(Some(&gal.join(ANNOTATED).join("prompts")))?;
    let manifest = folder::manifest(&gal.join(ANNOTATED))?.unwrap_or_default();
    ensure!(
        manifest.finished_at.is_some(),
        anyhow!("the teacher has not answered all of it")
            .hint("`reels gal annotate` with the same flags goes on from there")
    );
    // Those that the teacher was asked.
    let tasks: Vec<Task> =
        prompts.tasks.iter().filter(|task| manifest.asked.contains_key(&task.name)).cloned().collect();
    let teacher = manifest.model.as_ref().map(|model| model.name.clone());
    let against = Against::of(gal, seeds.as_deref(), lock.as_deref(), &prompts.tasks)?;
    let limits = Limits { confidence: *confidence, agreement: *agreement, per_label: *per_label, hard: *hard };
    let said = read(&answers, &tasks)?;
    if says_nothing_of_sureness(&said) {
        errln!(
            "warning: the teacher gave a label once and no probabilities: --confidence and --agreement reject nothing of it\nhint: \
             `reels gal annotate` with --samples 3 asks it twice more"
        );
    }
    let mut filtered = Filtered::default();
    publish(&gal.join(ROWS), |file| {
        filtered = filter(&candidates, &said, &tasks, teacher.as_deref(), against.checks(), &limits, &mut |row| {
            serde_json::to_writer(&mut *file, row)?;
            Ok(file.write_all(b"\n")?)
        })?;
        Ok(())
    })?;
    let kept = filtered.kept;
    let summary = json!({
        "v": 1,
        "made_at": timestamp(),
        "candidates_sha256": sha256_file(&candidates)?,
        "answers_sha256": sha256_file(&answers)?,
        "rows_sha256": sha256_file(&gal.join(ROWS))?,
        "seeds_sha256": against.seeds_sha256,
        "locked": against.lock.as_ref().map(|lock| lock.records.len()),
        "teacher": manifest.model,
        "settings": {"confidence": confidence, "agreement": agreement, "per_label": per_label, "hard": hard},
        "kept": kept,
        "labels": filtered.labels,
        "yields": filtered.yields,
        "assigned": filtered.assigned,
    });
    write_json(&gal.join(YIELD), &summary)?;
    outln!("{}", table(&filtered));
    errln!("{}: {kept} of {} rows are kept", gal.join(ROWS).display(), filtered.rows);
    for (task, labels) in &filtered.labels {
        let each: Vec<String> = labels.iter().map(|(label, rows)| format!("{label} {rows}")).collect();
        errln!("{task:<8} {}", each.join(", "));
    }
    ensure!(
        kept > 0,
        anyhow!("no row is kept: the table says which filter rejects most")
            .hint("lower --confidence or --agreement, or generate more with another model or template")
    );
    let generated = folder::manifest(&gal.join(generate::FOLDER))?.unwrap_or_default();
    if let Some(hint) = short(&generated.other, &filtered) {
        errln!("{hint}");
    }
    Ok(Code::Done)
}

/// Which labels have fewer rows than generation was to get, and how many texts would get them.
fn short(generated: &Map<String, Value>, filtered: &Filtered) -> Option<String> {
    let wanted = generated.get("wanted")?.as_u64()?;
    let requested = filtered.assigned.keys().next()?;
    let labels = filtered.labels.get(requested)?;
    let kept = |label: &str| labels.get(label).copied().unwrap_or(0) as u64;
    let classes: Vec<(&str, u64)> = generated
        .get("classes")?
        .as_array()?
        .iter()
        .filter_map(|class| Some((class["label"].as_str()?, class["accepted"].as_u64()?)))
        .collect();
    let short: Vec<&(&str, u64)> = classes.iter().filter(|(label, _)| kept(label) < wanted).collect();
    let named: Vec<String> = short.iter().map(|(label, _)| format!("{label} {}", kept(label))).collect();
    // As many times the texts as the rows that are kept are too few.
    let more = short.iter().map(|(label, passed)| (passed * wanted).div_ceil(kept(label).max(1))).max()?;
    Some(format!(
        "fewer than the {wanted} asked for: {}\nhint: `reels gal generate` with --accepted {more} goes on from there; then annotate and filter again",
        named.join(", ")
    ))
}

fn table(filtered: &Filtered) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["filter", "came", "rejected", "left"]);
    table.add_rows(filtered.yields.iter().map(|step| {
        [step.filter.clone(), step.came.to_string(), step.rejected.to_string(), (step.came - step.rejected).to_string()]
    }));
    table
}
