//! Whether runs can be compared: the same tasks, and the same rows in them.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow, bail, ensure};

use super::Run;
use crate::error::Hint;
use crate::score::Table;
use crate::task::Task;

/// Tasks with a scored row.
pub(super) fn scored(table: &Table) -> impl Iterator<Item = &Task> {
    table.tasks.iter().filter(|rows| !rows.is_empty()).map(|rows| &rows.task)
}

/// The tasks that all runs have scored rows of, as the first has them.
pub(super) fn common_tasks(runs: &[Run]) -> Result<Vec<Task>> {
    ensure!(
        runs.iter().any(|run| scored(&run.table).next().is_some()),
        anyhow!("no row of these runs has a reference").hint("score them with labelled --data")
    );
    let mut common = Vec::new();
    for task in scored(&runs[0].table) {
        let others: Vec<Option<&Task>> =
            runs[1..].iter().map(|run| scored(&run.table).find(|other| other.name == task.name)).collect();
        if others.iter().any(Option::is_none) {
            continue;
        }
        for (run, other) in runs[1..].iter().zip(others) {
            ensure!(
                other.is_some_and(|other| other.labels == task.labels && other.positive == task.positive),
                anyhow!("task {:?} has other labels in {} than in {}", task.name, run.name, runs[0].name)
                    .hint("compare runs with the same tasks.toml")
            );
        }
        common.push(task.clone());
    }
    if common.is_empty() {
        let answers = |run: &Run| {
            let names: Vec<&str> = scored(&run.table).map(|task| task.name.as_str()).collect();
            format!(
                "{} answers {}",
                run.name,
                if names.is_empty() { "nothing with a reference".into() } else { names.join(", ") }
            )
        };
        bail!(
            anyhow!("the runs have no task in common: {}", runs.iter().map(answers).collect::<Vec<_>>().join("; "))
                .hint("predict the same tasks")
        );
    }
    Ok(common)
}

/// Refuses runs whose rows are not about the same Reels with the same references and accounts. Both tables are sorted by
/// Reel and repeat.
pub(super) fn check_same_data(first: &str, a: &Table, second: &str, b: &Table) -> Result<()> {
    for (task, rows) in a.tasks.iter().enumerate() {
        let task_name = &rows.task.name;
        let keys = |table: &'_ Table| -> BTreeSet<(String, u32)> {
            table.keys(task).map(|(reel, repeat, ..)| (reel.to_owned(), repeat)).collect()
        };
        if !a.keys(task).map(|key| (key.0, key.1)).eq(b.keys(task).map(|key| (key.0, key.1))) {
            let (of_a, of_b) = (keys(a), keys(b));
            for (has, lacks, name, other) in [(&of_a, &of_b, first, second), (&of_b, &of_a, second, first)] {
                let missing: Vec<_> = has.difference(lacks).collect();
                if let Some((reel, repeat)) = missing.first() {
                    bail!(
                        anyhow!(
                            "{other} lacks {} of the rows of {name}, the first of them Reel {reel:?}, task \
                             {task_name:?}, repeat {repeat}",
                            missing.len()
                        )
                        .hint(
                            "both runs must be asked the same: predict with the same --data, or score both again without \
                             --answered-only"
                        )
                    );
                }
            }
        }
        for ((reel, _, account, reference), (_, _, other_account, other_reference)) in a.keys(task).zip(b.keys(task)) {
            if reference != other_reference || account != other_account {
                let what = if reference == other_reference { "account" } else { "reference" };
                bail!(
                    anyhow!("Reel {reel:?}, task {task_name:?} has another {what} in {second} than in {first}")
                        .hint("the runs were scored with different data; score both again with the same --data")
                );
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Rows, SETTINGS, compare, run};
    use crate::error::Shown;

    #[test]
    fn other_data_are_refused_with_what_differs() {
        let first = run("a", |_| true);
        let changed = |change: fn(&mut Rows)| {
            let mut other = run("b", |_| true);
            change(&mut other);
            Shown::of(&compare(&[first.clone(), other], &SETTINGS).unwrap_err()).to_string()
        };
        for (message, expected) in [
            (changed(|run| drop(run.rows.remove(4))), "b lacks 1 of the rows of a, the first of them Reel \"r4\""),
            (changed(|run| run.rows[2].reel_id = "x".into()), "b lacks 1 of the rows of a"),
            (
                changed(|run| run.rows[2].reference = Some("bukan".into())),
                "Reel \"r2\", task \"ad\" has another reference in b than in a",
            ),
            (changed(|run| run.rows[2].account = None), "has another account in b than in a"),
            (changed(|run| run.tasks[0].labels.reverse()), "task \"ad\" has other labels in b than in a"),
            (
                changed(|run| run.rows.iter_mut().for_each(|row| row.task = "mood".into())),
                "the runs have no task in common: a answers ad; b answers nothing with a reference",
            ),
            (
                Shown::of(&compare(&[run("a", |_| true)], &SETTINGS).unwrap_err()).to_string(),
                "one run can't be compared",
            ),
        ] {
            assert!(message.contains(expected) && message.contains("\nhint: "), "{message}");
        }
    }
}
