//! What a split came to: a table, and the same for the manifest.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde_json::{Value, json};

use super::Output;
use crate::config::Parts;
use crate::data::dedup::near::FEW;
use crate::data::lock::Lock;
use crate::data::overlap::listed;
use crate::data::split::{Data, Plan, Why, told};

/// Groups that are named.
const GROUPS: usize = 5;
/// Ids and accounts that are named.
const NAMED: usize = 5;

/// A file that was written.
struct Written {
    name: String,
    records: usize,
    /// Of them, those that sizes are about, and how many were wanted.
    counted: usize,
    wanted: f64,
    groups: usize,
    accounts: usize,
    /// By stratum: how many, and how many were wanted.
    strata: Vec<(usize, f64)>,
}

/// All that is told.
pub struct Shown {
    written: Vec<Written>,
    /// Task and label.
    strata: Vec<(String, String)>,
    /// Of the largest: what is told, and its facts.
    groups: Vec<(String, Value)>,
    /// Id, reason, and the record that it is a copy of.
    left_out: Vec<(String, Why)>,
    is_folds: bool,
    frozen: bool,
    unlabelled: bool,
    jaccard: f64,
    cut_short: usize,
    of_many: bool,
    largest: usize,
    all: usize,
}

impl Shown {
    pub fn of(data: &Data, plan: &Plan, outputs: &[Output], parts: Parts, frozen: Option<&Lock>) -> Result<Shown> {
        let is_folds = matches!(parts, Parts::Folds(_));
        // Each record is in one of these.
        let told_of: Vec<&Output> = outputs.iter().filter(|output| !output.others).collect();
        let mut written: Vec<Written> = told_of.iter().map(|output| count(data, plan, output)).collect();
        let counted: usize = written.iter().map(|part| part.counted).sum();
        let wanted = wanted(data, parts, counted, frozen.map(|_| written.last().map_or(0, |test| test.counted)));
        let total = |stratum: usize| written.iter().map(|part| part.strata[stratum].0).sum::<usize>() as f64;
        let totals: Vec<f64> = (0..data.strata.len()).map(total).collect();
        for (part, wanted) in written.iter_mut().zip(wanted) {
            part.wanted = wanted;
            let share = wanted / counted.max(1) as f64;
            part.strata.iter_mut().zip(&totals).for_each(|(stratum, total)| stratum.1 = share * total);
        }
        let groups = plan.groups.iter().take(GROUPS).filter(|whole| whole.members.len() > 1);
        let groups = groups.map(|whole| {
            let part = told_of.iter().find(|output| whole.members.iter().any(|at| output.takes(data, plan, *at)));
            let part = part.map_or("none", |output| output.name.as_str());
            let accounts: BTreeSet<&str> = whole.members.iter().filter_map(|at| data.account(*at)).collect();
            let accounts: Vec<&str> = accounts.into_iter().collect();
            let named = if accounts.is_empty() { "unknown accounts".into() } else { listed(&accounts, NAMED) };
            let [account, collaborators, copies] = whole.ties;
            let facts = json!({
                "records": whole.members.len(), "file": part, "accounts": accounts.len(),
                "ties": {"account": account, "collaborators": collaborators, "copies": copies},
            });
            (format!("{}, in {part}: {named}", told(whole)), facts)
        });
        let groups = groups.collect();
        let left_out = plan.left_out.iter().map(|left| Ok((data.known(left.at)?.id, left.why.clone())));
        Ok(Shown {
            left_out: left_out.collect::<Result<_>>()?,
            written,
            strata: data.strata.iter().cloned().collect(),
            groups,
            is_folds,
            frozen: frozen.is_some(),
            unlabelled: data.unlabelled,
            jaccard: plan.jaccard,
            cut_short: plan.cut_short,
            of_many: data.entries.len() > FEW,
            largest: plan.groups.first().map_or(0, |whole| whole.members.len()),
            all: data.entries.len(),
        })
    }

    /// For the manifest.
    pub fn json(&self) -> Value {
        let part = |part: &Written| {
            let mut labels: BTreeMap<&str, serde_json::Map<String, Value>> = BTreeMap::new();
            for ((task, label), (records, wanted)) in self.strata.iter().zip(&part.strata) {
                labels.entry(task).or_default().insert(label.clone(), json!({"records": records, "wanted": wanted}));
            }
            json!({
                "file": part.name, "records": part.records, "counted": part.counted, "wanted": part.wanted,
                "groups": part.groups, "accounts": part.accounts, "labels": labels,
            })
        };
        let left_out = self.left_out.iter().map(|(id, why)| match why {
            Why::Copy(of, likeness) => {
                json!({"id": id, "why": why.reason(), "of": of, "likeness": likeness.to_string()})
            }
            _ => json!({"id": id, "why": why.reason()}),
        });
        json!({
            "parts": self.written.iter().map(part).collect::<Vec<Value>>(),
            "largest_groups": self.groups.iter().map(|(_, facts)| facts).collect::<Vec<&Value>>(),
            "left_out": left_out.collect::<Vec<Value>>(),
            "jaccard": self.jaccard,
            "cut_short": self.cut_short,
        })
    }

    /// The table to stdout, what to know beside it to stderr.
    pub fn print(&self) {
        if self.is_folds {
            self.print_folds()
        } else {
            self.print_parts()
        }
        for (index, (group, _)) in self.groups.iter().enumerate() {
            outln!("{}{group}", if index == 0 { "largest groups\n  " } else { "  " });
        }
        let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        self.left_out.iter().for_each(|(id, why)| by_reason.entry(why.reason()).or_default().push(id));
        for (reason, ids) in by_reason {
            outln!("left out {} {reason}: {}", ids.len(), listed(&ids, NAMED));
        }
        self.warn();
    }

    fn print_parts(&self) {
        let mut table = table();
        let cells = |first: &str, cell: &dyn Fn(&Written) -> String| -> Vec<String> {
            std::iter::once(first.to_owned()).chain(self.written.iter().map(cell)).collect()
        };
        table.set_header(cells("", &|part| part.name.clone()));
        table.add_row(cells("records", &|part| part.records.to_string()));
        let answers = if self.unlabelled { "written by people" } else { "with gold answers" };
        table.add_row(cells(answers, &|part| with_difference(part.counted, part.wanted)));
        table.add_row(cells("groups", &|part| part.groups.to_string()));
        table.add_row(cells("accounts", &|part| part.accounts.to_string()));
        for (stratum, (task, label)) in self.strata.iter().enumerate() {
            if self.written.iter().any(|part| part.strata[stratum].0 > 0) {
                let cell = |part: &Written| with_difference(part.strata[stratum].0, part.strata[stratum].1);
                table.add_row(cells(&format!("{task} {label}"), &cell));
            }
        }
        outln!("{}", lines_of(&table));
    }

    fn print_folds(&self) {
        let mut table = table();
        table.set_header(["", "records", "groups", "accounts", "label furthest off"]);
        for part in &self.written {
            let off = |(_, (count, wanted)): &(usize, &(usize, f64))| (*count as f64 - wanted).abs();
            let worst = part.strata.iter().enumerate().max_by(|a, b| off(a).total_cmp(&off(b)));
            let worst = worst.map(|(stratum, (count, wanted))| {
                let (task, label) = &self.strata[stratum];
                format!("{task} {label} {}", with_difference(*count, *wanted))
            });
            let records = with_difference(part.records, part.wanted);
            let counts = [part.groups.to_string(), part.accounts.to_string()];
            let [groups, accounts] = counts;
            table.add_row([part.name.clone(), records, groups, accounts, worst.unwrap_or_default()]);
        }
        outln!("{}", lines_of(&table));
    }

    fn warn(&self) {
        for part in &self.written {
            let found = if self.is_folds { part.records } else { part.counted };
            let off = (found as f64 - part.wanted).abs();
            if off >= 2.0 && off > 0.05 * part.wanted && !(self.frozen && part.name == "test.jsonl") {
                errln!(
                    "warning: {} has {found} records, and {:.0} were wanted: groups stay whole, and the largest has {} of {} records",
                    part.name,
                    part.wanted,
                    self.largest,
                    self.all
                );
            }
        }
        if self.of_many {
            errln!(
                "copies   of {} records, texts that share {:.0} % of their runs of letters count as copies, with fewer than {FEW} {:.0} %; \
                 a test set of at most {FEW} is compared as if they were fewer",
                self.all,
                100.0 * self.jaccard,
                100.0 * crate::data::dedup::SIMILAR
            );
        }
        if self.cut_short > 0 {
            errln!(
                "warning: {} texts resemble so many others that they weren't compared with all of them: is there a form they were written by?",
                self.cut_short
            );
        }
    }
}

fn count(data: &Data, plan: &Plan, output: &Output) -> Written {
    let takes = |at: &usize| output.takes(data, plan, *at);
    let mut strata = vec![(0, 0.0); data.strata.len()];
    let (mut records, mut counted) = (0, 0);
    let mut accounts = BTreeSet::new();
    for at in (0..data.entries.len()).filter(takes) {
        records += 1;
        accounts.extend(data.account(at));
        if data.counts(at) {
            counted += 1;
            data.strata(at).for_each(|stratum| strata[usize::from(stratum)].0 += 1);
        }
    }
    let groups = plan.groups.iter().filter(|whole| whole.members.iter().any(&takes)).count();
    Written { name: output.name.clone(), records, counted, wanted: 0.0, groups, accounts: accounts.len(), strata }
}

/// How many records each part was to have of those that are in any. A frozen test set is what it is.
fn wanted(data: &Data, parts: Parts, counted: usize, test: Option<usize>) -> Vec<f64> {
    match parts {
        Parts::Folds(count) => vec![data.entries.len() as f64 / count as f64; count],
        Parts::Sizes { dev, test: wanted, .. } => {
            let all = (0..data.entries.len()).filter(|at| data.counts(*at)).count();
            let test = test.unwrap_or_else(|| wanted.records(all)) as f64;
            let dev = dev.records(all) as f64;
            vec![(counted as f64 - dev - test).max(0.0), dev, test]
        }
    }
}

/// `12 (+1)`: how many, and by how many more than wanted.
fn with_difference(count: usize, wanted: f64) -> String {
    format!("{count} ({:+})", (count as f64 - wanted).round() as i64)
}

fn table() -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table
}

fn lines_of(table: &comfy_table::Table) -> String {
    table.to_string().lines().map(str::trim_end).collect::<Vec<&str>>().join("\n")
}
