//! Writing version 3 as a stream: the header first, then tensor after tensor, so that no tensor is held as a whole.

use std::io::Write;

use anyhow::{Result, ensure};

const ALIGNMENT: usize = 32;

/// A metadata value to write.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Entry {
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    I32s(Vec<i32>),
}

/// How a tensor's values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum FloatType {
    F32,
    F16,
    Bf16,
}

impl FloatType {
    /// Of a value.
    pub fn bytes(self) -> usize {
        if self == FloatType::F32 { 4 } else { 2 }
    }

    /// ggml's type id.
    pub fn id(self) -> u32 {
        match self {
            FloatType::F32 => 0,
            FloatType::F16 => 1,
            FloatType::Bf16 => 30,
        }
    }
}

impl Entry {
    fn write(&self, bytes: &mut Vec<u8>) {
        let text = |bytes: &mut Vec<u8>, text: &str| {
            bytes.extend((text.len() as u64).to_le_bytes());
            bytes.extend(text.as_bytes());
        };
        let dtype = |bytes: &mut Vec<u8>, dtype: u32| bytes.extend(dtype.to_le_bytes());
        match self {
            Entry::U32(value) => {
                dtype(bytes, 4);
                bytes.extend(value.to_le_bytes());
            }
            Entry::F32(value) => {
                dtype(bytes, 6);
                bytes.extend(value.to_le_bytes());
            }
            Entry::Bool(value) => {
                dtype(bytes, 7);
                bytes.push(u8::from(*value));
            }
            Entry::Text(value) => {
                dtype(bytes, 8);
                text(bytes, value);
            }
            Entry::Texts(values) => {
                dtype(bytes, 9);
                dtype(bytes, 8);
                bytes.extend((values.len() as u64).to_le_bytes());
                values.iter().for_each(|value| text(bytes, value));
            }
            Entry::I32s(values) => {
                dtype(bytes, 9);
                dtype(bytes, 5);
                bytes.extend((values.len() as u64).to_le_bytes());
                bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            }
        }
    }
}

/// A file of which the header is written.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    /// Bytes of the tensors that aren't written yet, the next one last.
    left: Vec<usize>,
    /// Of the tensor that is being written.
    padding: usize,
}

impl<W: Write> Writer<W> {
    /// Writes the header. Shapes are `[rows, columns]` or `[values]`, as checkpoints have them.
    ///
    /// # Errors
    /// When a name is longer than GGUF allows, or the file can't be written.
    pub fn new(
        mut out: W,
        metadata: &[(String, Entry)],
        tensors: &[(String, Vec<usize>, FloatType)],
    ) -> Result<Writer<W>> {
        let mut header = b"GGUF\x03\0\0\0".to_vec();
        header.extend((tensors.len() as u64).to_le_bytes());
        header.extend((metadata.len() as u64).to_le_bytes());
        let text = |header: &mut Vec<u8>, text: &str| {
            header.extend((text.len() as u64).to_le_bytes());
            header.extend(text.as_bytes());
        };
        for (key, entry) in metadata {
            text(&mut header, key);
            entry.write(&mut header);
        }
        let mut sizes = Vec::with_capacity(tensors.len());
        let mut offset = 0;
        for (name, shape, dtype) in tensors {
            ensure!(name.len() < 64, "the tensor name {name:?} is longer than GGUF allows");
            text(&mut header, name);
            header.extend((shape.len() as u32).to_le_bytes());
            header.extend(shape.iter().rev().flat_map(|size| (*size as u64).to_le_bytes()));
            header.extend(dtype.id().to_le_bytes());
            header.extend((offset as u64).to_le_bytes());
            let bytes = shape.iter().product::<usize>() * dtype.bytes();
            sizes.push(bytes);
            offset += bytes.next_multiple_of(ALIGNMENT);
        }
        header.resize(header.len().next_multiple_of(ALIGNMENT), 0);
        out.write_all(&header)?;
        sizes.reverse();
        let padding = sizes.last().map_or(0, |bytes| padding(*bytes));
        Ok(Writer { out, left: sizes, padding })
    }

    /// Writes the next piece of the next tensor, in the order of the header.
    ///
    /// # Errors
    /// When the tensor is shorter, or the file can't be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let left = self.left.last_mut().filter(|left| **left >= bytes.len());
        let Some(left) = left else { anyhow::bail!("more bytes than the header announces") };
        *left -= bytes.len();
        self.out.write_all(bytes)?;
        if *left == 0 {
            self.out.write_all(&[0; ALIGNMENT][..self.padding])?;
            self.left.pop();
            self.padding = self.left.last().map_or(0, |bytes| padding(*bytes));
        }
        Ok(())
    }

    /// What it was written to.
    ///
    /// # Errors
    /// When tensors are missing.
    pub fn finish(self) -> Result<W> {
        ensure!(self.left.is_empty(), "{} tensors of the header were not written", self.left.len());
        Ok(self.out)
    }
}

fn padding(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGNMENT) - bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gguf::{Value, read_header};

    proptest! {
        #[test]
        fn what_is_written_is_read(
            number in any::<u32>(), float in -1e6f32..1e6, truth in any::<bool>(), text in ".{0,20}",
            texts in prop::collection::vec(".{0,9}", 0..5), numbers in prop::collection::vec(any::<i32>(), 0..5),
            shapes in prop::collection::vec((1usize..5, 1usize..9, 0usize..3), 1..4),
        ) {
            let entries = [
                Entry::U32(number), Entry::F32(float), Entry::Bool(truth), Entry::Text(text.clone()),
                Entry::Texts(texts.clone()), Entry::I32s(numbers.clone()),
            ];
            let metadata: Vec<(String, Entry)> =
                entries.into_iter().enumerate().map(|(index, entry)| (format!("k{index}"), entry)).collect();
            let types = [FloatType::F32, FloatType::F16, FloatType::Bf16];
            let tensors: Vec<(String, Vec<usize>, FloatType)> = shapes
                .iter()
                .enumerate()
                .map(|(index, (rows, columns, dtype))| (format!("t{index}"), vec![*rows, *columns], types[*dtype]))
                .collect();
            let file = tempfile::NamedTempFile::new().unwrap();
            let mut writer = Writer::new(file.as_file(), &metadata, &tensors).unwrap();
            for (index, (_, shape, dtype)) in tensors.iter().enumerate() {
                for _ in 0..shape[0] {
                    writer.write(&vec![index as u8 + 1; shape[1] * dtype.bytes()]).unwrap();
                }
            }
            writer.finish().unwrap();
            let gguf = read_header(file.path()).unwrap();
            prop_assert_eq!(&gguf.metadata["k0"], &Value::Int(number.into()));
            prop_assert_eq!(&gguf.metadata["k1"], &Value::Float(float.into()));
            prop_assert_eq!(&gguf.metadata["k2"], &Value::Bool(truth));
            prop_assert_eq!(gguf.text("k3"), Some(text.as_str()));
            prop_assert_eq!(gguf.texts("k4").collect::<Vec<_>>(), texts);
            let read: Vec<Value> = gguf.metadata["k5"].as_array().unwrap().scalars().collect();
            prop_assert_eq!(read, numbers.into_iter().map(|number| Value::Int(number.into())).collect::<Vec<_>>());
            let bytes = std::fs::read(file.path()).unwrap();
            for (index, (name, shape, dtype)) in tensors.iter().enumerate() {
                let tensor = &gguf.tensors[name];
                prop_assert_eq!(&tensor.shape, &vec![shape[1] as u64, shape[0] as u64]);
                prop_assert_eq!(tensor.dtype, dtype.id());
                let data = &bytes[tensor.offset as usize..][..tensor.bytes.unwrap() as usize];
                prop_assert!(data.iter().all(|byte| *byte == index as u8 + 1));
            }
        }
    }

    #[test]
    fn too_many_and_too_few_bytes_are_errors() {
        let tensors = [("t".to_owned(), vec![2], FloatType::F32)];
        let mut writer = Writer::new(Vec::new(), &[], &tensors).unwrap();
        assert!(writer.write(&[0; 9]).is_err());
        writer.write(&[0; 4]).unwrap();
        assert!(writer.finish().is_err());
    }
}
