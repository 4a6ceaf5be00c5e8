use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::data::import::post::{Counted, Post};
use crate::error::Shown;
use crate::lines::decoded;

const TASKS: &str = include_str!("../../../../prompts/tasks.toml");

/// What a file with these options says: its posts, its skipped rows and how it was read.
fn read_file(path: &Path, mapping: &[&str]) -> Result<(Vec<Post>, Vec<Skip>, Columns)> {
    let tasks = crate::task::parse_tasks(TASKS, "tasks.toml").unwrap();
    let mapping: Vec<Mapping> = mapping.iter().map(|mapping| mapping.parse()).collect::<Result<_>>()?;
    let file = File::open(path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let text = || -> Result<Box<dyn BufRead>> { decoded(name, BufReader::new(File::open(path)?)) };
    let (mut posts, mut skips) = (vec![], vec![]);
    let opened = Opened { name, file: &file, text: &text };
    let columns = read(&opened, &mapping, &tasks, &mut |read| {
        match read {
            Ok(post) => posts.push(post),
            Err(skip) => skips.push(skip),
        }
        Ok(())
    })?;
    Ok((posts, skips, columns))
}

fn read_bytes(bytes: impl AsRef<[u8]>, mapping: &[&str]) -> Result<(Vec<Post>, Vec<Skip>, Columns)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    std::fs::write(&path, bytes).unwrap();
    read_file(&path, mapping)
}

fn refused(bytes: impl AsRef<[u8]>, mapping: &[&str]) -> String {
    Shown::of(&read_bytes(bytes, mapping).unwrap_err()).to_string()
}

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import/tables").join(name)
}

fn texts(posts: &[Post]) -> Vec<(&str, &str)> {
    posts.iter().map(|post| (post.id.as_str(), post.transcript.as_deref().unwrap_or("-"))).collect()
}

fn reasons(skips: &[Skip]) -> Vec<(&str, &str)> {
    skips.iter().map(|skip| (skip.reason, skip.detail.as_str())).collect()
}

/// As make.py writes it.
fn told(post: &Post) -> Value {
    let count = |counted| post.counts.get(&counted);
    serde_json::json!({
        "id": post.id, "account": post.owner.handle, "posted_at": post.posted_at, "duration_s": post.duration_s,
        "likes": count(Counted::Likes), "plays": count(Counted::Plays), "caption": post.caption,
        "transcript": post.transcript, "category": post.reference.get("category"), "ad": post.reference.get("ad"),
    })
}

#[test]
fn the_same_posts_stand_in_every_kind_of_file() {
    let expected: Vec<Value> = serde_json::from_slice(&std::fs::read(reference("expected.json")).unwrap()).unwrap();
    for (name, what) in [
        ("posts.xlsx", "a workbook, sheet \"Data Reel\", header on line 3\n"),
        ("posts.csv", "CSV, cells separated by semicolons\n"),
        ("latin.csv", "CSV, cells separated by semicolons\n"),
        ("posts.tsv", "cells separated by tabs\n"),
        ("none.parquet", "Parquet\n"),
        ("snappy.parquet", "Parquet\n"),
        ("gzip.parquet", "Parquet\n"),
        ("zstd.parquet", "Parquet\n"),
        ("lz4.parquet", "Parquet\n"),
        ("pages.parquet", "Parquet\n"),
    ] {
        let (posts, skips, columns) = read_file(&reference(name), &[]).unwrap();
        assert_eq!(skips, [], "{name}");
        let mut expected = expected.clone();
        if name == "latin.csv" {
            expected[5]["caption"] = "5 km pertama setelah sembuh ".into();
        }
        assert_eq!(posts.iter().map(told).collect::<Vec<_>>(), expected, "{name}: {columns}\n{}", columns.problems);
        assert!(columns.to_string().starts_with(what), "{columns}");
        // Misnamed ones are told by what is in them.
        let (again, ..) = read_bytes(std::fs::read(reference(name)).unwrap(), &[]).unwrap();
        assert_eq!(again, posts);
    }
    let (posts, _, columns) = read_file(&reference("zstd.parquet"), &[]).unwrap();
    assert_eq!(posts[0].hashtags.as_deref(), Some(&["kuliner".to_owned(), "soto".to_owned()][..]));
    assert_eq!(columns.notes, ["columns of what is no cell, not read: segments"]);
    let (.., columns) = read_file(&reference("posts.xlsx"), &[]).unwrap();
    assert_eq!(columns.notes, ["sheets that are not read: Petunjuk; to import one, save it as a file of its own"]);
    let (.., columns) = read_file(&reference("latin.csv"), &[]).unwrap();
    assert_eq!(columns.notes, ["rows not in UTF-8: 1, read as Windows-1252 (Latin-1)"]);
    let message = Shown::of(&read_file(&reference("brotli.parquet"), &[]).unwrap_err()).to_string();
    assert!(message.contains("brotli") && message.contains("\nhint: "), "{message}");
}

#[test]
fn columns_of_parquet_stay_together() {
    let (posts, skips, _) = read_file(&reference("many.parquet"), &[]).unwrap();
    assert_eq!((posts.len(), skips.len()), (3000, 0));
    for (number, post) in posts.iter().enumerate() {
        assert_eq!(post.id, format!("r{number}"));
        assert_eq!(post.transcript, (number % 7 > 0).then(|| format!("Teks nomor {number}")));
        assert_eq!(post.counts[&Counted::Likes], number as i64);
        let tags = vec![format!("t{number}"); number % 3];
        assert_eq!(post.hashtags, (!tags.is_empty()).then_some(tags));
    }
}

#[test]
fn objects_are_rows() {
    let text = "{\"id\":\"a\",\"transkrip\":\"Halo\",\"suka\":NaN,\"reference\":{\"category\":\"Kuliner\"},\"hashtags\":[\"a\",\"b\"]}\n\
                {\"id\":3123456789012345678,\"transkrip\":\"\",\"caption\":\"x\",\"suka\":\"1,2 rb\",\"owner\":{\"tags\":[{}]}}\n\
                {\"id\":\"c\",\"transkrip\":\"broken\n\
                {\"id\":\"d\",\"transkrip\":\"Hai\",\"suka\":Infinity}\n";
    let (posts, skips, columns) = read_bytes(text, &[]).unwrap();
    assert_eq!(texts(&posts), [("a", "Halo"), ("3123456789012345678", "-"), ("d", "Hai")]);
    assert_eq!(posts[0].reference["category"], "kuliner");
    assert_eq!(posts[0].hashtags.as_deref().unwrap(), ["a", "b"]);
    assert_eq!(posts[1].counts[&Counted::Likes], 1200);
    assert_eq!(posts.iter().map(|post| post.line).collect::<Vec<_>>(), [Some(1), Some(2), Some(4)]);
    assert_eq!(skips[0].reason, "broken JSON");
    assert!(skips[0].detail.starts_with("line 3: "), "{skips:?}");
    assert_eq!(columns.notes, ["keys of what is no cell, not read: owner.tags"]);
    let problems = columns.problems.to_string();
    assert!(
        problems.contains("2  says that it is unknown   suka                lines 1, 4  \"NaN\" → unknown"),
        "{problems}"
    );
    // Numbers of posts are another way to write what stands in links, where all of a column are such.
    let (posts, ..) = read_bytes("{\"id\":3123456789012345678,\"text\":\"Halo\"}\n", &[]).unwrap();
    assert_eq!(posts[0].id, crate::data::import::post::shortcode("3123456789012345678").unwrap());
}

#[test]
fn separators_line_ends_and_marks_are_found() {
    let expected = [("a", "Halo, apa kabar"), ("b", "dua\nbaris; \"titik\"")];
    for text in [
        "id,transkrip\na,\"Halo, apa kabar\"\nb,\"dua\nbaris; \"\"titik\"\"\"\n",
        "\u{feff}id;transkrip;\r\na;Halo, apa kabar;\r\n;;\r\n\r\nb;\"dua\r\nbaris; \"\"titik\"\"\";;;\r\n",
        "sep=|\r\nid|transkrip\r\na|Halo, apa kabar\r\nb|\"dua\r\nbaris; \"\"titik\"\"\"\r\n",
        "id\ttranskrip\na\tHalo, apa kabar\nb\t\"dua\nbaris; \"\"titik\"\"\"",
        "id;transkrip\ra;Halo, apa kabar\rb;\"dua\rbaris; \"\"titik\"\"\"\r",
        "Data kami\n\nid;transkrip\na;Halo, apa kabar\nid;transkrip\nb;\"dua\nbaris; \"\"titik\"\"\"\n",
    ] {
        let (posts, skips, columns) = read_bytes(text, &[]).unwrap();
        assert_eq!(texts(&posts), expected, "{text:?} {columns}");
        let again = skips.iter().all(|skip| skip.reason == "the header once more");
        assert!(again && skips.len() == usize::from(text.starts_with("Data")), "{skips:?}");
    }
    let (posts, ..) = read_bytes("transkrip\nHalo, apa\nkabar, kamu; dan\n", &[]).unwrap();
    assert_eq!(
        posts.iter().map(|post| post.transcript.as_deref().unwrap()).collect::<Vec<_>>(),
        ["Halo, apa", "kabar, kamu; dan"]
    );
    assert!(posts[0].id.starts_with("row_") && posts[0].id != posts[1].id);
}

#[test]
fn rows_that_are_none_are_named_and_the_rest_is_read() {
    let text = "id,transkrip,suka\na,Halo,1\nb,\"tidak ditutup,2\nc,Hai,3\nd,\"x\" y,4\ne,satu,dua,5\nf,enam\n\
                g,Selamat,7\n,,9\nh,\"ditutup \"\"lalu\"\" baik\",8\n";
    let (posts, skips, _) = read_bytes(text, &[]).unwrap();
    assert_eq!(texts(&posts), [("a", "Halo"), ("c", "Hai"), ("g", "Selamat"), ("h", "ditutup \"lalu\" baik")]);
    assert_eq!(
        reasons(&skips),
        [
            ("a quote that isn't closed where its cell ends", "line 3: b,\"tidak ditutup,2"),
            ("a quote that isn't closed where its cell ends", "line 5: d,\"x\" y,4"),
            ("more or fewer cells than the header has", "line 6: 4 cells under a header of 3"),
            ("more or fewer cells than the header has", "line 7: 2 cells under a header of 3"),
            ("neither id nor text", "line 9: nothing tells what it is about"),
        ]
    );
    // A quote that nothing closes costs its row only, and no memory.
    let mut text = "id,transkrip\na,\"Halo\n".to_owned();
    (0..50_000).for_each(|row| text.push_str(&format!("r{row},Selamat pagi semuanya\n")));
    text.push_str(&format!("long,{}\nz,Hai\n", "x".repeat(3 << 20)));
    let (posts, skips, _) = read_bytes(text, &[]).unwrap();
    assert_eq!((posts.len(), posts.last().unwrap().id.as_str()), (50_001, "z"));
    assert_eq!(
        skips.iter().map(|skip| skip.reason).collect::<Vec<_>>(),
        ["a quote that isn't closed where its cell ends", "a line too long"]
    );
}

#[test]
fn encodings_are_told_apart_by_row() {
    let mut bytes = b"id;transkrip\na;caf\xe9 \x93enak\x94\n".to_vec();
    bytes.extend("b;café\nc;kopi\n".bytes());
    bytes.extend(b"d;caf\xc3\xa9 \xc3\n");
    let (posts, skips, columns) = read_bytes(bytes, &[]).unwrap();
    assert_eq!(texts(&posts), [("a", "café “enak”"), ("b", "café"), ("c", "kopi"), ("d", "café \u{fffd}")]);
    assert_eq!(skips, []);
    assert_eq!(
        columns.notes,
        [
            "rows not in UTF-8: 1, read as Windows-1252 (Latin-1)",
            "rows with bytes that are no characters: 1, they stand as \u{fffd}"
        ]
    );
}

#[test]
fn what_is_no_table_is_refused_with_the_next_step() {
    for (bytes, expected) in [
        (&b""[..], "t.csv: the table has no rows"),
        (b"\n \n\n", "t.csv: the table has no rows"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "t.csv: a workbook in XLS, or one with a password"),
        (b"<html><table><tr><td>id", "t.csv: a web page or XML, not a table"),
        (b"PAR1 and nothing more", "t.csv: the Parquet file is broken or cut off"),
        (b"PK\x03\x04 and nothing more", "t.csv: the workbook is broken or cut off"),
        (b"id,\0\0\0transkrip\n", "t.csv: no text: it has zero bytes"),
        (b"nomor;isi\n1;Halo semuanya\n", "t.csv: no column is known to hold a text or an id; there is nomor, isi"),
    ] {
        let message = refused(bytes, &[]);
        assert!(message.contains(expected) && message.contains("\nhint: "), "{message}");
    }
    for name in ["posts.xlsx", "zstd.parquet"] {
        let bytes = std::fs::read(reference(name)).unwrap();
        for length in [bytes.len() / 3, bytes.len() / 2, bytes.len() - 1] {
            let message = refused(&bytes[..length], &[]);
            assert!(message.contains("broken or cut off") && message.contains("\nhint: "), "{name} {message}");
        }
    }
}

/// A workbook of these parts.
fn zipped(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(vec![]));
    for (name, bytes) in parts {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn workbooks_made_to_fill_memory_are_refused() {
    let spaces = vec![b' '; 80 << 20];
    let long = [&b"<a>"[..], &vec![b'x'; 2 << 20], b"</a>"].concat();
    let many = b"<sst count=\"1\" uniqueCount=\"99999999999\"></sst>";
    for (part, expected) in [
        (&spaces[..], "bytes says that it unpacks to 83886080"),
        (&long, "a text of more than 1048576 bytes"),
        (many, "a part says that it has 99999999999 entries"),
    ] {
        let bytes = zipped(&[("_rels/.rels", b"<a/>"), ("xl/sharedStrings.xml", part)]);
        let message = refused(&bytes, &[]);
        assert!(message.contains(expected) && message.contains("save the sheet as CSV"), "{message}");
    }
    // One that doesn't say how large it is.
    let mut bytes = zipped(&[("xl/sharedStrings.xml", &spaces)]);
    let size = (80u32 << 20).to_le_bytes();
    for at in (0..bytes.len() - 4).filter(|at| bytes[*at..*at + 4] == size).collect::<Vec<_>>() {
        bytes[at..at + 4].copy_from_slice(&100u32.to_le_bytes());
    }
    assert!(refused(&bytes, &[]).contains("\nhint: "));
}

#[test]
fn columns_are_shown() {
    let text = "Reel;Kode;Suka;Takarir;Transkripp;Catatan\nx;a;1;Halo;Hai;-\n";
    let (.., columns) = read_bytes(text, &["reference.mood=Catatan"]).unwrap();
    assert_eq!(
        columns.to_string(),
        "CSV, cells separated by semicolons\n  shortcode ← Kode\n  likes ← Suka\n  caption ← Takarir\n  \
         reference.mood ← Catatan (--map)\n  not read: Transkripp (transcript?), Reel"
    );
    let many: String = (0..25).map(|number| format!(",x{number}")).collect();
    let (.., columns) = read_bytes(format!("id,teks{many}\na,Halo{many}\n"), &[]).unwrap();
    assert!(columns.to_string().ends_with(", x18, x19 and 5 more"), "{columns}");
}

#[test]
fn an_id_twice_and_dates_to_come_are_told() {
    let text = "id,transkrip,tanggal\na,Halo,2025-01-02\na,Lain sekali,2099-01-02\n";
    let (posts, _, columns) = read_bytes(text, &[]).unwrap();
    assert_eq!(
        posts.iter().map(|post| (post.id.as_str(), post.line)).collect::<Vec<_>>(),
        [("a", Some(2)), ("a", Some(3))]
    );
    let problems = columns.problems.to_string();
    assert!(problems.contains("1  date in the future  tanggal  line 3  \"2099-01-02T00:00:00Z\""), "{problems}");
}

#[test]
fn exports_of_collectors_are_tables_too() {
    let text = "id,inputUrl,url,shortCode,ownerUsername,caption,hashtags/0,hashtags/1,likesCount,videoUrl,isSponsored,error\n\
                3123456789012345678,https://x/,https://www.instagram.com/p/DAxYz012345/,DAxYz012345,Rina,Soto,kuliner,soto,-1,https://cdn/a.mp4,true,\n\
                ,,https://www.instagram.com/p/DBxYz012345/,,,,,,,,,not_found\n\
                ,,https://www.instagram.com/p/DCxYz012345/,DDxYz012345,,Lain,,,,,,\n";
    let (posts, skips, columns) = read_bytes(text, &[]).unwrap();
    assert_eq!(posts.len(), 1);
    let Post { id, owner, hashtags, counts, flags, .. } = &posts[0];
    assert_eq!((id.as_str(), owner.handle.as_deref(), counts[&Counted::Likes]), ("DAxYz012345", Some("rina"), -1));
    assert_eq!(hashtags.as_deref().unwrap(), ["kuliner", "soto"]);
    assert_eq!(flags["isSponsored"], true);
    assert_eq!(
        reasons(&skips),
        [
            ("an error of the collector", "line 3: not_found"),
            ("link and shortcode name two posts", "line 4: DCxYz012345 and DDxYz012345"),
        ]
    );
    assert!(columns.to_string().ends_with("\n  not read: inputUrl, videoUrl"), "{columns}");
}

/// Rows made as they are read.
struct Made {
    rows: std::ops::Range<u32>,
    row: std::io::Cursor<Vec<u8>>,
}

impl std::io::Read for Made {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.row.position() == self.row.get_ref().len() as u64
            && let Some(row) = self.rows.next()
        {
            let text = format!(
                "C{row:010},akun_{},{:02}/03/2025 10:11,{},\"{}\",1.{:03},\"Takarir, nomor {row}\",\"Halo semuanya, hari ini \
                 kita bahas resep \"\"soto\"\" nomor {row}. Bahannya ada sepuluh.\",kuliner,Ya,,\n",
                row % 5000,
                row % 28 + 1,
                row % 90,
                row % 60,
                row % 1000
            );
            self.row = std::io::Cursor::new(text.into_bytes());
        }
        self.row.read(buffer)
    }
}

#[test]
#[ignore = "a million rows take some seconds in a release build, a minute in others"]
fn a_million_rows_are_streamed() {
    const ROWS: u32 = 1_000_000;
    const HEADER: &[u8] = b"shortcode,akun,tanggal,durasi,plays,suka,takarir,transkrip,kategori,iklan,,\n";
    let tasks = crate::task::parse_tasks(TASKS, "tasks.toml").unwrap();
    let file = tempfile::tempfile().unwrap();
    let text = || -> Result<Box<dyn BufRead>> {
        Ok(Box::new(BufReader::new(Made { rows: 0..ROWS, row: std::io::Cursor::new(HEADER.to_vec()) })))
    };
    let before = crate::run::peak_bytes();
    let mut posts = 0;
    let started = std::time::Instant::now();
    let columns = read(&Opened { name: "made.csv", file: &file, text: &text }, &[], &tasks, &mut |read| {
        posts += u32::from(read.is_ok_and(|post| post.reference.len() == 2 && post.posted_at.is_some()));
        Ok(())
    });
    eprintln!("{:.0} rows/s", f64::from(ROWS) / started.elapsed().as_secs_f64());
    let grown = crate::run::peak_bytes() - before;
    assert_eq!(posts, ROWS, "{}", columns.unwrap().problems);
    assert!(grown < 16 << 20, "memory grew by {grown} bytes");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), kind in 0..4) {
        let start: &[u8] = [&b""[..], b"PK\x03\x04", b"PAR1", b"id,transkrip,suka,tanggal\n"][kind as usize];
        drop(read_bytes([start, &bytes].concat(), &[]));
    }

    #[test]
    fn no_text_makes_it_panic(text in "[a-e0-9,;|\t\"'\n\r{}\\[\\]:=./ é-]{0,200}") {
        for head in ["", "id;transkrip;suka;durasi;tanggal\n", "{\"id\":"] {
            drop(read_bytes(format!("{head}{text}"), &[]));
        }
    }

    #[test]
    fn no_change_to_a_file_makes_it_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), name in 0..4usize) {
        let mut bytes = std::fs::read(reference(["posts.xlsx", "none.parquet", "gzip.parquet", "posts.csv"][name])).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        drop(read_bytes(bytes, &[]));
    }

    /// What crate csv writes is read as it was.
    #[test]
    fn cells_come_back(
        rows in prop::collection::vec(prop::collection::vec("[a-c;,\"\n\t ]{0,8}", 3), 1..6),
        separator in prop::sample::select(vec![b',', b';', b'\t', b'|']),
    ) {
        let mut writer = csv::WriterBuilder::new().delimiter(separator).from_writer(vec![]);
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let bytes = writer.into_inner().unwrap();
        let named = [b"sep=", &[separator][..], b"\n", &bytes].concat();
        let open = || -> Result<Box<dyn BufRead>> { Ok(Box::new(&named[..])) };
        let table = Delimited::open("t.csv", &open, &|_| false).unwrap();
        let mut read = vec![];
        table.each(&mut |row| {
            read.push(row.cells.unwrap());
            Ok(ControlFlow::Continue(()))
        }).unwrap();
        let expected: Vec<Vec<Cell>> = rows.into_iter().map(|row| row.into_iter().map(Cell::text).collect()).collect();
        prop_assert_eq!(read, expected);
    }
}
