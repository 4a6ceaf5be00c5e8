//! `reels gal build`: real records and generated rows in one file to train on.

use std::io::Write;

use anyhow::{Result, anyhow, ensure};
use serde_json::json;

use super::ROWS;
use crate::ask::Records;
use crate::cli::GalBuildArgs;
use crate::commands::{Code, locked::announce};
use crate::data::known::Known;
use crate::data::lock::{Index, Lock, folder_of};
use crate::data::overlap::listed;
use crate::error::Hint;
use crate::gal::row::Origin;
use crate::publish::{publish, write_json};
use crate::reel::Reel;
use crate::run::{sha256, sha256_file, timestamp};

/// Ids that are named.
const SHOWN: usize = 5;

pub(super) fn run(args: &GalBuildArgs) -> Result<Code> {
    let GalBuildArgs { folder, real, ratio, seed, lock, output } = args;
    ensure!(ratio.is_finite() && *ratio > 0.0, "--ratio {ratio} is not above 0");
    let rows = folder.join(ROWS);
    ensure!(
        rows.is_file(),
        anyhow!("{} is not there", rows.display()).hint(format!("`reels gal filter {}` writes it", folder.display()))
    );
    let records = Records::open(Some(real))?;
    let mut all: Vec<Reel> = records.reels()?.into_iter().filter(|reel| reel.unusable.is_none()).collect();
    let people = all.len();
    let mut kept: Vec<Reel> = vec![];
    for row in Records::open(Some(&rows))?.reels()? {
        if Origin::of(&row)?.rejected.is_none() {
            kept.push(row);
        }
    }
    let wanted = (people as f64 * ratio).round() as usize;
    ensure!(
        kept.len() >= wanted,
        anyhow!("--ratio {ratio} takes {wanted} generated rows for {people} real ones, and {} are kept", kept.len())
            .hint(format!(
                "generate more, or give --ratio {:.2}",
                (kept.len() as f64 / people as f64 * 100.0).floor() / 100.0
            ))
    );
    // By chance, and of a larger ratio these too.
    kept.sort_by_cached_key(|row| sha256(format!("gal build\n{seed}\n{}", row.id).as_bytes()));
    kept.truncate(wanted);
    kept.sort_by(|a, b| a.id.cmp(&b.id));
    all.extend(kept);
    let lock = Lock::find(lock.as_deref(), &[folder_of(real), folder])?;
    if let Some((path, lock)) = &lock {
        announce(path, lock)?;
        let index = Index::of(lock);
        let held: Vec<&String> =
            all.iter().filter(|reel| index.holds(&Known::from(*reel)).is_some()).map(|reel| &reel.id).collect();
        ensure!(
            held.is_empty(),
            anyhow!("{} rows are what the lock keeps for judging: {}", held.len(), listed(&held, SHOWN))
                .hint("filter with this lock, and give real records of the training part")
        );
    }
    publish(output, |file| {
        for reel in &all {
            serde_json::to_writer(&mut *file, reel)?;
            file.write_all(b"\n")?;
        }
        Ok(())
    })?;
    let manifest = json!({
        "v": 1,
        "command": "gal build",
        "made_at": timestamp(),
        "crate_version": env!("CARGO_PKG_VERSION"),
        "real": {"path": real.display().to_string(), "sha256": records.sha256, "records": people},
        "generated": {"path": rows.display().to_string(), "sha256": sha256_file(&rows)?, "records": wanted},
        "ratio": ratio,
        "seed": seed,
        "locked": lock.map(|(_, lock)| lock.records.len()),
        "sha256": sha256_file(output)?,
    });
    let beside = output.with_extension("manifest.json");
    write_json(&beside, &manifest)?;
    errln!("{}: {people} real records and {wanted} generated rows", output.display());
    errln!("hint: `reels train --data {}` learns soft labels as weighted examples", output.display());
    Ok(Code::Done)
}
