use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::data::lock::Lock;
use crate::lines::Snapshot;
use crate::task::parse_tasks;

const TASKS: &str =
    "[task.ad]\nkind = \"label\"\ntemplate = \"ad.jinja\"\nlabels = [\"iklan\", \"bukan iklan\"]\nmax_tokens = 8\n";

/// A record as it is drawn: account, account it was posted with, family of texts, label, whether a model wrote it.
type Drawn = (Option<u8>, Option<u8>, u8, Option<bool>, bool);

fn line(id: usize, (account, with, family, label, synthetic): &Drawn) -> String {
    // Texts of a family have a word of 17 changed; those of family 0 have nothing to do with each other.
    let family = if *family == 0 { 100 + id } else { usize::from(*family) };
    let word = |at: usize| {
        let at = if at == id % 17 { 17 } else { at };
        format!("{:x}", hash(format!("{family} {at}").as_bytes()) >> 20)
    };
    let transcript: Vec<String> = (0..17).map(word).collect();
    let name = |account: &u8| format!("a_{account}");
    let reference = match label {
        None => json!({}),
        Some(true) => json!({"ad": "iklan"}),
        Some(false) => json!({"ad": "bukan iklan"}),
    };
    json!({
        "id": format!("r_{id}"), "account": account.as_ref().map(name), "transcript": transcript.join(" "), "reference": reference,
        "synthetic": synthetic, "source": {"kind": "test", "with": with.iter().map(name).collect::<Vec<String>>()},
    })
    .to_string()
}

/// The part of each record by its id, and why it is in none.
fn parted(
    lines: &[String],
    wish: impl Fn(usize) -> Wish,
    seed: u64,
    frozen: Option<&Lock>,
) -> (BTreeMap<String, Result<usize, Why>>, Option<Lock>) {
    let tasks = parse_tasks(TASKS, "tasks.toml").unwrap();
    let records = Records::of(&Snapshot::of("a.jsonl", &mut lines.join("\n").as_bytes()).unwrap(), &tasks).unwrap();
    let stop = Stop::default();
    let data = Data::read(&records, &tasks, &stop).unwrap();
    let all = (0..data.entries.len()).filter(|at| data.counts(*at)).count();
    let plan = plan(&data, wish(all), seed, frozen).unwrap();
    let id = |at: usize| data.known(at).unwrap().id;
    let mut parts: BTreeMap<String, Result<usize, Why>> =
        plan.parts.iter().enumerate().filter_map(|(at, part)| Some((id(at), Ok((*part)?)))).collect();
    for left in plan.left_out {
        assert!(parts.insert(id(left.at), Err(left.why)).is_none(), "{} is in a part and left out", id(left.at));
    }
    assert_eq!(parts.len(), lines.len());
    (parts, plan.lock)
}

fn tenths(all: usize) -> Wish {
    let tenth = (all as f64 / 10.0).round() as usize;
    Wish { train: all - 2 * tenth, dev: tenth, test: tenth }
}

fn drawn() -> impl Strategy<Value = Drawn> {
    (
        prop::option::weighted(0.8, 0u8..25),
        prop::option::weighted(0.05, 0u8..25),
        prop_oneof![9 => Just(0u8), 1 => 1u8..9],
        prop::option::weighted(0.9, any::<bool>()),
        prop::bool::weighted(0.05),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn nothing_that_belongs_together_is_parted(rows in prop::collection::vec(drawn(), 30..70), seed in any::<u64>()) {
        let lines: Vec<String> = rows.iter().enumerate().map(|(id, row)| line(id, row)).collect();
        let (parts, lock) = parted(&lines, tenths, seed, None);
        let part = |id: usize| parts[&format!("r_{id}")].as_ref().ok();
        for (a, (account, with, family, label, synthetic)) in rows.iter().enumerate() {
            let accounts: BTreeSet<&u8> = account.iter().chain(with).collect();
            for (b, (other, other_with, other_family, ..)) in rows.iter().enumerate().take(a) {
                let others: BTreeSet<&u8> = other.iter().chain(other_with).collect();
                if accounts.intersection(&others).next().is_some() || (*family > 0 && family == other_family) {
                    let (Some(a), Some(b)) = (part(a), part(b)) else { continue };
                    prop_assert_eq!(a, b);
                }
            }
            // Nothing is judged by what a model wrote, or by what has no gold answer.
            if *synthetic || label.is_none() {
                prop_assert!(part(a).is_none_or(|part| *part == 0));
            }
        }
        // In another order, and once more with the test set frozen, the same.
        let mut shuffled = lines.clone();
        shuffled.sort_by_key(|line| hash(line.as_bytes()));
        let (again, _) = parted(&shuffled, tenths, seed, None);
        prop_assert_eq!(&again, &parts);
        if let Some(lock) = lock {
            let (frozen, _) = parted(&lines, tenths, seed, Some(&lock));
            for (id, part) in &parts {
                match part {
                    Ok(part) => prop_assert_eq!(frozen[id].as_ref().ok(), Some(part)),
                    Err(_) => prop_assert!(frozen[id].is_err() || frozen[id] == Ok(0)),
                }
            }
        }
    }

    #[test]
    fn small_groups_leave_sizes_as_wished(rows in prop::collection::vec((0u8..200, any::<bool>()), 150..300), seed in any::<u64>()) {
        let lines: Vec<String> =
            rows.iter().enumerate().map(|(id, (account, label))| line(id, &(Some(*account), None, 0, Some(*label), false))).collect();
        let (parts, _) = parted(&lines, tenths, seed, None);
        let wish = tenths(lines.len());
        for (part, wanted) in [wish.train, wish.dev, wish.test].into_iter().enumerate() {
            let found = parts.values().filter(|own| **own == Ok(part)).count();
            prop_assert!(found.abs_diff(wanted) <= 1, "{}: {} of {}", part, found, wanted);
        }
    }
}

#[test]
fn a_frozen_test_set_stays_and_keeps_others_away() {
    let row = |account: u8| (Some(account), None, 0, Some(true), false);
    let mut lines: Vec<String> = (0..40).map(|id| line(id, &row(id as u8))).collect();
    let (before, lock) = parted(&lines, tenths, 1, None);
    let lock = lock.unwrap();
    let locked: Vec<usize> = (0..40).filter(|id| before[&format!("r_{id}")] == Ok(2)).collect();
    assert_eq!(locked.len(), 4);
    let free = (0..40).find(|id| !locked.contains(id)).unwrap() as u8;
    lines.push(line(40, &row(locked[0] as u8)));
    lines.push(line(41, &(Some(free), Some(locked[1] as u8), 0, Some(true), false)));
    lines.push(
        lines[locked[2]].replace(&format!("r_{}", locked[2]), "r_42").replace(&format!("a_{}", locked[2]), "a_200"),
    );
    lines.push(line(43, &row(201)));
    let (after, again) = parted(&lines, tenths, 1, Some(&lock));
    assert!(again.is_none());
    for id in 0..40 {
        let id = format!("r_{id}");
        assert_eq!(before[&id] == Ok(2), after[&id] == Ok(2), "{id}");
    }
    assert_eq!(after["r_40"], Err(Why::Account));
    assert_eq!(after["r_41"], Err(Why::Collaborators));
    assert!(
        matches!(&after["r_42"], Err(Why::Copy(of, _)) if *of == format!("r_{}", locked[2])),
        "{:?}",
        after["r_42"]
    );
    assert!(after["r_43"].is_ok());
    // The free account isn't drawn away by the record that stands between.
    assert!(after[&format!("r_{free}")].is_ok());
}

#[test]
fn folds_hold_each_record_once() {
    let lines: Vec<String> =
        (0..50).map(|id| line(id, &(Some((id / 2) as u8), None, 0, Some(id % 3 == 0), id == 7))).collect();
    let tasks = parse_tasks(TASKS, "tasks.toml").unwrap();
    let records = Records::of(&Snapshot::of("a.jsonl", &mut lines.join("\n").as_bytes()).unwrap(), &tasks).unwrap();
    let stop = Stop::default();
    let data = Data::read(&records, &tasks, &stop).unwrap();
    let plan = folds(&data, 5, 42, None).unwrap();
    let sizes: Vec<usize> = (0..5).map(|fold| plan.parts.iter().filter(|part| **part == Some(fold)).count()).collect();
    assert_eq!(sizes, [10; 5]);
    let refused = folds(&data, 26, 42, None).unwrap_err().to_string();
    assert_eq!(refused, "25 groups are too few for 26 folds: groups stay whole");
}

#[test]
fn what_hangs_together_has_no_test_set() {
    let lines: Vec<String> = (0..12).map(|id| line(id, &(Some(1), None, 0, Some(true), false))).collect();
    let tasks = parse_tasks(TASKS, "tasks.toml").unwrap();
    let records = Records::of(&Snapshot::of("a.jsonl", &mut lines.join("\n").as_bytes()).unwrap(), &tasks).unwrap();
    let stop = Stop::default();
    let data = Data::read(&records, &tasks, &stop).unwrap();
    let refused = plan(&data, tenths(12), 1, None).unwrap_err().to_string();
    assert_eq!(refused, "all 12 records hang together, so there is no test set: 12 records, tied 11 by account");
}
