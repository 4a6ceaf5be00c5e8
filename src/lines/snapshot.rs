//! A data file as it was when it was opened: JSON in UTF-8, one object a line, whatever it was brought as.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::split::Splitter;
use super::{BUFFER, Lines, Spool};
use crate::error::Hint;
use crate::stop::waiting;

const GZIP: &[u8] = b"\x1f\x8b";

/// What begins a file that holds no text, with what it is and how to read it.
const NO_TEXT: [(&[u8], &str, &str); 8] = [
    (GZIP, "gzip within gzip", "decompress it once, gunzip F"),
    (b"PK\x03\x04", "a workbook (XLSX) or an archive (ZIP)", TABLE),
    (b"\xd0\xcf\x11\xe0", "a workbook (XLS)", TABLE),
    (
        b"PAR1",
        "Parquet",
        "in Python: pandas.read_parquet(F).to_json(\"F.jsonl\", orient=\"records\", lines=True, force_ascii=False)",
    ),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "decompress it, zstd -d F; gzip is read as it is"),
    (b"BZh", "compressed with bzip2", "decompress it, bunzip2 F; gzip is read as it is"),
    (b"\xfd7zXZ", "compressed with xz", "decompress it, unxz F; gzip is read as it is"),
    (b"\xff\xfe\0\0", "UTF-32", "save the file as UTF-8, e.g. iconv -f utf-32 -t utf-8"),
];

const TABLE: &str = "in Python: pandas.read_excel(F, dtype=str).to_json(\"F.jsonl\", orient=\"records\", lines=True, force_ascii=False), with the gold answers in one column reference, e.g. {\"category\": \"kuliner\"}";

const CSV: &str = "the file must be JSONL, one object a line, not CSV; in Python: pandas.read_csv(F, dtype=str).to_json(\"F.jsonl\", orient=\"records\", lines=True, force_ascii=False), with the gold answers in one column reference, e.g. {\"category\": \"kuliner\"}";

/// Lines that were read once: what happens to the file afterwards changes nothing.
#[derive(Debug)]
pub struct Snapshot {
    /// One JSON text a line; no blank ones.
    pub lines: Lines,
    /// SHA-256 of the file as it was brought.
    pub sha256: String,
}

impl Snapshot {
    /// Reads a file, or standard input where its name is `-`. Gzip, UTF-16 and a byte order mark are decoded, and an array
    /// of objects, pretty-printed objects and several objects on a line are taken apart, with a warning that says so.
    ///
    /// # Errors
    /// Names the file, and what it holds where that is no JSON.
    pub fn open(path: &Path, what: &str) -> Result<Snapshot> {
        waiting(|| Snapshot::read(path, what))
    }

    fn read(path: &Path, what: &str) -> Result<Snapshot> {
        if path == Path::new("-") {
            return Snapshot::of("standard input", &mut io::stdin().lock());
        }
        let name = path.display().to_string();
        let mut file = File::open(path)
            .with_context(|| format!("cannot read {what} {name}"))
            .hint("records are JSONL, one object a line, see eval/sample.jsonl")?;
        ensure!(!file.metadata()?.is_dir(), "cannot read {what} {name}: it is a directory");
        Snapshot::of(&name, &mut file)
    }

    /// Reads what has a name for messages only.
    ///
    /// # Errors
    /// As [`Snapshot::open`].
    pub fn of(name: &str, source: &mut dyn Read) -> Result<Snapshot> {
        let hash = Rc::new(RefCell::new(Sha256::new()));
        let mut hashed = BufReader::with_capacity(BUFFER, Hashed { source, hash: Rc::clone(&hash) });
        let lines = objects(name, decoded(name, &mut hashed)?)?;
        io::copy(&mut hashed, &mut io::sink()).map_err(|error| cannot_be_read(name, &error))?;
        drop(hashed);
        let hash = hash.take().finalize();
        Ok(Snapshot { lines, sha256: hash.iter().map(|byte| format!("{byte:02x}")).collect() })
    }
}

fn cannot_be_read(name: &str, error: &io::Error) -> anyhow::Error {
    anyhow!("{name}: cannot be read: {error}").hint("is the file whole?")
}

/// A text in UTF-8 without a mark, whatever it was brought as.
///
/// # Errors
/// Names the file, and what it holds where that is no text.
pub fn decoded<'a>(name: &str, mut source: impl BufRead + 'a) -> Result<Box<dyn BufRead + 'a>> {
    let cannot = |error: io::Error| cannot_be_read(name, &error);
    let start = filled(&mut source).map_err(cannot)?;
    let mut decoded: Box<dyn BufRead + 'a> = if start.starts_with(GZIP) {
        tracing::warn!("{name}: compressed with gzip: what is in it is read");
        Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(source)))
    } else {
        Box::new(source)
    };
    let start = filled(&mut decoded).map_err(cannot)?;
    if let Some((_, what, hint)) = NO_TEXT.iter().find(|(magic, ..)| start.starts_with(magic)) {
        bail!(anyhow!("{name}: expected JSON, one object a line, found {what}").hint(*hint));
    }
    if let Some((big, mark)) = utf16(&start) {
        tracing::warn!("{name}: UTF-16, read as UTF-8");
        decoded.consume(mark);
        decoded = Box::new(BufReader::with_capacity(BUFFER, Utf16::new(decoded, big)));
    } else if start.starts_with(b"\xef\xbb\xbf") {
        decoded.consume(3);
    }
    Ok(decoded)
}

/// The first bytes, without taking them.
fn filled(source: &mut (impl BufRead + ?Sized)) -> io::Result<Vec<u8>> {
    let start = source.fill_buf()?;
    Ok(start[..start.len().min(8)].to_vec())
}

/// Whether the bytes are UTF-16, big endian or not, and how long its mark is. Without one, each letter of JSON has a zero
/// beside it.
pub fn utf16(start: &[u8]) -> Option<(bool, usize)> {
    match start {
        [0xff, 0xfe, ..] => Some((false, 2)),
        [0xfe, 0xff, ..] => Some((true, 2)),
        [first, 0, second, 0, ..] if *first != 0 && *second != 0 => Some((false, 0)),
        [0, first, 0, second, ..] if *first != 0 && *second != 0 => Some((true, 0)),
        _ => None,
    }
}

struct Hashed<'a> {
    source: &'a mut dyn Read,
    hash: Rc<RefCell<Sha256>>,
}

impl Read for Hashed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.hash.borrow_mut().update(&buffer[..read]);
        Ok(read)
    }
}

/// UTF-16 as UTF-8; half a character becomes U+FFFD.
struct Utf16<R> {
    source: R,
    big: bool,
    /// The first half of a character.
    high: Option<u16>,
    /// What is decoded, and how much of it is taken.
    decoded: (String, usize),
}

impl<R: Read> Utf16<R> {
    fn new(source: R, big: bool) -> Utf16<R> {
        Utf16 { source, big, high: None, decoded: (String::new(), 0) }
    }

    /// Decodes what comes next; nothing at the end.
    fn decode(&mut self) -> io::Result<String> {
        let mut bytes = Vec::with_capacity(1 << 16);
        self.source.by_ref().take(1 << 16).read_to_end(&mut bytes)?;
        let mut units: Vec<u16> = self.high.take().into_iter().collect();
        units.extend(bytes.chunks(2).map(|unit| match (unit, self.big) {
            (&[first, second], true) => u16::from_be_bytes([first, second]),
            (&[first, second], false) => u16::from_le_bytes([first, second]),
            _ => 0xfffd,
        }));
        if !bytes.is_empty() && units.last().is_some_and(|last| (0xd800..0xdc00).contains(last)) {
            self.high = units.pop();
        }
        Ok(String::from_utf16_lossy(&units))
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.decoded.1 == self.decoded.0.len() {
            self.decoded = (self.decode()?, 0);
            if self.decoded.0.is_empty() && self.high.is_none() {
                return Ok(0);
            }
        }
        let (text, taken) = &mut self.decoded;
        let read = (&text.as_bytes()[*taken..]).read(buffer)?;
        *taken += read;
        Ok(read)
    }
}

/// Whether another object begins behind the end of one.
fn has_several(line: &[u8]) -> bool {
    memchr::memchr_iter(b'}', line).any(|end| {
        let mut rest = line[end + 1..].trim_ascii_start();
        rest = rest.strip_prefix(b",").unwrap_or(rest).trim_ascii_start();
        rest.first() == Some(&b'{')
    })
}

/// The objects of a text, one a line.
///
/// # Errors
/// Names the file, and the line that can't be read or is the head of a table.
pub fn objects(name: &str, mut text: Box<dyn BufRead + '_>) -> Result<Lines> {
    let mut spool = Spool::new(name);
    let mut splitter = None;
    // A first line that is no whole object, kept until the second one tells what it is.
    let mut first: Option<(Vec<u8>, u32)> = None;
    let (mut begun, mut taken_apart) = (false, false);
    let mut bytes = Vec::new();
    for number in 1u32.. {
        bytes.clear();
        let read = text.read_until(b'\n', &mut bytes).map_err(|error| {
            anyhow!("{name}:{number}: cannot be read: {error}").hint("is the file whole? try gunzip -t")
        })?;
        if read == 0 {
            break;
        }
        let line = bytes.trim_ascii_end();
        if line.is_empty() {
            continue;
        }
        if !begun && first.is_none() {
            match line.trim_ascii_start()[0] {
                b'[' => splitter = Some(Splitter::new(true)),
                b'{' if !Splitter::is_whole(line) => {
                    first = Some((line.to_vec(), number));
                    continue;
                }
                b'{' => {}
                _ => refuse_table(name, line, number)?,
            }
        }
        begun = true;
        let mut pieces: Vec<(Vec<u8>, u32)> = vec![];
        let mut add = |piece: Vec<u8>, number: u32| pieces.push((piece, number));
        if let Some((line_before, number_before)) = first.take() {
            if line.starts_with(b"{") && Splitter::is_whole(line) {
                spool.push(&line_before, number_before)?;
            } else {
                splitter.insert(Splitter::new(false)).line(&line_before, number_before, &mut add);
            }
        }
        if let Some(splitter) = &mut splitter {
            splitter.line(line, number, &mut add);
        } else if line.ends_with(b",") || has_several(line) {
            let mut splitter = Splitter::new(false);
            splitter.line(line, number, &mut add);
            splitter.end(&mut add);
            // One object that holds others, or that is broken, is a line as it is.
            if let [_] = pieces[..] {
                pieces.clear();
            }
            taken_apart |= pieces.len() > 1;
        }
        if splitter.is_none() && pieces.is_empty() {
            let whole = line.strip_suffix(b",").filter(|line| line.trim_ascii_end().ends_with(b"}"));
            let line = whole.inspect(|_| taken_apart = true).unwrap_or(line);
            if !line.is_empty() {
                spool.push(line, number)?;
            }
        }
        pieces.iter().try_for_each(|(piece, number)| spool.push(piece, *number))?;
    }
    if let Some((line, number)) = first {
        spool.push(&line, number)?;
    }
    if let Some(mut splitter) = splitter {
        let mut last = vec![];
        splitter.end(&mut |piece, number| last.push((piece, number)));
        last.iter().try_for_each(|(piece, number)| spool.push(piece, *number))?;
        taken_apart = true;
    }
    if taken_apart {
        tracing::warn!("{name}: not one object a line: objects are taken apart");
    }
    spool.finish()
}

/// A first line that is no JSON but the head of a table.
fn refuse_table(name: &str, line: &[u8], number: u32) -> Result<()> {
    const COLUMNS: [&str; 6] = ["id", "transcript", "caption", "transkrip", "text", "url"];
    let text = String::from_utf8_lossy(line).to_lowercase();
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str()).unwrap_or("");
    let is_column = |cell: &str| COLUMNS.contains(&cell.trim().trim_matches('"'));
    let is_head =
        [',', ';', '\t'].iter().any(|separator| text.contains(*separator) && text.split(*separator).any(is_column));
    ensure!(
        !is_head && !matches!(extension, "csv" | "tsv"),
        anyhow!("{name}:{number}: expected a JSON object, found {:?}", text.chars().take(40).collect::<String>())
            .hint(CSV)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<(String, u32)>> {
        let snapshot = Snapshot::of("a.jsonl", &mut &bytes[..])?;
        let mut lines = Vec::new();
        snapshot.lines.each(|line| {
            assert_eq!(snapshot.lines.at(line.place)?, line.bytes);
            lines.push((String::from_utf8_lossy(line.bytes).into_owned(), line.place.number));
            Ok(())
        })?;
        Ok(lines)
    }

    const TEXT: &str = "{\"id\":\"ä😋\"}\r\n\n{\"id\":\"b\"}";

    fn expected() -> Vec<(String, u32)> {
        vec![("{\"id\":\"ä😋\"}".into(), 1), ("{\"id\":\"b\"}".into(), 3)]
    }

    /// In two members, as gzip files that were joined have.
    fn zipped(bytes: &[u8]) -> Vec<u8> {
        let mut zipped = Vec::new();
        for part in bytes.chunks(bytes.len() / 2 + 1) {
            let mut encoder = flate2::write::GzEncoder::new(&mut zipped, flate2::Compression::fast());
            io::Write::write_all(&mut encoder, part).unwrap();
            encoder.finish().unwrap();
        }
        zipped
    }

    #[test]
    fn encodings_are_decoded() {
        let wide = |big: bool, mark: &str| -> Vec<u8> {
            let units = mark.encode_utf16().chain(TEXT.encode_utf16());
            units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
        };
        for bytes in [
            TEXT.into(),
            format!("\u{feff}{TEXT}").into_bytes(),
            wide(false, "\u{feff}"),
            wide(true, "\u{feff}"),
            wide(false, ""),
            wide(true, ""),
            zipped(TEXT.as_bytes()),
            zipped(&wide(false, "\u{feff}")),
        ] {
            assert_eq!(read(&bytes).unwrap(), expected());
            let snapshot = Snapshot::of("a", &mut &bytes[..]).unwrap();
            let whole: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(snapshot.sha256, whole);
        }
        let message = read(&zipped(TEXT.as_bytes())[..30]).unwrap_err().to_string();
        assert!(message.contains("cannot be read"), "{message}");
    }

    #[test]
    fn characters_are_whole_wherever_the_buffer_ends() {
        let text = "a😋".repeat(BUFFER / 5);
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for skip in [0, 2] {
            let mut decoded = String::new();
            let mut reader = BufReader::with_capacity(BUFFER, Utf16::new(&bytes[skip..], false));
            reader.read_to_string(&mut decoded).unwrap();
            assert_eq!(decoded, text[skip / 2..]);
        }
        let mut half = String::new();
        Utf16::new(&[0x3d, 0xd8, 0x61][..], false).read_to_string(&mut half).unwrap();
        assert_eq!(half, "\u{fffd}\u{fffd}");
    }

    #[test]
    fn objects_that_do_not_stand_one_a_line_are_taken_apart() {
        let two = |first, second| vec![("{\"id\":\"a\"}".to_owned(), first), ("{\"id\":\"b\"}".to_owned(), second)];
        for (text, expected) in [
            ("[{\"id\":\"a\"},{\"id\":\"b\"}]", two(1, 1)),
            ("\n[\n{\"id\":\"a\"},\n{\"id\":\"b\"}\n]\n", two(3, 4)),
            ("{\"id\":\"a\"},\n{\"id\":\"b\"},", two(1, 2)),
            ("{\"id\":\"a\"} {\"id\":\"b\"}", two(1, 1)),
        ] {
            assert_eq!(read(text.as_bytes()).unwrap(), expected, "{text}");
        }
        let pretty = read(b"{\n \"id\": \"a\"\n}\n{\n \"id\": \"b\"\n}\n").unwrap();
        assert_eq!(pretty.iter().map(|(_, number)| *number).collect::<Vec<_>>(), [1, 4]);
        assert!(pretty.iter().all(|(text, _)| serde_json::from_str::<serde_json::Value>(text).is_ok()));
        // A broken first line doesn't swallow the others, nor does an object in an array look like a second record.
        let broken = read(b"{\"id\":\"a\n{\"id\":\"b\"}\n{\"id\":[{},{}]}\n").unwrap();
        assert_eq!(broken.iter().map(|(_, number)| *number).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn what_is_no_json_is_named() {
        for (bytes, expected) in [
            (&b"PK\x03\x04rest"[..], "a.jsonl: expected JSON, one object a line, found a workbook (XLSX)"),
            (b"PAR1", "found Parquet"),
            (&zipped(&zipped(TEXT.as_bytes())), "found gzip within gzip"),
            (b"id,transcript\n1,halo", "a.jsonl:1: expected a JSON object, found \"id,transcript\""),
            (b"\nid;transcript\n", "a.jsonl:2: expected a JSON object, found \"id;transcript\""),
        ] {
            let message = read(bytes).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
        // A line before the records is one that can't be used.
        assert_eq!(read(b"made in May, by us\n{\"id\":\"a\"}\n").unwrap().len(), 2);
    }
}
