//! Reading a header: every length is checked against what is left of the file before anything is allocated.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use indexmap::IndexMap;

use super::{Array, Gguf, Tensor, Value, block};
use crate::error::Hint;
use crate::foreign;

/// llama.cpp refuses longer tensor names (GGML_MAX_NAME).
const MAX_TENSOR_NAME: usize = 63;
const MAX_DIMENSIONS: u32 = 4;
/// Most metadata entries, and most tensors; known files have tens and hundreds. An entry takes more memory here than
/// bytes in the file.
const MAX_ENTRIES: u64 = 1 << 16;

/// Reads everything before the tensor data and checks that all of that data is there; of a split model, in all of its
/// parts, of which `path` is the first.
///
/// # Errors
/// Names the file, the key or tensor, and what is wrong: not GGUF, truncated, inconsistent, a part that is missing.
pub fn read_header(path: &Path) -> Result<Gguf> {
    let mut whole = read_part(path)?;
    let count = whole.number("split.count").unwrap_or(1);
    if count <= 1 {
        return Ok(whole);
    }
    let place = path.display();
    let number = whole.number("split.no").unwrap_or(0);
    ensure!(
        number < count && count <= MAX_ENTRIES,
        anyhow!("{place}: split.no is {number}, and split.count {count}").hint("it is damaged: download it again")
    );
    let part = |number: u64| {
        let name = path.file_name()?.to_str()?.strip_suffix(&format!("-{:05}-of-{count:05}.gguf", number + 1))?;
        Some(name.to_owned())
    };
    let stem = part(number)
        .with_context(|| {
            format!("{place}: it is part {} of {count} of a split model, and its name doesn't say so", number + 1)
        })
        .with_hint(|| {
            format!(
                "parts are found by names like model-00001-of-{count:05}.gguf, and must not be joined with cat; \
                 llama-gguf-split --merge joins them"
            )
        })?;
    let named = |number: u64| path.with_file_name(format!("{stem}-{:05}-of-{count:05}.gguf", number + 1));
    ensure!(
        number == 0,
        anyhow!("{place}: it is part {} of {count} of a split model", number + 1)
            .hint(format!("name the first: {}", named(0).display()))
    );
    for number in 1..count {
        let path = named(number);
        ensure!(
            path.exists(),
            anyhow!("{place}: part {} of {count} is missing: {}", number + 1, path.display())
                .hint("download it too, beside the first")
        );
        let part = read_part(&path)?;
        let same = part.number("split.no") == Some(number) && part.number("split.count") == Some(count);
        ensure!(same, anyhow!("{}: it says that it is another part", path.display()).hint("download it again"));
        for (name, tensor) in part.tensors {
            ensure!(
                !whole.tensors.contains_key(&name),
                "{}: tensor {name:?} is in an earlier part too",
                path.display()
            );
            whole.tensors.insert(name, Tensor { part: number as usize, ..tensor });
        }
        whole.file_bytes += part.file_bytes;
        whole.parts.push(path);
    }
    let (announced, found) = (whole.number("split.tensors.count"), whole.tensors.len());
    ensure!(
        announced == Some(found as u64),
        anyhow!(
            "{place}: its parts hold {found} tensors, and split.tensors.count is {}",
            announced.unwrap_or_default()
        )
        .hint("the parts are of different models; download all again")
    );
    Ok(whole)
}

fn read_part(path: &Path) -> Result<Gguf> {
    // Opening what is no file may wait for ever.
    let meta = std::fs::metadata(path).with_context(|| format!("cannot open model {}", path.display()))?;
    ensure!(meta.is_file(), anyhow!("{} is not a file", path.display()).hint("name a .gguf file"));
    let file = File::open(path).with_context(|| format!("cannot open model {}", path.display()))?;
    let mut magic = Vec::new();
    (&file).take(8).read_to_end(&mut magic).with_context(|| format!("cannot read {}", path.display()))?;
    if !magic.starts_with(b"GGUF") {
        let damage = format!("it starts with \"{}\"", magic.escape_ascii());
        let hint = "llama.cpp's convert_hf_to_gguf.py makes one from a Hugging Face directory";
        return Err(foreign::error(path, "a GGUF file", &damage, hint));
    }
    ensure!(
        magic.get(4..7) != Some(&[0; 3]),
        anyhow!("{}: its numbers begin with their largest part (big-endian), for other machines", path.display())
            .hint("llama.cpp's gguf_convert_endian.py FILE little converts it in place")
    );
    (&file).rewind()?;
    let mut source = Source { reader: BufReader::with_capacity(1 << 16, file), at: 0, len: meta.len() };
    source.header(path).with_context(|| format!("{}", path.display()))
}

struct Source<R> {
    reader: R,
    at: u64,
    len: u64,
}

impl<R: Read> Source<R> {
    fn header(&mut self, path: &Path) -> Result<Gguf> {
        ensure!(self.bytes::<4>()? == *b"GGUF", "not a GGUF file");
        let version = self.u32()?;
        ensure!(
            matches!(version, 2 | 3),
            anyhow!("GGUF version {version}, expected 2 or 3").hint(if version == 1 {
                "it is of 2023: convert the original model with llama.cpp's convert_hf_to_gguf.py"
            } else {
                "it is damaged, or newer than this program: download it again, or update"
            })
        );
        let n_tensors = self.u64()?;
        let n_metadata = self.u64()?;
        // The smallest entries take 24 and 13 bytes, which bounds both counts by the file's size.
        self.expect_at_most(n_tensors, 24, "tensors")?;
        self.expect_at_most(n_metadata, 13, "metadata entries")?;
        ensure!(
            n_tensors.max(n_metadata) <= MAX_ENTRIES,
            anyhow!("{n_metadata} metadata entries and {n_tensors} tensors, at most {MAX_ENTRIES} are read")
                .hint("the file is damaged, or no model")
        );

        let mut metadata = IndexMap::new();
        for _ in 0..n_metadata {
            let key = self.string().context("a metadata key")?;
            let dtype = self.u32()?;
            let value = self.value(dtype).with_context(|| format!("metadata {key:?}"))?;
            ensure!(!metadata.contains_key(&key), "metadata {key:?} stands there twice");
            metadata.insert(key, value);
        }
        let mut tensors = IndexMap::new();
        for _ in 0..n_tensors {
            let name = self.string().context("a tensor's name")?;
            ensure!(name.len() <= MAX_TENSOR_NAME, "tensor name {name:?} is longer than {MAX_TENSOR_NAME} bytes");
            let tensor = self.tensor().with_context(|| format!("tensor {name:?}"))?;
            ensure!(!tensors.contains_key(&name), "tensor {name:?} stands there twice");
            tensors.insert(name, tensor);
        }
        let alignment = match metadata.get("general.alignment") {
            None => 32,
            Some(value) => value
                .as_u64()
                .filter(|alignment| alignment.is_power_of_two() && *alignment <= 1 << 20)
                .with_context(|| format!("general.alignment is {value:?}, expected a power of two"))?,
        };
        self.place(&mut tensors, alignment)?;
        let parts = vec![path.to_owned()];
        Ok(Gguf { path: path.to_owned(), parts, file_bytes: self.len, metadata, tensors })
    }

    /// Turns offsets relative to the data section into offsets in the file, and checks that all data is there.
    fn place(&self, tensors: &mut IndexMap<String, Tensor>, alignment: u64) -> Result<()> {
        let data = self.at.next_multiple_of(alignment);
        for (name, tensor) in tensors {
            ensure!(tensor.offset % alignment == 0, "tensor {name:?} is not aligned to {alignment} bytes");
            let start = data.checked_add(tensor.offset);
            let end = start.and_then(|start| start.checked_add(tensor.bytes.unwrap_or(0)));
            let Some((start, end)) = start.zip(end) else { bail!("tensor {name:?} has offset {}", tensor.offset) };
            ensure!(
                end <= self.len,
                anyhow!("truncated: tensor {name:?} ends at byte {end}, the file has {}", self.len)
                    .hint("copy or download it again")
            );
            tensor.offset = start;
        }
        Ok(())
    }

    fn tensor(&mut self) -> Result<Tensor> {
        let n_dimensions = self.u32()?;
        ensure!(
            (1..=MAX_DIMENSIONS).contains(&n_dimensions),
            "{n_dimensions} dimensions, expected 1 to {MAX_DIMENSIONS}"
        );
        let shape = (0..n_dimensions).map(|_| self.u64()).collect::<Result<Vec<_>>>()?;
        let elements = shape.iter().try_fold(1u64, |product, size| product.checked_mul(*size));
        let elements = elements.filter(|count| *count > 0).with_context(|| format!("shape {shape:?}"))?;
        let dtype = self.u32()?;
        let offset = self.u64()?;
        let bytes = match block(dtype) {
            None => None,
            Some((per_block, block_bytes)) => {
                ensure!(shape[0] % per_block == 0, "row of {} is no multiple of the block size {per_block}", shape[0]);
                Some((elements / per_block).checked_mul(block_bytes).context("size overflows")?)
            }
        };
        Ok(Tensor { shape, dtype, part: 0, offset, bytes })
    }

    fn value(&mut self, dtype: u32) -> Result<Value> {
        Ok(match dtype {
            8 => Value::Text(self.string()?),
            9 => Value::Array(self.array()?),
            _ => {
                let bytes = self.take(scalar_bytes(dtype)?)?;
                scalar(dtype, &bytes)
            }
        })
    }

    /// Reads an array and keeps its bytes as they are in the file, so that it takes no more memory than there.
    fn array(&mut self) -> Result<Array> {
        let dtype = self.u32()?;
        let count = self.u64()?;
        if dtype != 8 {
            let each = scalar_bytes(dtype)?;
            self.expect_at_most(count, each, "array elements")?;
            return Ok(Array { dtype, count, bytes: self.take(count * each)? });
        }
        self.expect_at_most(count, 8, "array elements")?;
        let mut bytes = Vec::new();
        for _ in 0..count {
            let length = self.u64()?;
            self.expect_at_most(length, 1, "bytes of text")?;
            bytes.extend(length.to_le_bytes());
            bytes.extend(self.take(length)?);
        }
        Ok(Array { dtype, count, bytes })
    }

    fn string(&mut self) -> Result<String> {
        let length = self.u64()?;
        self.expect_at_most(length, 1, "bytes of text")?;
        Ok(String::from_utf8_lossy(&self.take(length)?).into_owned())
    }

    fn expect_at_most(&self, count: u64, bytes_each: u64, what: &str) -> Result<()> {
        let left = self.len - self.at;
        ensure!(
            count <= left / bytes_each,
            anyhow!("truncated or corrupt: {count} {what} announced, {left} bytes left")
                .hint("copy or download it again")
        );
        Ok(())
    }

    /// Reads bytes, so many as [`Source::expect_at_most`] has allowed.
    fn take(&mut self, count: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; count as usize];
        self.reader.read_exact(&mut bytes).map_err(|_| truncated(self.at))?;
        self.at += count;
        Ok(bytes)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).map_err(|_| truncated(self.at))?;
        self.at += N as u64;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.bytes()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.bytes()?))
    }
}

/// Bytes of a value that is neither text nor array.
fn scalar_bytes(dtype: u32) -> Result<u64> {
    Ok(match dtype {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        10..=12 => 8,
        9 => bail!(anyhow!("an array of arrays").hint("no model needs one; the file is damaged")),
        other => bail!(anyhow!("unknown value type {other}").hint("the file is damaged, or newer than this program")),
    })
}

/// The value that `bytes` hold, which are as many as [`scalar_bytes`] says.
pub(super) fn scalar(dtype: u32, bytes: &[u8]) -> Value {
    let mut wide = [0; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    let (unsigned, bits) = (u64::from_le_bytes(wide), 64 - 8 * bytes.len() as u32);
    match dtype {
        6 => Value::Float(f32::from_bits(unsigned as u32).into()),
        12 => Value::Float(f64::from_bits(unsigned)),
        7 => Value::Bool(unsigned != 0),
        1 | 3 | 5 | 11 => Value::Int(i128::from((unsigned << bits) as i64 >> bits)),
        _ => Value::Int(unsigned.into()),
    }
}

fn truncated(at: u64) -> anyhow::Error {
    anyhow!("truncated: the header ends at byte {at}").hint("copy or download it again")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with one metadata entry and one f32 tensor of 8 elements, and `data` bytes behind it.
    fn file(data: usize) -> Vec<u8> {
        let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend(1u64.to_le_bytes());
        bytes.extend(1u64.to_le_bytes());
        bytes.extend([text("general.architecture"), 8u32.to_le_bytes().to_vec(), text("qwen2")].concat());
        bytes.extend([text("w"), 1u32.to_le_bytes().to_vec(), 8u64.to_le_bytes().to_vec()].concat());
        bytes.extend([0u32.to_le_bytes().to_vec(), 0u64.to_le_bytes().to_vec()].concat());
        bytes.resize(bytes.len().next_multiple_of(32) + data, 0);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Gguf> {
        let mut source = Source { reader: bytes, at: 0, len: bytes.len() as u64 };
        source.header(Path::new("a.gguf"))
    }

    #[test]
    fn reads_what_was_written() {
        let gguf = read(&file(32)).unwrap();
        assert_eq!(gguf.architecture(), Some("qwen2"));
        assert_eq!(gguf.tensors["w"].bytes, Some(32));
        assert_eq!(gguf.parameters(), 8);
    }

    #[test]
    fn missing_data_is_truncated() {
        let message = format!("{:#}", read(&file(31)).unwrap_err());
        assert!(message.contains("truncated: tensor \"w\" ends at byte"), "{message}");
    }

    #[test]
    fn every_prefix_and_every_flipped_byte_is_an_error_or_a_header() {
        let bytes = file(32);
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end]).is_err(), "{end} bytes");
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut broken = bytes.clone();
                broken[at] ^= 1 << bit;
                let _ = read(&broken); // must return, without a panic or a huge allocation
            }
        }
    }
}
