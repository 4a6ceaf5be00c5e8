//! What an import did, as it is shown at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use super::gather::{Count, Gathered};
use super::heard::UNDECIDED;
use super::merge::Merged;
use super::post::Counted;
use super::transcripts::{FlagKind, Index, Quality, stem};
use crate::data::privacy::Counts;
use crate::error::did_you_mean;
use crate::run::timestamp;

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
    #[expect(missing_docs, reason = "the name says it")]
    pub added: usize,
    #[expect(missing_docs, reason = "the name says it")]
    pub updated: usize,
    #[expect(missing_docs, reason = "the name says it")]
    pub unchanged: usize,
    /// Posts beyond the first about one Reel.
    pub merged: usize,
    /// By source and version.
    sources: BTreeMap<String, OfSource>,
    /// Numbers that are no counts, by field and what is written.
    placeholders: BTreeMap<String, usize>,
    /// Reels with a transcript of a recogniser's file.
    heard: usize,
    /// Of those, with a doubt of this kind; and of which a figure isn't there.
    doubts: BTreeMap<FlagKind, usize>,
    not_available: BTreeMap<&'static str, usize>,
    /// Reels of which there is neither a caption nor a transcript.
    textless: Count,
    /// Reels posted after today.
    future: usize,
    /// Transcripts of no Reel.
    unpaired: Count,
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
        self.future += usize::from(post.posted_at.as_ref().is_some_and(|posted| *posted > timestamp()));
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

    /// Counts a Reel that can't be used.
    pub fn textless(&mut self, merged: &Merged, file: &Path) {
        self.textless.add(|| format!("{}, {:?}", file.display(), merged.post.id));
    }

    /// Counts what a recogniser's file gave.
    pub fn heard(&mut self, quality: &Quality) {
        self.heard += 1;
        let kinds: BTreeSet<FlagKind> = quality.flags.iter().map(|flag| flag.kind).collect();
        kinds.into_iter().for_each(|kind| *self.doubts.entry(kind).or_default() += 1);
        quality.not_available.iter().for_each(|name| *self.not_available.entry(name).or_default() += 1);
    }

    /// Notes transcripts that no Reel was found for, with the Reel's file that is called most like the first.
    pub fn unpaired(&mut self, index: &Index, gathered: &Gathered) {
        for path in index.unpaired() {
            let stems = || gathered.files.iter().map(|file| stem(&file.path)).filter(|other| *other != stem(path));
            self.unpaired.add(|| match did_you_mean(&stem(path), stems()) {
                near if near.is_empty() => path.display().to_string(),
                near => format!("{} ({})", path.display(), near.trim()),
            });
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
        let Told {
            added, updated, unchanged, merged, heard, doubts, not_available, unpaired, textless, future, ..
        } = self;
        let Gathered { looked_at, media, skipped, broken, posts, .. } = gathered;
        writeln!(formatter, "read     {looked_at} files, {media} of them media, {} can't be read", broken.len())?;
        writeln!(formatter, "found    {} posts, {merged} about a Reel that another is about", posts.len())?;
        writeln!(formatter, "Reels    {added} new, {updated} with news, {unchanged} as before")?;
        if *heard > 0 {
            let doubts: Vec<String> = doubts.iter().map(|(kind, count)| format!("{} {count}", kind.word())).collect();
            let lacking: Vec<String> = not_available.iter().map(|(name, count)| format!("{name} {count}")).collect();
            let doubts = if doubts.is_empty() { "none".to_owned() } else { doubts.join(", ") };
            writeln!(formatter, "heard    {heard} Reels have a transcript; with a doubt: {doubts}")?;
            if !lacking.is_empty() {
                writeln!(formatter, "         figures that the recogniser doesn’t give: {}", lacking.join(", "))?;
            }
        }
        if textless.count > 0 {
            let Count { count, first } = textless;
            writeln!(
                formatter,
                "left out {count} Reels with neither caption nor transcript: {}{}",
                first.join(", "),
                more(*count, first.len())
            )?;
        }
        if *future > 0 {
            writeln!(
                formatter,
                "warning: {future} Reels were posted after today: is the clock of the collector right, or the date of a table?"
            )?;
        }
        if unpaired.count > 0 {
            let Count { count, first } = unpaired;
            writeln!(
                formatter,
                "warning: {count} transcripts are of no Reel here: {}{}",
                first.join(", "),
                more(*count, first.len())
            )?;
        }
        for (reason, Count { count, first }) in skipped {
            writeln!(formatter, "skipped  {count:>6}  {reason}: {}{}", first.join(", "), more(*count, first.len()))?;
        }
        for (field, Count { count, first }) in &self.contradictions {
            writeln!(
                formatter,
                "warning: {count} times two files contradict in {field}{}: {}{}",
                if *field == UNDECIDED { "" } else { ", and the first counts" },
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
