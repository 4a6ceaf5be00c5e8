//! Writing weights as a stream: models, adapters, checkpoints. Pieces are written by the threads that computed them, where
//! they belong, while they are in a cache.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Error, Result, ensure};
use serde_json::{Map, json};

use super::metadata::{self, ModelParts, Provenance};
use crate::architecture::TensorInfo;
use crate::error::{Hint, environment};
use crate::gguf::{FloatType, Layout};
use crate::qlora::adapter::AdapterWeights;
use crate::qlora::config::Config;
use crate::qlora::linear::Adapter;
use crate::qlora::merge::{Change, Merge};
use crate::stop::Stop;

/// How far an adapter moved each tensor, by the checkpoint's names.
pub type Changes = BTreeMap<String, Change>;

/// Called with the bytes that were written since it was called last, from several threads.
pub type Progress<'a> = &'a (dyn Fn(u64) + Sync);

/// Writes a model with matrices as `stored`, and norms and biases in 32 bits.
///
/// # Errors
/// Of the environment, and names the file; as [`Merge::tensor`]; and when it was stopped.
pub fn model(
    path: &Path,
    merge: &Merge,
    parts: &ModelParts,
    provenance: &Provenance,
    stored: FloatType,
    progress: Progress,
    stop: &Stop,
) -> Result<Changes> {
    let tensors = stored_tensors(parts.config, stored, FloatType::F32);
    let header: Vec<Described> =
        tensors.iter().map(|(tensor, dtype)| (tensor.gguf.clone(), tensor.shape.clone(), *dtype)).collect();
    let layout = Layout::new(&metadata::model(parts, provenance, stored), &header)?;
    let file = Placed::create(path, &layout)?;
    file.merged(merge, &tensors, progress, stop)
}

/// Writes an adapter alone, in 32 bits, with its scale folded into the second halves.
///
/// # Errors
/// Of the environment, and names the file.
pub fn adapter(path: &Path, weights: &AdapterWeights, config: &Config, provenance: &Provenance) -> Result<()> {
    let by_name = |tensor: TensorInfo| (tensor.name.clone(), tensor);
    let matrices: HashMap<String, TensorInfo> = config.tensors().into_iter().map(by_name).collect();
    let alpha = weights.of.values().map(Adapter::rank).max().unwrap_or(1);
    let mut header: Vec<Described> = Vec::new();
    let mut halves = Vec::new();
    for (name, adapter) in &weights.of {
        let matrix = &matrices[&format!("{name}.weight")];
        let a = adapter.a.to_vec2::<f32>()?;
        let mut b = vec![Vec::new(); matrix.shape[0]];
        for (row, values) in adapter.b.to_vec2::<f32>()?.into_iter().enumerate() {
            b[matrix.gguf_row(row)] = values;
        }
        // llama.cpp multiplies by alpha over the rank of each.
        let scale = adapter.scale * adapter.rank() as f64 / alpha as f64;
        for (half, rows, scale) in [("lora_a", a, 1.0), ("lora_b", b, scale)] {
            header.push((format!("{}.{half}", matrix.gguf), vec![rows.len(), rows[0].len()], FloatType::F32));
            halves.push((rows.concat(), scale as f32));
        }
    }
    let layout = Layout::new(&metadata::adapter(config.architecture, alpha, provenance), &header)?;
    let file = Placed::create(path, &layout)?;
    for (index, (values, scale)) in halves.iter().enumerate() {
        let bytes: Vec<u8> = values.iter().flat_map(|value| (value * scale).to_le_bytes()).collect();
        file.write(index, 0, &bytes)?;
    }
    Ok(())
}

/// Writes `model.safetensors` with all tensors as `stored`.
///
/// # Errors
/// As [`model`].
pub fn safetensors(
    path: &Path,
    merge: &Merge,
    config: &Config,
    stored: FloatType,
    progress: Progress,
    stop: &Stop,
) -> Result<Changes> {
    let mut tensors = stored_tensors(config, stored, stored);
    // Rows change places in a GGUF alone.
    tensors.iter_mut().for_each(|(tensor, _)| tensor.swapped = None);
    let mut header = Map::new();
    header.insert("__metadata__".into(), json!({"format": "pt"}));
    let mut places = Vec::new();
    let mut at = 0;
    for (TensorInfo { name, shape, .. }, dtype) in &tensors {
        let bytes = (shape.iter().product::<usize>() * dtype.bytes()) as u64;
        let dtype = match dtype {
            FloatType::F32 => "F32",
            FloatType::F16 => "F16",
            FloatType::Bf16 => "BF16",
        };
        header.insert(name.clone(), json!({"dtype": dtype, "shape": shape, "data_offsets": [at, at + bytes]}));
        places.push((at, bytes));
        at += bytes;
    }
    let mut text = serde_json::to_vec(&header)?;
    // Data starts at a multiple of eight bytes.
    text.resize(text.len().next_multiple_of(8), b' ');
    let header = [&(text.len() as u64).to_le_bytes()[..], &text].concat();
    let data = header.len() as u64;
    places.iter_mut().for_each(|(start, _)| *start += data);
    let layout = Layout { header, tensors: places, bytes: data + at };
    let file = Placed::create(path, &layout)?;
    file.merged(merge, &tensors, progress, stop)
}

/// Name, shape and type.
type Described = (String, Vec<usize>, FloatType);

/// In the order of computation.
fn stored_tensors(config: &Config, matrices: FloatType, vectors: FloatType) -> Vec<(TensorInfo, FloatType)> {
    let stored = |tensor: TensorInfo| {
        let dtype = if tensor.shape.len() == 1 { vectors } else { matrices };
        (tensor, dtype)
    };
    config.tensors().into_iter().map(stored).collect()
}

/// A file in which every tensor has its place.
struct Placed<'a> {
    file: File,
    path: &'a Path,
    layout: &'a Layout,
}

impl Placed<'_> {
    fn create<'a>(path: &'a Path, layout: &'a Layout) -> Result<Placed<'a>> {
        let create = || {
            let file = File::create(path)?;
            file.set_len(layout.bytes)?;
            file.write_all_at(&layout.header, 0)?;
            Ok(file)
        };
        Ok(Placed { file: create().map_err(|error| cannot_write(path, &error))?, path, layout })
    }

    fn write(&self, tensor: usize, at: u64, bytes: &[u8]) -> Result<()> {
        let (start, len) = self.layout.tensors[tensor];
        ensure!(at + bytes.len() as u64 <= len, "a tensor has more bytes than its place");
        self.file.write_all_at(bytes, start + at).map_err(|error| cannot_write(self.path, &error))
    }

    /// The same, but each row where it is in a GGUF.
    fn write_rows(&self, index: usize, tensor: &TensorInfo, at: u64, bytes: &[u8]) -> Result<()> {
        if tensor.swapped.is_none() {
            return self.write(index, at, bytes);
        }
        let row_bytes = self.layout.tensors[index].1 as usize / tensor.shape[0];
        let first = at as usize / row_bytes;
        let mut rows = bytes.chunks(row_bytes).enumerate();
        rows.try_for_each(|(row, bytes)| self.write(index, (tensor.gguf_row(first + row) * row_bytes) as u64, bytes))
    }

    fn merged(
        &self,
        merge: &Merge,
        tensors: &[(TensorInfo, FloatType)],
        progress: Progress,
        stop: &Stop,
    ) -> Result<Changes> {
        let mut changes = Changes::new();
        for (index, (tensor, dtype)) in tensors.iter().enumerate() {
            let name = &tensor.name;
            let written = AtomicU64::new(0);
            let change = merge.tensor(tensor, *dtype, &|at, bytes| {
                ensure!(!stop.wished(), "interrupted");
                self.write_rows(index, tensor, at, bytes)?;
                written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                progress(bytes.len() as u64);
                Ok(())
            })?;
            ensure!(written.into_inner() == self.layout.tensors[index].1, "{name} has fewer values than its place");
            changes.extend(change.map(|change| (name.clone(), change)));
        }
        Ok(changes)
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Error {
    environment(format!("cannot write {}: {error}", path.display())).hint("free some space, or name another --output")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn what_cannot_be_written_is_a_failure_of_the_environment() {
        let layout = Layout { header: vec![0; 8], tensors: vec![(8, 4)], bytes: 12 };
        let error = Placed::create(Path::new("/nowhere/a.gguf"), &layout).err().unwrap();
        assert_eq!(Kind::of(&error), Kind::Environment);
        assert!(error.to_string().contains("cannot write /nowhere/a.gguf"));
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("a");
        let file = Placed::create(&path, &layout).unwrap();
        assert!(file.write(0, 1, &[0; 4]).is_err());
        file.write(0, 0, &[7; 4]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), [0, 0, 0, 0, 0, 0, 0, 0, 7, 7, 7, 7]);
    }
}
