//! Adapters as PEFT stores them: `adapter_model.safetensors` and `adapter_config.json`.

use std::collections::{BTreeMap, HashMap};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use candle_core::{DType, Device, Tensor};
use serde_json::{Value, json};

use super::config::Config;
use super::linear::{Adapter, Linear};
pub use super::model::AdapterShape;
use super::model::Model;
use crate::error::{Hint, environment};
use crate::publish::{Draft, write_json};

/// What PEFT puts before a parameter's name.
const PREFIX: &str = "base_model.model.";
const WEIGHTS: &str = "adapter_model.safetensors";
const CONFIG: &str = "adapter_config.json";
const WAY_OUT: &str = "plain LoRA of one rank and alpha on linear maps can be read; merge this one with PEFT (merge_and_unload) and name the directory it is saved in";

/// Writes an adapter; `base` is what its configuration names as the base model.
///
/// # Errors
/// Of the environment, and names the file.
pub fn save(
    parameters: impl IntoIterator<Item = (String, Tensor)>,
    shape: &AdapterShape,
    dropout: f64,
    base: &Path,
    directory: &Path,
) -> Result<()> {
    let tensors = parameters.into_iter().map(|(name, tensor)| (format!("{PREFIX}{name}"), tensor));
    save_tensors(tensors, &directory.join(WEIGHTS))?;
    let config = json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": shape.rank,
        "lora_alpha": shape.alpha,
        "lora_dropout": dropout,
        "target_modules": shape.targets,
        "bias": "none",
        "use_rslora": shape.rank_stabilised,
        "use_dora": false,
        "modules_to_save": null,
        "init_lora_weights": true,
        "rank_pattern": {},
        "alpha_pattern": {},
        "fan_in_fan_out": false,
        "inference_mode": true,
    });
    write_json(&directory.join(CONFIG), &config)
}

/// Writes tensors into a safetensors file, as a whole or not at all.
///
/// # Errors
/// Of the environment, and names the file.
pub fn save_tensors(tensors: impl IntoIterator<Item = (String, Tensor)>, path: &Path) -> Result<()> {
    let tensors: HashMap<String, Tensor> = tensors.into_iter().collect();
    let draft = Draft::of(path);
    candle_core::safetensors::save(&tensors, draft.path())
        .map_err(anyhow::Error::from)
        // It is written as a temporary file, which only its owner may read.
        .and_then(|()| Ok(std::fs::set_permissions(draft.path(), Permissions::from_mode(0o644))?))
        .map_err(|error| environment(format!("cannot write {}: {error}", path.display())))?;
    draft.publish()
}

/// The shape of a stored adapter.
///
/// # Errors
/// Names the file and the key of what is missing or can't be used here.
pub fn shape(directory: &Path) -> Result<AdapterShape> {
    let path = directory.join(CONFIG);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))
        .hint("an adapter is a directory as PEFT has it")?;
    let json: Value = serde_json::from_str(&text).with_context(|| format!("{}", path.display()))?;
    let file = path.display();
    ensure!(json["peft_type"] == "LORA", anyhow!("{file}: peft_type is {}", json["peft_type"]).hint(WAY_OUT));
    for key in ["use_dora", "fan_in_fan_out", "lora_bias"] {
        ensure!(json[key] != true, anyhow!("{file}: {key} is true").hint(WAY_OUT));
    }
    for key in ["rank_pattern", "alpha_pattern"] {
        let is_empty = json[key].as_object().is_none_or(|pattern| pattern.is_empty());
        ensure!(is_empty, anyhow!("{file}: {key} is set").hint(WAY_OUT));
    }
    for key in ["modules_to_save", "trainable_token_indices", "target_parameters", "layer_replication"] {
        let value = &json[key];
        let is_empty = value.is_null()
            || value.as_array().is_some_and(|list| list.is_empty())
            || value.as_object().is_some_and(|map| map.is_empty());
        ensure!(is_empty, anyhow!("{file}: {key} is set").hint(WAY_OUT));
    }
    let bias = json["bias"].as_str().unwrap_or("none");
    ensure!(bias == "none", anyhow!("{file}: bias is {bias:?}").hint(WAY_OUT));
    let targets = json["target_modules"].as_array().with_context(|| format!("{file}: target_modules is not a list"))?;
    Ok(AdapterShape {
        rank: json["r"].as_u64().with_context(|| format!("{file}: r is missing"))? as usize,
        alpha: json["lora_alpha"].as_f64().with_context(|| format!("{file}: lora_alpha is missing"))?,
        rank_stabilised: json["use_rslora"] == true,
        targets: targets.iter().filter_map(|target| target.as_str().map(str::to_owned)).collect(),
        seed: 0,
    })
}

/// Puts a stored adapter into a model that has one of the same shape.
///
/// # Errors
/// As [`read`].
pub fn load(model: &mut Model, directory: &Path) -> Result<()> {
    let parameters = model.parameters();
    let shapes = parameters.iter().map(|(name, parameter)| (name.as_str(), parameter.dims().to_vec()));
    let stored = read(directory, shapes)?;
    parameters.into_iter().zip(stored).for_each(|((_, parameter), stored)| *parameter = stored);
    Ok(())
}

/// The parameters of a stored adapter that have these names and shapes, in 32 bits.
///
/// # Errors
/// Names the parameter that is missing or of another shape, or that isn't asked for.
pub fn read<'a>(directory: &Path, shapes: impl Iterator<Item = (&'a str, Vec<usize>)>) -> Result<Vec<Tensor>> {
    let path = directory.join(WEIGHTS);
    let mut stored = candle_core::safetensors::load(&path, &Device::Cpu)
        .with_context(|| format!("cannot read {}", path.display()))
        .hint("an adapter is a directory as PEFT has it")?;
    let mut found = Vec::new();
    for (name, shape) in shapes {
        let tensor = stored
            .remove(&format!("{PREFIX}{name}"))
            .with_context(|| format!("{} lacks {PREFIX}{name}", path.display()))
            .hint("it has other targets, or is of another model")?;
        ensure!(
            tensor.dims() == shape,
            anyhow!("{}: {name} has the shape {:?}, and this model's {shape:?}", path.display(), tensor.dims())
                .hint("the adapter is of another rank or model")
        );
        found.push(tensor.to_dtype(DType::F32)?);
    }
    ensure!(
        stored.is_empty(),
        anyhow!(
            "{}: {} more parameters, one of them {}",
            path.display(),
            stored.len(),
            stored.keys().next().map_or("", String::as_str)
        )
        .hint("it has other targets, or is of another model")
    );
    Ok(found)
}

/// The low-rank changes of a stored adapter.
#[derive(Debug)]
pub struct AdapterWeights {
    #[expect(missing_docs, reason = "the type says it")]
    pub shape: AdapterShape,
    /// By the name of the linear map, such as `model.layers.0.self_attn.q_proj`.
    pub of: BTreeMap<String, Adapter>,
}

impl AdapterWeights {
    /// Reads an adapter as PEFT stores it, in 32 bits.
    ///
    /// # Errors
    /// Names the parameter that the model has no linear map for, that has another shape or holds a value which is not
    /// finite, or whose other half is missing.
    pub fn read(directory: &Path, config: &Config) -> Result<AdapterWeights> {
        let shape = shape(directory)?;
        let path = directory.join(WEIGHTS);
        let mut stored = candle_core::safetensors::load(&path, &Device::Cpu)
            .with_context(|| format!("cannot read {}", path.display()))
            .hint("an adapter is a directory as PEFT has it")?;
        let file = path.display();
        let mut of = BTreeMap::new();
        for (name, _, [out, into]) in (0..config.layers).flat_map(|layer| config.linears(layer)) {
            let mut half = |half: &str, dims: [usize; 2]| -> Result<Option<Tensor>> {
                let name = format!("{PREFIX}{name}.{half}.weight");
                let Some(tensor) = stored.remove(&name) else { return Ok(None) };
                ensure!(
                    tensor.dims() == dims,
                    anyhow!("{file}: {name} has the shape {:?}, not {dims:?}", tensor.dims())
                        .hint("the adapter is of another model or rank")
                );
                let tensor = tensor.to_dtype(DType::F32)?;
                let finite = super::cpu::values(&tensor)?.slice::<f32>()?.iter().all(|value| value.is_finite());
                ensure!(
                    finite,
                    anyhow!("{file}: {name} holds a value that is not finite").hint("export an earlier checkpoint")
                );
                Ok(Some(tensor))
            };
            let halves = (half("lora_A", [shape.rank, into])?, half("lora_B", [out, shape.rank])?);
            match halves {
                (Some(a), Some(b)) => {
                    of.insert(name, Adapter { a, b, scale: shape.scale() });
                }
                (None, None) => {}
                _ => bail!(anyhow!("{file} has only one half of {name}").hint("the file is damaged; copy it again")),
            }
        }
        if let Some(other) = stored.keys().min() {
            bail!(anyhow!("{file}: {other} is no low-rank change of a linear map of this model").hint(WAY_OUT));
        }
        ensure!(!of.is_empty(), anyhow!("{file} is empty").hint("train it first"));
        Ok(AdapterWeights { shape, of })
    }

    /// Whether B is 0 in all of them, as before training.
    pub fn changes_nothing(&self) -> bool {
        let is_zero = |b: &Tensor| {
            super::cpu::values(b).and_then(|values| Ok(values.slice::<f32>()?.iter().all(|value| *value == 0.0)))
        };
        self.of.values().all(|adapter| is_zero(&adapter.b).unwrap_or(false))
    }

    /// Gives a linear map its low-rank change; none where the adapter has none for it.
    pub fn attach(&self, linear: &mut Linear) {
        linear.adapter = self.of.get(&linear.name).cloned();
    }
}
