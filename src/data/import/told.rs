//! What an import did, as it is shown at the end.

use std::collections::BTreeMap;
use std::fmt;

use super::gather::{Count, Gathered};
use super::merge::Merged;
use super::post::Counted;
use crate::data::privacy::Counts;

/// Contradictions and files named; more are counted.
const SHOWN: usize = 8;

/// Of the Reels from one source.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct OfSource {
    reels: usize,
    unknown: BTreeMap<&'static str, usize>,
}

/// What an import did.
#[derive(Debug, Default)]
pub struct Told {
    pub added: usize,
    pub updated: usize,
    pub unchanged: usize,
    /// Posts beyond the first about one Reel.
    pub merged: usize,
    /// By source and version.
    sources: BTreeMap<String, OfSource>,
    /// Numbers that are no counts, by field and what is written.
    placeholders: BTreeMap<String, usize>,
    /// Placeholders in texts.
    scrubbed: Counts,
    contradictions: BTreeMap<&'static str, Count>,
}

impl Told {
    /// Counts one Reel.
    pub fn add(&mut self, merged: &Merged) {
        let file = merged.files.last();
        let of = |key: &str| file.and_then(|file| file[key].as_str()).unwrap_or_default();
        let source = self.sources.entry(format!("{} {}", of("kind"), of("version")).trim().to_owned()).or_default();
        source.reels += 1;
        let post = &merged.post;
        let fields = [
            ("account", post.owner.handle.is_some() || post.owner.id.is_some()),
            ("posted_at", post.posted_at.is_some()),
            ("duration_s", post.duration_s.is_some()),
            ("caption", post.caption.is_some()),
            ("transcript", post.transcript.is_some()),
        ];
        let counts = Counted::ALL.map(|counted| (counted.name(), post.counts.contains_key(&counted)));
        for (field, _) in fields.into_iter().chain(counts).filter(|(_, known)| !known) {
            *source.unknown.entry(field).or_default() += 1;
        }
        for (counted, why) in merged.unknown.iter().filter(|(_, why)| *why != "absent") {
            *self.placeholders.entry(format!("{}: {why}", counted.name())).or_default() += 1;
        }
        for (field, [before, here]) in &merged.contradictions {
            let found = self.contradictions.entry(field).or_default();
            found.count += 1;
            if found.first.len() < SHOWN {
                found.first.push(format!("{before} and {here}"));
            }
        }
    }

    /// Counts what was taken out of a Reel's texts.
    pub fn scrubbed(&mut self, counts: &Counts) {
        counts.iter().for_each(|(kind, count)| *self.scrubbed.entry(*kind).or_default() += count);
    }

    /// The table, of files and Reels.
    pub fn shown<'a>(&'a self, gathered: &'a Gathered) -> impl fmt::Display + 'a {
        fmt::from_fn(move |formatter| self.write(gathered, formatter))
    }

    fn write(&self, gathered: &Gathered, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Told { added, updated, unchanged, merged, .. } = self;
        let Gathered { looked_at, media, skipped, broken, posts, .. } = gathered;
        writeln!(formatter, "read     {looked_at} files, {media} of them media, {} can't be read", broken.len())?;
        writeln!(formatter, "found    {} posts, {merged} about a Reel that another is about", posts.len())?;
        writeln!(formatter, "Reels    {added} new, {updated} with news, {unchanged} as before")?;
        for (reason, Count { count, first }) in skipped {
            writeln!(formatter, "skipped  {count:>6}  {reason}: {}{}", first.join(", "), more(*count, first.len()))?;
        }
        for (field, Count { count, first }) in &self.contradictions {
            writeln!(
                formatter,
                "warning: {count} times two files contradict in {field}, and the first counts: {}{}",
                first.join("; "),
                more(*count, first.len())
            )?;
        }
        for ((source, flag), values) in &gathered.flags {
            let count: usize = values.values().sum();
            if let (1, true, Some("true")) = (values.len(), count >= 20, values.keys().next().map(String::as_str)) {
                writeln!(formatter, "warning: {flag} is true for all {count} posts of {source}: it says nothing")?;
            }
        }
        if !self.scrubbed.is_empty() {
            let all: Vec<String> =
                self.scrubbed.iter().map(|(kind, count)| format!("{} {count}", kind.placeholder())).collect();
            writeln!(formatter, "texts    {}", all.join(", "))?;
        }
        if !self.placeholders.is_empty() {
            let all: Vec<String> = self.placeholders.iter().map(|(what, count)| format!("{what} ({count})")).collect();
            writeln!(formatter, "counts   unknown though a number is written: {}", all.join(", "))?;
        }
        let fields: Vec<&str> = ["account", "posted_at", "duration_s", "caption", "transcript"]
            .into_iter()
            .chain(Counted::ALL.map(Counted::name))
            .collect();
        let width = self.sources.keys().map(|name| name.chars().count()).max().unwrap_or(0);
        writeln!(formatter, "\n{:width$}  {:>7}  unknown {}", "", "Reels", fields.join("  "))?;
        for (name, OfSource { reels, unknown }) in &self.sources {
            write!(formatter, "{name:width$}  {reels:>7}         ")?;
            for field in &fields {
                let share = unknown.get(field).copied().unwrap_or(0) as f64 / *reels as f64;
                write!(formatter, "{:>1$}  ", format!("{:.0} %", 100.0 * share), field.len())?;
            }
            writeln!(formatter)?;
        }
        Ok(())
    }
}

fn more(count: usize, shown: usize) -> String {
    if count > shown { format!(" and {} more", count - shown) } else { String::new() }
}
