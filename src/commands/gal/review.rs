//! `reels gal review`: kept and rejected rows, drawn at random, for people who don't know which is which.

use std::io::Write;

use anyhow::{Result, anyhow, ensure};

use super::{ROWS, needs};
use crate::cli::{GalReviewArgs, ReviewArgs};
use crate::commands::{Code, data};
use crate::config::HostedOverrides;
use crate::error::Hint;
use crate::gal::row::each_row;
use crate::publish::publish;
use crate::reel::Reel;
use crate::run::sha256;

/// The rows that are asked about, without what anybody said of them.
const REVIEW: &str = "review.jsonl";

pub(super) fn run(args: GalReviewArgs) -> Result<Code> {
    let GalReviewArgs { folder, sample, seed, to, output, task, annotator } = args;
    let rows = folder.join(ROWS);
    needs(&rows, &format!("filter {}", folder.display()))?;
    ensure!(sample >= 2, anyhow!("--sample {sample} has no room for kept and rejected rows").hint("give 2 or more"));
    let (mut kept, mut rejected): (Vec<Reel>, Vec<Reel>) = (vec![], vec![]);
    each_row(&rows, &mut |row, origin| {
        match origin.rejected.as_deref() {
            None => kept.push(row),
            // What is locked is shown to nobody; and of others there may be nothing to read.
            Some("locked") => {}
            Some(_) => rejected.extend(row.transcript.is_some().then_some(row)),
        }
        Ok(())
    })?;
    for rows in [&mut kept, &mut rejected] {
        rows.sort_by_cached_key(|row| sha256(format!("gal review\n{seed}\n{}", row.id).as_bytes()));
    }
    // Half of each; where there are fewer of one, more of the other.
    let of_rejected = (sample / 2).max(sample.saturating_sub(kept.len())).min(rejected.len());
    let of_kept = (sample - of_rejected).min(kept.len());
    let drawn: Vec<Reel> = kept.drain(..of_kept).chain(rejected.drain(..of_rejected)).collect();
    let mut blind: Vec<Reel> =
        drawn.into_iter().map(|row| Reel { reference: [].into(), soft: None, source: None, ..row }).collect();
    blind.sort_by(|a, b| a.id.cmp(&b.id));
    let review = folder.join(REVIEW);
    publish(&review, |file| {
        for row in &blind {
            serde_json::to_writer(&mut *file, row)?;
            file.write_all(b"\n")?;
        }
        Ok(())
    })?;
    errln!("{}: {of_kept} kept and {of_rejected} rejected rows", review.display());
    let code = data::review(&ReviewArgs {
        data: review.clone(),
        to: Some(to),
        from: vec![],
        from_model: None,
        output: Some(output),
        task,
        runs: vec![],
        show_answers: None,
        sample: None,
        seed,
        annotator,
        prompts: Some(folder.join(super::ANNOTATED).join("prompts")),
        hosted: HostedOverrides::default(),
    })?;
    errln!(
        "hint: `reels data agreement FILE… {}` tells how far people agree with each other and with the teacher",
        rows.display()
    );
    Ok(code)
}
