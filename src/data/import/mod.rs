//! Collectors' files → records: one file a source, each with what it makes of a value and how it is known.

mod apify;
mod files;
mod gallery_dl;
mod gather;
mod graph;
mod heard;
mod instaloader;
mod merge;
mod naming;
mod node;
mod post;
mod record;
mod source;
mod table;
mod told;
mod transcripts;
mod value;
mod web;
mod ytdlp;
mod zeeschuimer;

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Map, Value, json};

pub use self::files::walk;
pub use self::gather::{Gathered, How, WrittenBy, gather};
use self::gather::{Placed, hash};
use self::heard::hear;
pub use self::naming::Naming;
use self::post::Counted;
pub use self::table::Mapping;
pub use self::told::Told;
use self::transcripts::Index;
use super::privacy::Scrubber;
use crate::error::Hint;
use crate::lines::{Lines, Place};
use crate::publish::publish;
use crate::reel::Reel;

/// Writes the Reels that were found into a file of records, beside those that it has: what is known of these already stays as it
/// is, what files tell anew of them is added, and gold answers are kept. With `check` nothing is written.
///
/// # Errors
/// Names the line of the file that is no record, and what can't be written.
pub fn write(mut gathered: Gathered, naming: &Naming, output: &Path, check: bool) -> Result<(Told, Gathered)> {
    let earlier = Earlier::read(output, naming)?;
    let index = Index::new(std::mem::take(&mut gathered.transcripts));
    let scrubber = Scrubber::new(&gathered.handles, &gathered.names);
    let mut writer = Writer { gathered: &gathered, naming, scrubber, index };
    let mut told = Told::default();
    let groups = groups(&gathered);
    let mut of_id: HashMap<u64, usize> = HashMap::new();
    for (number, group) in groups.iter().enumerate() {
        of_id.insert(gathered.posts[group[0]].0, number);
    }
    let mut write = |file: &mut dyn Write| -> Result<()> {
        let mut done = vec![false; groups.len()];
        if let Some(Earlier { lines, ids }) = &earlier {
            for (id, place) in ids {
                let line = lines.at(*place)?;
                match of_id.get(id) {
                    None => told.unchanged += 1,
                    Some(number) => {
                        done[*number] = true;
                        let reel = writer.one(&groups[*number], false, &mut told)?;
                        if let Some(news) = reel.map(|reel| news(&line, reel)).transpose()?.flatten() {
                            told.updated += 1;
                            writeln!(file, "{news}")?;
                            continue;
                        }
                        told.unchanged += 1;
                    }
                }
                file.write_all(&line)?;
                file.write_all(b"\n")?;
            }
        }
        for (group, _) in groups.iter().zip(done).filter(|(_, done)| !done) {
            if let Some(reel) = writer.one(group, true, &mut told)? {
                told.added += 1;
                serde_json::to_writer(&mut *file, &reel)?;
                file.write_all(b"\n")?;
            }
        }
        Ok(())
    };
    if check {
        write(&mut std::io::sink())?
    } else {
        publish(output, |file| write(file))?
    }
    told.unpaired(&writer.index, &gathered);
    Ok((told, gathered))
}

/// Numbers of the posts about each Reel, in the order of the first.
fn groups(gathered: &Gathered) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = vec![];
    let mut of_id: HashMap<u64, usize> = HashMap::new();
    for (number, (id, _)) in gathered.posts.iter().enumerate() {
        match of_id.get(id) {
            Some(group) => groups[*group].push(number),
            None => {
                of_id.insert(*id, groups.len());
                groups.push(vec![number]);
            }
        }
    }
    groups
}

struct Writer<'a> {
    gathered: &'a Gathered,
    naming: &'a Naming,
    scrubber: Scrubber,
    index: Index,
}

impl Writer<'_> {
    /// The Reel that posts are about; `None` where it has to have a text and has none, as labels of a Reel that wasn't collected.
    fn one(&mut self, posts: &[usize], with_text: bool, told: &mut Told) -> Result<Option<Reel>> {
        let Writer { gathered, naming, scrubber, index } = self;
        let placed = |number: &usize| -> Result<Placed> {
            Ok(serde_json::from_slice(&gathered.lines.at(gathered.posts[*number].1)?)?)
        };
        let placed: Vec<Placed> = posts.iter().map(placed).collect::<Result<_>>()?;
        let file = &gathered.files[placed[0].file as usize].path;
        let mut merged = merge::merge(placed, gathered);
        told.merged += posts.len() - 1;
        let own = record::own(&merged.post, gathered);
        let scrub = matches!(naming, Naming::Pseudonyms(_)).then_some((&*scrubber, &own[..]));
        let heard = hear(&mut merged, index, file, scrub);
        if with_text && merged.post.transcript.is_none() && merged.post.caption.is_none() {
            told.textless(&merged, file);
            return Ok(None);
        }
        told.add(&merged);
        let mut reel = record::record(merged, gathered, naming);
        if let (Some((quality, of_it)), Some(source)) = (heard, &mut reel.source) {
            told.heard(&quality);
            source["transcript"] = of_it;
        }
        if let Some((scrubber, own)) = scrub {
            told.scrubbed(&scrubber.scrub_reel(&mut reel, own));
            // A platform's word on a partnership may name the partner.
            if let Some(Value::Object(flags)) = reel.source.as_mut().and_then(|source| source.get_mut("flags")) {
                for flag in flags.values_mut().filter(|flag| flag.is_string()) {
                    *flag = scrubber.scrub(flag.as_str().unwrap_or_default(), own).0.into();
                }
            }
        }
        Ok(Some(reel))
    }
}

/// Records of an earlier import.
struct Earlier {
    lines: Lines,
    /// Hashes of their ids, and where they stand.
    ids: Vec<(u64, Place)>,
}

impl Earlier {
    fn read(path: &Path, naming: &Naming) -> Result<Option<Earlier>> {
        if !path.exists() {
            return Ok(None);
        }
        let lines = Lines::open(path, "records")?;
        let mut ids = vec![];
        lines.each(|line| {
            if line.bytes.trim_ascii().is_empty() {
                return Ok(());
            }
            let record: Value = serde_json::from_slice(line.bytes)
                .with_context(|| format!("{}:{}: not JSON", path.display(), line.place.number))
                .hint("import into another file with --output")?;
            let id = record["id"].as_str().ok_or_else(|| {
                anyhow!("{}:{}: no id", path.display(), line.place.number)
                    .hint("import into another file with --output")
            })?;
            ensure!(
                naming.made(id),
                anyhow!(
                    "{}:{}: id {id:?} is {} and new ones are to be {}",
                    path.display(),
                    line.place.number,
                    naming.other(),
                    naming.word()
                )
                .hint("import into another file with --output; --raw keeps names as they are")
            );
            ids.push((hash(&id), line.place));
            Ok(())
        })?;
        Ok(Some(Earlier { lines, ids }))
    }
}

/// An earlier record with what files tell anew; `None` where they tell nothing.
fn news(earlier: &[u8], reel: Reel) -> Result<Option<Value>> {
    let earlier: Value = serde_json::from_slice(earlier)?;
    let files = |record: &Value| record["source"]["files"].as_array().cloned().unwrap_or_default();
    let now = serde_json::to_value(&reel)?;
    let mut all = files(&earlier);
    let known: Vec<Value> = all.iter().map(|file| file["sha256"].clone()).collect();
    let new: Vec<Value> = files(&now).into_iter().filter(|file| !known.contains(&file["sha256"])).collect();
    if new.is_empty() {
        return Ok(None);
    }
    let newer = collected_at(&now) >= collected_at(&earlier);
    let mut record = earlier.clone();
    let is_unknown = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    for (field, value) in now.as_object().into_iter().flatten().filter(|(_, value)| !is_unknown(value)) {
        if field == "source" || field == "reference" || !(newer || is_unknown(&record[field])) {
            continue;
        }
        record[field] = value.clone();
    }
    for (task, gold) in now["reference"].as_object().into_iter().flatten() {
        if record["reference"][task].is_null() {
            record["reference"][task] = gold.clone();
        }
    }
    all.extend(new);
    record["source"]["files"] = json!(all);
    let mut counts = counts(&earlier);
    counts.extend(self::counts(&now).into_iter().filter(|counted| !counts.contains(counted)).collect::<Vec<_>>());
    record["source"]["counts"] = json!(counts);
    for (counted, why) in now["source"]["unknown"].as_object().into_iter().flatten() {
        if record[counted].is_null() {
            record["source"]["unknown"][counted] = why.clone();
        }
    }
    if let Some(unknown) = record["source"]["unknown"].as_object().cloned() {
        let still = unknown.into_iter().filter(|(counted, _)| record[counted].is_null());
        record["source"]["unknown"] = Value::Object(still.collect());
    }
    Ok(Some(record))
}

/// When the newest of a record's files was collected.
fn collected_at(record: &Value) -> Option<&str> {
    let files = record["source"]["files"].as_array().into_iter().flatten();
    files.filter_map(|file| file["collected_at"].as_str()).max()
}

/// A record's counts with their times; where it had no others, those that it has.
fn counts(record: &Value) -> Vec<Value> {
    if let Some(counts) = record["source"]["counts"].as_array() {
        return counts.clone();
    }
    let known = Counted::ALL.map(Counted::name).into_iter().filter(|counted| !record[*counted].is_null());
    let mut told: Map<String, Value> = known.map(|counted| (counted.to_owned(), record[counted].clone())).collect();
    told.insert("at".to_owned(), json!(collected_at(record)));
    vec![Value::Object(told)]
}
