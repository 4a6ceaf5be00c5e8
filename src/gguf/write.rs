//! Writing version 3: a header that says where each tensor will lie, so that tensors can be written a piece at a time.

use anyhow::{Result, ensure};

const ALIGNMENT: u64 = 32;

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
    /// Bytes of one value.
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

/// A file's header, and where in the file its tensors lie; what is between them is 0.
#[derive(Debug)]
pub struct Layout {
    #[expect(missing_docs, reason = "the name says it")]
    pub header: Vec<u8>,
    /// First byte and number of bytes of each tensor.
    pub tensors: Vec<(u64, u64)>,
    /// Bytes of the whole file.
    pub bytes: u64,
}

impl Layout {
    /// Lays out a file of these metadata and tensors. Shapes are `[rows, columns]` or `[values]`, as checkpoints have
    /// them.
    ///
    /// # Errors
    /// When a name is longer than GGUF allows.
    pub fn new(metadata: &[(String, Entry)], tensors: &[(String, Vec<usize>, FloatType)]) -> Result<Layout> {
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
        let mut places = Vec::with_capacity(tensors.len());
        let mut offset = 0;
        for (name, shape, dtype) in tensors {
            ensure!(name.len() < 64, "the tensor name {name:?} is longer than GGUF allows");
            text(&mut header, name);
            header.extend((shape.len() as u32).to_le_bytes());
            header.extend(shape.iter().rev().flat_map(|size| (*size as u64).to_le_bytes()));
            header.extend(dtype.id().to_le_bytes());
            header.extend(u64::to_le_bytes(offset));
            let bytes = (shape.iter().product::<usize>() * dtype.bytes()) as u64;
            places.push((offset, bytes));
            offset += bytes.next_multiple_of(ALIGNMENT);
        }
        header.resize(header.len().next_multiple_of(ALIGNMENT as usize), 0);
        let data = header.len() as u64;
        places.iter_mut().for_each(|(offset, _)| *offset += data);
        Ok(Layout { header, tensors: places, bytes: data + offset })
    }
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
            let layout = Layout::new(&metadata, &tensors).unwrap();
            let mut bytes = layout.header.clone();
            bytes.resize(layout.bytes as usize, 0);
            for (index, (start, len)) in layout.tensors.iter().enumerate() {
                bytes[*start as usize..][..*len as usize].fill(index as u8 + 1);
            }
            std::fs::write(file.path(), &bytes).unwrap();
            let gguf = read_header(file.path()).unwrap();
            prop_assert_eq!(&gguf.metadata["k0"], &Value::Int(number.into()));
            prop_assert_eq!(&gguf.metadata["k1"], &Value::Float(float.into()));
            prop_assert_eq!(&gguf.metadata["k2"], &Value::Bool(truth));
            prop_assert_eq!(gguf.text("k3"), Some(text.as_str()));
            prop_assert_eq!(gguf.texts("k4").collect::<Vec<_>>(), texts);
            let read: Vec<Value> = gguf.metadata["k5"].as_array().unwrap().scalars().collect();
            prop_assert_eq!(read, numbers.into_iter().map(|number| Value::Int(number.into())).collect::<Vec<_>>());
            for (index, (name, shape, dtype)) in tensors.iter().enumerate() {
                let tensor = &gguf.tensors[name];
                prop_assert_eq!(&tensor.shape, &vec![shape[1] as u64, shape[0] as u64]);
                prop_assert_eq!(tensor.dtype, dtype.id());
                let data = &bytes[tensor.offset as usize..][..tensor.bytes.unwrap() as usize];
                prop_assert!(data.iter().all(|byte| *byte == index as u8 + 1));
            }
        }
    }
}
