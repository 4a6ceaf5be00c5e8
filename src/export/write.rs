//! Writing weights as a stream: models, adapters, checkpoints.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Result;
use serde_json::{Map, json};

use super::metadata::{self, ModelParts, Provenance, tensor_name};
use crate::gguf::{FloatType, Writer};
use crate::qlora::adapter::AdapterWeights;
use crate::qlora::config::Config;
use crate::qlora::merge::{Change, Merge};
use crate::run::{EnvironmentFailure, interrupted};

/// How far an adapter moved each tensor, by the checkpoint's names.
pub type Changes = BTreeMap<String, Change>;

/// Called with the bytes that were written so far, and those of all tensors.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// Writes a model with matrices as `stored`, and norms and biases in 32 bits.
///
/// # Errors
/// [`EnvironmentFailure`] that names the file; and as [`Merge::tensor`].
pub fn model(
    path: &Path,
    merge: &Merge,
    parts: &ModelParts,
    provenance: &Provenance,
    stored: FloatType,
    progress: Progress,
) -> Result<Changes> {
    let tensors = stored_tensors(parts.config, stored, FloatType::F32);
    let header: Vec<(String, Vec<usize>, FloatType)> =
        tensors.iter().map(|(name, shape, dtype)| (tensor_name(name), shape.clone(), *dtype)).collect();
    let entries = metadata::model(parts, provenance, stored);
    let changes = create(path, |file| {
        let mut writer = Writer::new(file, &entries, &header)?;
        let changes = stream(merge, &tensors, progress, &mut |bytes| writer.write(bytes))?;
        writer.finish()?;
        Ok(changes)
    })?;
    Ok(changes)
}

/// Writes an adapter alone, in 32 bits, with its scale folded into the second halves.
///
/// # Errors
/// [`EnvironmentFailure`] that names the file.
pub fn adapter(path: &Path, weights: &AdapterWeights, provenance: &Provenance) -> Result<()> {
    let mut header = Vec::new();
    let mut halves = Vec::new();
    for (name, adapter) in &weights.of {
        let name = tensor_name(&format!("{name}.weight"));
        for (half, tensor, scale) in [("lora_a", &adapter.a, 1.0), ("lora_b", &adapter.b, adapter.scale)] {
            header.push((format!("{name}.{half}"), tensor.dims().to_vec(), FloatType::F32));
            halves.push((tensor.flatten_all()?.to_vec1::<f32>()?, scale as f32));
        }
    }
    let entries = metadata::adapter(weights.shape.rank, provenance);
    create(path, |file| {
        let mut writer = Writer::new(file, &entries, &header)?;
        for (values, scale) in &halves {
            let bytes: Vec<u8> = values.iter().flat_map(|value| (value * scale).to_le_bytes()).collect();
            writer.write(&bytes)?;
        }
        writer.finish()?;
        Ok(())
    })
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
) -> Result<Changes> {
    let tensors = stored_tensors(config, stored, stored);
    let mut header = Map::new();
    header.insert("__metadata__".into(), json!({"format": "pt"}));
    let mut at = 0;
    for (name, shape, dtype) in &tensors {
        let end = at + shape.iter().product::<usize>() * dtype.bytes();
        let dtype = match dtype {
            FloatType::F32 => "F32",
            FloatType::F16 => "F16",
            FloatType::Bf16 => "BF16",
        };
        header.insert(name.clone(), json!({"dtype": dtype, "shape": shape, "data_offsets": [at, end]}));
        at = end;
    }
    let mut header = serde_json::to_vec(&header)?;
    // Data starts at a multiple of eight bytes.
    header.resize(header.len().next_multiple_of(8), b' ');
    create(path, |file| {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        stream(merge, &tensors, progress, &mut |bytes| Ok(file.write_all(bytes)?))
    })
}

type Stored = (String, Vec<usize>, FloatType);

/// In the order of computation.
fn stored_tensors(config: &Config, matrices: FloatType, vectors: FloatType) -> Vec<Stored> {
    let stored = |(name, shape): (String, Vec<usize>)| {
        let dtype = if shape.len() == 1 { vectors } else { matrices };
        (name, shape, dtype)
    };
    config.tensors().into_iter().map(stored).collect()
}

fn stream(
    merge: &Merge,
    tensors: &[Stored],
    progress: Progress,
    out: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<Changes> {
    let total = tensors.iter().map(|(_, shape, dtype)| (shape.iter().product::<usize>() * dtype.bytes()) as u64).sum();
    let mut written = 0;
    let mut changes = Changes::new();
    for (name, shape, dtype) in tensors {
        let columns = shape[shape.len() - 1];
        let change = merge.tensor(name, columns, *dtype, &mut |bytes| {
            anyhow::ensure!(!interrupted(), "interrupted");
            written += bytes.len() as u64;
            progress(written, total);
            out(bytes)
        })?;
        changes.extend(change.map(|change| (name.clone(), change)));
    }
    Ok(changes)
}

/// Makes a file; what is wrong with the disk is told from what is wrong with the weights.
fn create<R>(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> Result<R>) -> Result<R> {
    let failed = |error: std::io::Error| {
        EnvironmentFailure(format!(
            "cannot write {}: {error}\nhint: free some space, or name another --output",
            path.display()
        ))
    };
    let mut file = BufWriter::new(File::create(path).map_err(failed)?);
    let result = write(&mut file).map_err(|error| match error.downcast::<std::io::Error>() {
        Ok(error) => failed(error).into(),
        Err(error) => error,
    })?;
    file.flush().map_err(failed)?;
    Ok(result)
}
