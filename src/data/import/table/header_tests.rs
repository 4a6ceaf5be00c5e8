use super::*;

fn tasks() -> Vec<Task> {
    crate::task::parse_tasks(include_str!("../../../../prompts/tasks.toml"), "tasks.toml").unwrap()
}

fn layout(header: &[&str], mapping: &[&str]) -> Result<Layout> {
    let mapping: Vec<Mapping> = mapping.iter().map(|mapping| mapping.parse().unwrap()).collect();
    let header: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
    Names { name: "t.csv", mapping: &mapping, tasks: &tasks() }.layout(&header, Some(1))
}

fn told(layout: &Layout) -> Vec<(String, &str)> {
    layout.taken.iter().map(|taken| (taken.field.name(), layout.names[taken.column].as_str())).collect()
}

fn message(layout: Result<Layout>) -> String {
    crate::error::Shown::of(&layout.unwrap_err()).to_string()
}

fn rows(table: &[&[&str]]) -> Vec<Row> {
    let row = |(index, cells): (usize, &&[&str])| Row {
        line: index as u64 + 1,
        cells: Ok(cells.iter().map(|cell| Cell::text((*cell).to_owned())).collect()),
    };
    table.iter().enumerate().map(row).collect()
}

fn guess(table: &[&[&str]], mapping: &[&str]) -> Result<Layout> {
    let mapping: Vec<Mapping> = mapping.iter().map(|mapping| mapping.parse().unwrap()).collect();
    Names { name: "t.csv", mapping: &mapping, tasks: &tasks() }.guess(&rows(table))
}

#[test]
fn names_that_people_and_tools_write_are_known() {
    for (name, expected) in [
        ("Kode Reel", Some("shortcode")),
        ("short_code", Some("shortcode")),
        ("URL", Some("link")),
        ("permalink", Some("link")),
        ("ID", Some("id")),
        ("Username", Some("account")),
        ("nama akun", Some("account")),
        ("ownerUsername", Some("account")),
        ("uploader_id", Some("account_id")),
        ("Tanggal", Some("posted_at")),
        ("taken_at_timestamp", Some("posted_at")),
        ("upload_date", Some("posted_at")),
        ("Durasi (detik)", Some("duration_s")),
        ("videoDuration", Some("duration_s")),
        ("Like", Some("likes")),
        ("like_count", Some("likes")),
        ("Jumlah Suka", Some("likes")),
        ("Dilihat", Some("views")),
        ("view_count", Some("views")),
        ("Diputar", Some("plays")),
        ("videoPlayCount", Some("plays")),
        ("Komentar", Some("comments")),
        ("commentsCount", Some("comments")),
        ("Takarir", Some("caption")),
        ("Judul", Some("caption")),
        ("Tagar", Some("hashtags")),
        ("Transkrip", Some("transcript")),
        ("teks", Some("transcript")),
        ("Bahasa", Some("language")),
        ("Ringkasan", Some("reference.summary")),
        ("gold_summary", Some("reference.summary")),
        ("Kategori", Some("reference.category")),
        ("label kategori", Some("reference.category")),
        ("reference.category", Some("reference.category")),
        ("kategori_A", Some("reference.category")),
        ("is_ad", Some("reference.ad")),
        ("iklan?", Some("reference.ad")),
        ("reference.mood", Some("reference.mood")),
        ("isSponsored", Some("flags.isSponsored")),
        ("label", None),
        ("Catatan", None),
        ("a", None),
        ("", None),
    ] {
        let field = Field::of_column(name, &tasks()).map(|(field, _)| field.name());
        assert_eq!(field.as_deref(), expected, "{name}");
    }
}

#[test]
fn one_column_is_taken_for_a_field() {
    let taken = layout(&["id", "url", "judul", "Caption", "likes", "Kategori", " ", "Transkripp"], &[]).unwrap();
    let expected =
        [("id", "id"), ("link", "url"), ("caption", "Caption"), ("likes", "likes"), ("reference.category", "Kategori")];
    assert_eq!(told(&taken), expected.map(|(field, column)| (field.to_owned(), column)));
    let unread = [("judul", None), ("column 7", None), ("Transkripp", Some("transcript"))];
    assert_eq!(taken.unread, unread.map(|(name, near)| (name.to_owned(), near.map(str::to_owned))));

    for (header, expected) in [
        (
            &["id", "kategori_A", "Kategori_B", "teks"][..],
            "t.csv: reference.category could be the columns kategori_A, Kategori_B\n\
             hint: say which: --map reference.category=kategori_A",
        ),
        (
            &["id", "likes", "like_count"],
            "likes could be the columns likes, like_count\nhint: say which: --map likes=likes",
        ),
        (&["id", "Like", "Like"], "likes could be the columns Like, Like\nhint: say which: --map likes=2"),
        (&["id", "Jumlah suka", "suka"], "hint: say which: --map 'likes=Jumlah suka'"),
        (&["nomor", "isi"], "t.csv: no column is known to hold a text or an id; there is nomor, isi\nhint: say which"),
    ] {
        let message = message(layout(header, &[]));
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn map_wins() {
    let header = ["id", "kategori_A", "kategori_B", "Suasana", "isi"];
    let mapping = ["reference.category=kategori_B", "reference.mood=suasana", "transcript=5"];
    let taken = layout(&header, &mapping).unwrap();
    let expected =
        [("id", "id"), ("reference.category", "kategori_B"), ("reference.mood", "Suasana"), ("transcript", "isi")];
    assert_eq!(told(&taken), expected.map(|(field, column)| (field.to_owned(), column)));
    assert_eq!(taken.unread, [("kategori_A".to_owned(), None)]);
    assert_eq!(taken.taken[0].how, How::Named);
    assert_eq!(taken.taken[3].how, How::Mapped);
    // Of another table.
    assert_eq!(told(&layout(&header, &["reference.category=kategori_B", "likes=isii", "likes=6"]).unwrap()).len(), 2);
    let message = message(layout(&header, &["likes=4", "likes=5"]));
    assert!(message.contains("--map names two of its columns for likes"), "{message}");
    for (mapping, expected) in [
        ("like=a", "--map like=a: \"like\" is no field\nhint: did you mean likes? fields are id, "),
        ("likes", "--map likes: expected FIELD=COLUMN\nhint: e.g. --map likes=Suka"),
        ("likes= ", "no column behind ="),
    ] {
        let message = crate::error::Shown::of(&mapping.parse::<Mapping>().unwrap_err()).to_string();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn the_header_is_found_below_titles() {
    let known = tasks();
    let names = Names { name: "t.csv", mapping: &[], tasks: &known };
    for (table, expected) in [
        (&[&["Kode", "Suka"][..], &["a", "1"]][..], Some(0)),
        (&[&["Data kami"], &["id", "teks"], &["a", "b"]], Some(1)),
        (&[&["Caption"], &["id", "teks"], &["a", "b"]], Some(1)),
        (&[&["transkrip"], &["Halo"]], Some(0)),
        (&[&["nomor", "isi"], &["1", "Halo"]], Some(0)),
        (&[&["musik", "iklan", "Halo"], &["kuliner", "iklan", "Hai"]], None),
        (&[&["DAxYz012345", "Halo"], &["DBxYz012345", "Hai"]], None),
    ] {
        assert_eq!(names.header(&rows(table)), expected, "{table:?}");
    }
}

#[test]
fn without_a_header_columns_are_told_by_what_stands_in_them() {
    const LONG: &str = "Halo semuanya, hari ini kita makan soto betawi di gang sempit.";
    let table: &[&[&str]] = &[
        &["https://www.instagram.com/reel/DAxYz012345/", "120", "2025-03-01", LONG, "kuliner", "ya"],
        &["https://www.instagram.com/p/DBxYz012345/", "3", "2025-03-02", LONG, "musik", "no"],
    ];
    let taken = guess(table, &[]).unwrap();
    let expected = [
        ("link", "column 1"),
        ("posted_at", "column 3"),
        ("transcript", "column 4"),
        ("reference.category", "column 5"),
    ];
    assert_eq!(told(&taken), expected.map(|(field, column)| (field.to_owned(), column)));
    assert_eq!(taken.unread, ["column 2 (numbers)", "column 6 (words)"].map(|name| (name.to_owned(), None)));
    assert_eq!(told(&guess(table, &["likes=2"]).unwrap())[1], ("likes".to_owned(), "column 2"));

    let two: &[&[&str]] = &[&["DAxYz012345", LONG, LONG], &["DBxYz012345", LONG, LONG]];
    let told_twice = message(guess(two, &[]));
    let expected = "t.csv: there is no header, and the columns 2, 3 hold texts\n\
                    hint: say which is which, e.g. --map caption=2 --map transcript=3, or write a header";
    assert_eq!(told_twice, expected);
    assert_eq!(told(&guess(two, &["caption=3"]).unwrap())[1], ("caption".to_owned(), "column 3"));
}
