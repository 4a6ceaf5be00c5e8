//! Adapters as PEFT stores them: `adapter_model.safetensors` and `adapter_config.json`.

use std::collections::{BTreeMap, HashMap};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use candle_core::Tensor;
use serde_json::json;

use super::checkpoint::{Checkpoint, Shard, Weight};
use super::config::Config;
use super::linear::{Adapter, Linear};
pub use super::model::AdapterShape;
use super::model::Model;
use super::peft::{MERGE, PeftConfig};
use crate::error::{Hint, environment};
use crate::publish::{Draft, write_json};

/// What PEFT puts before a parameter's name.
const PREFIX: &str = "base_model.model.";
const WEIGHTS: &str = "adapter_model.safetensors";
const CONFIG: &str = "adapter_config.json";

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

/// The shape of a stored adapter that training can go on with.
///
/// # Errors
/// Names the file and the key of what is missing or can't be used here.
pub fn shape(directory: &Path) -> Result<AdapterShape> {
    let config = PeftConfig::read(directory)?;
    config.shape().with_context(|| format!("{}", directory.join(CONFIG).display()))
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
    let mut stored = stored(directory)?;
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
        found.push(tensor);
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

/// The tensors of a stored adapter in 32 bits, by name.
fn stored(directory: &Path) -> Result<BTreeMap<String, Tensor>> {
    let path = directory.join(WEIGHTS);
    if !path.exists() {
        let other =
            ["adapter_model.bin", "adapters.safetensors"].into_iter().find(|name| directory.join(name).exists());
        return Err(match other {
            Some(pickle @ "adapter_model.bin") => anyhow!(
                "{} has its weights in {pickle}, a pickle, which could run any program when it is read",
                directory.display()
            )
            .hint("save it as safetensors: PeftModel.from_pretrained(BASE, DIR).save_pretrained(NEW)"),
            Some(mlx) => anyhow!("{} has {mlx}, as MLX names it", directory.display())
                .hint("mlx_lm.fuse merges it; export what that writes"),
            None => {
                anyhow!("{} has no {WEIGHTS}", directory.display()).hint("an adapter is a directory as PEFT has it")
            }
        });
    }
    let shard = Shard::open(path)?;
    shard.names().map(|name| Ok((name.clone(), shard.tensor(name)?))).collect()
}

/// The low-rank changes of a stored adapter.
#[derive(Debug)]
pub struct AdapterWeights {
    /// By the name of the linear map, such as `model.layers.0.self_attn.q_proj`.
    pub of: BTreeMap<String, Adapter>,
}

impl AdapterWeights {
    /// Reads an adapter as PEFT stores it, in 32 bits: what its configuration asks for, no more and no less.
    ///
    /// # Errors
    /// Names the parameter that is missing or not asked for, has another shape or holds a value which is not finite.
    pub fn read(directory: &Path, config: &Config, base: &Checkpoint) -> Result<AdapterWeights> {
        let settings = PeftConfig::read(directory)?;
        settings.check_targets(config.architecture).with_context(|| format!("{}", directory.join(CONFIG).display()))?;
        let mut stored = stored(directory)?;
        let path = directory.join(WEIGHTS);
        let file = path.display();
        let mut of = BTreeMap::new();
        for (name, _, [out, into]) in (0..config.layers).flat_map(|layer| config.linears(layer)) {
            let Some((rank, scale)) = settings.of(&name) else { continue };
            let mut half = |half: &str, dims: [usize; 2]| -> Result<Tensor> {
                // PEFT takes both, the second with the adapter's own name.
                let names = ["weight", "default.weight"].map(|end| format!("{PREFIX}{name}.{half}.{end}"));
                let Some((name, tensor)) = names.iter().find_map(|name| stored.remove_entry(name)) else {
                    bail!(missing(&names[0], &stored).context(format!("{file}")))
                };
                ensure!(
                    tensor.elem_count() > 0,
                    anyhow!("{file}: {name} is empty, as DeepSpeed ZeRO-3 saves what it doesn't gather")
                        .hint("save it again with stage3_gather_16bit_weights_on_model_save")
                );
                ensure!(
                    tensor.dims() == dims,
                    anyhow!("{file}: {name} has the shape {:?}, not {dims:?}", tensor.dims())
                        .hint("the adapter is of another model or rank")
                );
                let finite = super::cpu::values(&tensor)?.slice::<f32>()?.iter().all(|value| value.is_finite());
                ensure!(
                    finite,
                    anyhow!("{file}: {name} holds a value that is not finite").hint("export an earlier checkpoint")
                );
                Ok(tensor)
            };
            let (a, b) = (half("lora_A", [rank, into])?, half("lora_B", [out, rank])?);
            of.insert(name, Adapter { a, b, scale });
        }
        for (name, tensor) in &stored {
            copied(name, tensor, config, base).with_context(|| format!("{file}"))?;
        }
        ensure!(
            !of.is_empty(),
            anyhow!("{file} changes no linear map of this model").hint("name the base it was trained on with --base")
        );
        Ok(AdapterWeights { of })
    }

    /// Its ranks and scales: `rank 8 on 24 matrices, scale 2.000`.
    pub fn describe(&self) -> String {
        let range = |values: &mut dyn Iterator<Item = f64>, digits: usize| {
            let (least, most) =
                values.fold((f64::MAX, f64::MIN), |(least, most), value| (least.min(value), most.max(value)));
            if least == most { format!("{least:.digits$}") } else { format!("{least:.digits$} to {most:.digits$}") }
        };
        let ranks = range(&mut self.of.values().map(|adapter| adapter.rank() as f64), 0);
        let scales = range(&mut self.of.values().map(|adapter| adapter.scale), 3);
        format!("rank {ranks} on {} matrices, scale {scales}", self.of.len())
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

/// Why a parameter isn't there that the configuration asks for.
fn missing(name: &str, stored: &BTreeMap<String, Tensor>) -> Error {
    let bare = name.strip_prefix(PREFIX).unwrap_or(name);
    if stored.contains_key(bare) {
        return anyhow!("its names lack {PREFIX:?}, as in {bare}: PEFT would leave all of them out without a word")
            .hint("put it before each name, or save the adapter anew with model.save_pretrained(DIR)");
    }
    if let Some(wrapped) = stored.keys().find(|other| other.ends_with(bare.trim_start_matches("model."))) {
        return anyhow!("its names are like {wrapped}, not {name}: PEFT would leave them out without a word")
            .hint("give them the names that PEFT has; torch.compile, FSDP and wrappers put more in front");
    }
    let other = stored.keys().next().map_or_else(String::new, |other| format!("; it holds {other}"));
    anyhow!("{name} is missing, and {CONFIG} asks for it{other}")
        .hint("it is damaged, or an adapter of another model: name the base it was trained on with --base")
}

/// Accepts a tensor beside the low-rank changes that is a copy of the base's, as PEFT stores embeddings at times.
fn copied(name: &str, tensor: &Tensor, config: &Config, base: &Checkpoint) -> Result<()> {
    let copy = name.strip_prefix(PREFIX).filter(|name| {
        [config.architecture.embedding.weight(), config.architecture.head.weight()].iter().any(|own| own == name)
    });
    if let Some(copy) = copy {
        // A tied model has no head of its own.
        let own = if base.has(copy) { copy.to_owned() } else { config.head() };
        let Weight::Dense(values) = base.read(&own)? else { bail!("{own} of the base is in four bits") };
        let same = tensor.elem_count() == values.len() && super::cpu::values(tensor)?.slice::<f32>()? == values;
        ensure!(same, anyhow!("{name} is not the base's: it was trained or resized").hint(MERGE));
        return Ok(());
    }
    let hint = if name.contains(".lora_A.") || name.contains(".lora_B.") {
        "PEFT would leave it out without a word; the adapter is of another model, or adapter_config.json of another adapter"
    } else if name.ends_with(".bias") {
        "adapter_config.json says bias \"none\", with which PEFT leaves it out: write there what it was trained with, and let \
         PEFT merge it"
    } else {
        MERGE
    };
    Err(anyhow!("{name} is no low-rank change that {CONFIG} asks for").hint(hint))
}
