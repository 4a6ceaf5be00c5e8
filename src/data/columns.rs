//! Records as a Parquet file, a column a field: for tools that read tables. Lists and objects are JSON.

use std::io::Write;
use std::sync::Arc;

use anyhow::Result;
use parquet::basic::Compression;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use serde_json::json;

use crate::reel::Reel;

const SCHEMA: &str = "message reel {
    required binary id (UTF8);
    optional binary account (UTF8);
    optional binary posted_at (UTF8);
    optional double duration_s;
    optional int64 likes;
    optional int64 views;
    optional int64 plays;
    optional int64 comments;
    optional binary caption (UTF8);
    required binary hashtags (UTF8);
    optional binary transcript (UTF8);
    optional binary language (UTF8);
    required binary reference (UTF8);
    optional binary soft (UTF8);
    optional binary annotations (UTF8);
    required boolean synthetic;
    optional binary source (UTF8);
}";

/// Writes records, in one group of rows.
///
/// # Errors
/// When the file can't be written.
pub fn write<W: Write + Send>(file: W, reels: &[Reel]) -> Result<()> {
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(Default::default())).build();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
    let mut rows = writer.next_row_group()?;
    let text = |text: &Option<String>| text.clone();
    required(&mut rows, reels, |reel| reel.id.clone())?;
    optional(&mut rows, reels, |reel| text(&reel.account))?;
    optional(&mut rows, reels, |reel| text(&reel.posted_at))?;
    let durations: Vec<Option<f64>> = reels.iter().map(|reel| reel.duration_s).collect();
    let mut column = next(&mut rows)?;
    let (values, levels) = present(durations);
    column.typed::<DoubleType>().write_batch(&values, Some(&levels), None)?;
    column.close()?;
    for of in
        [|reel: &Reel| reel.likes, |reel: &Reel| reel.views, |reel: &Reel| reel.plays, |reel: &Reel| reel.comments]
    {
        let counts = reels.iter().map(|reel| of(reel).and_then(|count| i64::try_from(count).ok())).collect();
        let (values, levels) = present(counts);
        let mut column = next(&mut rows)?;
        column.typed::<Int64Type>().write_batch(&values, Some(&levels), None)?;
        column.close()?;
    }
    optional(&mut rows, reels, |reel| text(&reel.caption))?;
    required(&mut rows, reels, |reel| json!(reel.hashtags).to_string())?;
    optional(&mut rows, reels, |reel| text(&reel.transcript))?;
    optional(&mut rows, reels, |reel| text(&reel.language))?;
    // Several gold answers of a task are a list.
    required(&mut rows, reels, |reel| {
        serde_json::to_value(reel).map(|reel| reel["reference"].to_string()).unwrap_or_default()
    })?;
    optional(&mut rows, reels, |reel| reel.soft.as_ref().map(|soft| json!(soft).to_string()))?;
    let annotations = |reel: &Reel| (!reel.annotations.is_empty()).then(|| json!(reel.annotations).to_string());
    optional(&mut rows, reels, annotations)?;
    let synthetic: Vec<bool> = reels.iter().map(|reel| reel.synthetic).collect();
    let mut column = next(&mut rows)?;
    column.typed::<BoolType>().write_batch(&synthetic, None, None)?;
    column.close()?;
    optional(&mut rows, reels, |reel| reel.source.as_ref().map(ToString::to_string))?;
    rows.close()?;
    writer.close()?;
    Ok(())
}

type Rows<'a, W> = SerializedRowGroupWriter<'a, W>;

fn next<'a, W: Write + Send>(rows: &'a mut Rows<W>) -> Result<parquet::file::writer::SerializedColumnWriter<'a>> {
    rows.next_column()?.ok_or_else(|| anyhow::anyhow!("the schema has fewer columns than are written"))
}

fn required<W: Write + Send>(rows: &mut Rows<W>, reels: &[Reel], of: impl Fn(&Reel) -> String) -> Result<()> {
    let values: Vec<ByteArray> = reels.iter().map(|reel| ByteArray::from(of(reel).into_bytes())).collect();
    let mut column = next(rows)?;
    column.typed::<ByteArrayType>().write_batch(&values, None, None)?;
    Ok(column.close()?)
}

fn optional<W: Write + Send>(rows: &mut Rows<W>, reels: &[Reel], of: impl Fn(&Reel) -> Option<String>) -> Result<()> {
    let (values, levels) =
        present(reels.iter().map(|reel| of(reel).map(|text| ByteArray::from(text.into_bytes()))).collect());
    let mut column = next(rows)?;
    column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
    Ok(column.close()?)
}

/// The values that are there, and for each row whether one is.
fn present<T>(values: Vec<Option<T>>) -> (Vec<T>, Vec<i16>) {
    let levels = values.iter().map(|value| i16::from(value.is_some())).collect();
    (values.into_iter().flatten().collect(), levels)
}
