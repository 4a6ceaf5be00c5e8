use super::*;
use crate::data::import::post::Counted;
use crate::data::import::table::header::{How, Taken};

/// What is made of the cells of one column, with what was found in them.
fn column(field: Field, cells: Vec<Cell>) -> (Vec<Read>, String) {
    let tasks = crate::task::parse_tasks(include_str!("../../../../prompts/tasks.toml"), "tasks.toml").unwrap();
    let mut facts = [Facts::default(), Facts::default()];
    let taken = [(Field::Transcript, 0), (field.clone(), 1)];
    let taken = taken.map(|(field, column)| Taken { field, column, how: How::Named }).into();
    let layout = Layout { header: Some(1), names: vec!["teks".into(), "kolom".into()], taken, unread: vec![] };
    cells.iter().for_each(|cell| facts[1].add(&field, cell));
    let mut values = Values::new("t.csv", &tasks, &layout, &facts);
    let row = |(index, cell): (usize, Cell)| values.post(index as u64 + 2, vec![Cell::Text("Halo".into()), cell]);
    let posts = cells.into_iter().enumerate().map(row).collect();
    (posts, values.problems.to_string())
}

fn texts(field: Field, cells: &[&str]) -> (Vec<Read>, String) {
    column(field, cells.iter().map(|cell| Cell::text((*cell).to_owned())).collect())
}

fn each<T>(reads: Vec<Read>, of: impl Fn(Post) -> T) -> Vec<T> {
    reads.into_iter().map(|read| of(read.unwrap())).collect()
}

#[test]
fn counts_are_mended_and_counted() {
    let written = [
        "1200",
        "1.200",
        "1,2 rb",
        "1.2K",
        "45rb",
        "3jt",
        "1.234.567",
        "-1",
        "1.2E+06",
        "-",
        "N/A",
        "",
        "NaN",
        "banyak",
        "4.35",
    ];
    let (reads, problems) = texts(Field::Count(Counted::Likes), &written);
    let likes = each(reads, |post| post.counts.get(&Counted::Likes).copied());
    let known = [1200, 1200, 1200, 1200, 45_000, 3_000_000, 1_234_567, -1, 1_200_000].map(Some);
    assert_eq!(likes, [&known[..], &[None; 6]].concat());
    for expected in [
        "2  count with a separator",
        "5  count as people write it",
        "3  says that it is unknown",
        "2  no count                  kolom  lines 15, 16      \"banyak\" → a count, e.g. 1200",
        "2 values can't be read and are left out",
    ] {
        assert!(problems.contains(expected), "{problems}");
    }
    let numbers =
        vec![Cell::Whole(-1), Cell::Number(1200.0), Cell::Number(1.5), Cell::Number(f64::NAN), Cell::Truth(true)];
    let (reads, _) = column(Field::Count(Counted::Plays), numbers);
    let plays = each(reads, |post| post.counts.get(&Counted::Plays).copied());
    assert_eq!(plays, [Some(-1), Some(1200), None, None, None]);
}

#[test]
fn lengths_are_seconds() {
    let (reads, _) = texts(Field::Duration, &["41.2", "52,3", "0:41", "1:02:03", "41 detik", "-1", "lama"]);
    let known = [41.2, 52.3, 41.0, 3723.0, 41.0].map(Some);
    assert_eq!(each(reads, |post| post.duration_s), [&known[..], &[None; 2]].concat());
    // 0:41 and 1:30, which a spreadsheet took for hours and minutes.
    let (reads, problems) = column(Field::Duration, vec![Cell::Length(2460.0), Cell::Length(5400.0)]);
    assert_eq!(each(reads, |post| post.duration_s), [Some(41.0), Some(90.0)]);
    assert!(problems.contains("2  hours and minutes for minutes and seconds"), "{problems}");
    // 0:00:41 and 0:01:00
    let (reads, _) = column(Field::Duration, vec![Cell::Length(41.0), Cell::Length(60.0)]);
    assert_eq!(each(reads, |post| post.duration_s), [Some(41.0), Some(60.0)]);
}

#[test]
fn dates_go_by_their_column() {
    let days = |cells: &[&str]| {
        let (reads, problems) = texts(Field::PostedAt, cells);
        (each(reads, |post| post.posted_at.map(|moment| moment[..10].to_owned()).unwrap_or_default()), problems)
    };
    const ODD: &str = "day and month could be the other way round";
    let (read, problems) = days(&["04/05/2025", "05/05/2025"]);
    assert_eq!(read, ["2025-05-04", "2025-05-05"]);
    assert!(problems.contains(&format!("1  {ODD}")), "{problems}");
    let (read, problems) = days(&["04/05/2025", "04/13/2025"]);
    assert_eq!(read, ["2025-04-05", "2025-04-13"]);
    assert!(!problems.contains(ODD), "{problems}");
    let (read, problems) = days(&["04/05/2025", "13/04/2025", "2025-04-13", "45728", "kemarin", "04/13/2025"]);
    assert_eq!(read, ["2025-05-04", "2025-04-13", "2025-04-13", "2025-03-12", "", "2025-04-13"]);
    assert!(problems.contains(ODD) && problems.contains("1  no date"), "{problems}");
}

#[test]
fn ids_are_the_platforms_where_they_can_be() {
    let (reads, _) = texts(
        Field::Id,
        &["https://www.instagram.com/reel/DAxYz012345/?igsh=a", "DBxYz012345", "17.0", "=\"0042\"", "'77"],
    );
    assert_eq!(each(reads, |post| post.id), ["DAxYz012345", "DBxYz012345", "17", "0042", "77"]);
    // A column of the platform's numbers, and one in which such a number stands among others.
    let code = shortcode("3123456789012345678").unwrap();
    let (reads, problems) = texts(Field::Id, &["3123456789012345678", "3123456789012345678_55"]);
    assert!(problems.contains("2  Instagram's number of the post"), "{problems}");
    assert_eq!(each(reads, |post| post.id), [&code[..], &code]);
    let (reads, _) = texts(Field::Id, &["3123456789012345678", "x1"]);
    assert_eq!(each(reads, |post| post.id), ["3123456789012345678", "x1"]);
    for cells in [
        vec![Cell::Text("1.23457E+18".into())],
        vec![Cell::Text("1,23457E+18".into())],
        vec![Cell::Number(3.123456789012345e18)],
        vec![Cell::Text("3123456789012345000".into()), Cell::Text("3123456789012346000".into())],
    ] {
        let (reads, _) = column(Field::Id, cells);
        let skip = reads[0].as_ref().unwrap_err();
        assert_eq!(skip.reason, "an id that a spreadsheet rounded");
        assert!(skip.detail.starts_with("line 2: "), "{skip:?}");
    }
    let (reads, _) = column(Field::Id, vec![Cell::Empty, Cell::Empty]);
    let made = each(reads, |post| post.id);
    assert!(made[0].starts_with("row_") && made[0] == made[1], "{made:?}");
}

#[test]
fn labels_are_the_tasks() {
    let of = |task: &str, cells: &[&str]| {
        let (reads, problems) = texts(Field::Reference(task.into()), cells);
        let labels = each(reads, |post| post.reference.get(task).cloned().unwrap_or_default());
        (labels, problems)
    };
    let (labels, _) = of("ad", &["Ya", "tidak", "1", "0", "TRUE", "false", "IKLAN", "Bukan_Iklan", "1.0", "-"]);
    let (yes, no) = ("iklan", "bukan iklan");
    assert_eq!(labels, [yes, no, yes, no, yes, no, yes, no, yes, ""]);
    let (labels, problems) = of("category", &["Kuliner ", "kulliner", "masakan", "kuliner", "1"]);
    assert_eq!(labels, ["kuliner", "", "", "kuliner", ""]);
    for expected in
        ["line 3  \"kulliner\" → kuliner?", "line 4  \"masakan\" → one of hiburan, ", "1  label in other letters"]
    {
        assert!(problems.contains(expected), "{problems}");
    }
    assert_eq!(of("summary", &["Soto murah.", "n/a"]).0, ["Soto murah.", ""]);
    assert_eq!(of("mood", &["Senang"]).0, ["Senang"]);
    let (reads, _) =
        texts(Field::References, &["{\"category\": \"Kuliner\", \"summary\": \"Soto.\", \"ad\": null}", "x"]);
    let golds = each(reads, |post| post.reference.into_iter().collect::<Vec<_>>());
    let expected =
        [("category", "kuliner"), ("summary", "Soto.")].map(|(task, gold)| (task.to_owned(), gold.to_owned()));
    assert_eq!(golds, [&expected[..], &[]]);
}

#[test]
fn other_fields() {
    let handle = |text: &str| {
        let (reads, _) = texts(Field::Account, &[text]);
        each(reads, |post| post.owner).remove(0)
    };
    let named = |handle: &str| Account { handle: Some(handle.into()), ..Account::default() };
    assert_eq!(handle("@Warung_Senja"), named("warung_senja"));
    assert_eq!(handle("https://www.instagram.com/warung_senja/?hl=id"), named("warung_senja"));
    assert_eq!(handle("1234567890").id.as_deref(), Some("1234567890"));
    let (reads, _) = texts(Field::With, &["@a, b"]);
    assert_eq!(each(reads, |post| post.with), [[named("a"), named("b")]]);
    let (reads, _) = texts(Field::Hashtags, &["#a #b", "['c', 'd']"]);
    assert_eq!(each(reads, |post| post.hashtags.unwrap()), [["a", "b"], ["c", "d"]]);
    let (reads, problems) = texts(Field::Language, &["id", "Bahasa Indonesia", "en-US", "campuran"]);
    assert_eq!(each(reads, |post| post.language.unwrap_or_default()), ["id", "id", "en", ""]);
    assert!(problems.contains("1  no language"), "{problems}");
    let (reads, _) = texts(Field::Flag("is_sponsored".into()), &["TRUE", "Tidak"]);
    assert_eq!(each(reads, |post| post.flags["is_sponsored"].clone()), [true, false]);
    let (reads, _) = texts(Field::Link, &["https://www.instagram.com/reel/DAxYz012345/", "https://contoh.id/v/1"]);
    assert_eq!(each(reads, |post| post.id), ["DAxYz012345", "https://contoh.id/v/1"]);
}
