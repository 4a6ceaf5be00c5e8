//! `adapter_config.json` as PEFT reads it: which linear maps an adapter changes, and by how much. What isn't known to leave
//! the adapter a plain low-rank change of these is refused by name.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use fancy_regex::Regex;
use serde_json::{Map, Value};

use super::model::AdapterShape;
use crate::architecture::Architecture;
use crate::error::Hint;
use crate::foreign::read_json;

/// What is done about an adapter that is more than a plain low-rank change.
pub const MERGE: &str = "let PEFT merge it: PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(BASE), ADAPTER)\
                         .merge_and_unload().save_pretrained(DIR), put the tokenizer's files beside it and export DIR";
const CONFIG: &str = "adapter_config.json";
/// Settings that say where an adapter comes from or how it was trained, not what it changes; tested with PEFT 0.21.2.
const WITHOUT_SAY: [&str; 17] = [
    "auto_mapping",
    "base_model_name_or_path",
    "corda_config",
    "ensure_weight_tying",
    "eva_config",
    "inference_mode",
    "layers_pattern",
    "loftq_config",
    "lora_dropout",
    "lora_ga_config",
    "megatron_core",
    "peft_type",
    "peft_version",
    "qalora_group_size",
    "revision",
    "runtime_config",
    "task_type",
];
/// Settings that are read here.
const READ: [&str; 10] = [
    "r",
    "lora_alpha",
    "use_rslora",
    "target_modules",
    "exclude_modules",
    "layers_to_transform",
    "rank_pattern",
    "alpha_pattern",
    "bias",
    "init_lora_weights",
];
/// First values that leave the base as it is; others change it too (PiSSA, OLoRA, CorDA, LoftQ, LoRA-GA).
const FIRST_VALUES: [&str; 3] = ["gaussian", "orthogonal", "eva"];

/// What an adapter changes.
#[derive(Debug)]
pub struct PeftConfig {
    rank: usize,
    alpha: f64,
    rank_stabilised: bool,
    targets: Modules,
    excluded: Option<Modules>,
    layers: Option<Vec<u64>>,
    layers_patterns: Vec<Regex>,
    ranks: Vec<(Regex, usize)>,
    alphas: Vec<(Regex, f64)>,
}

#[derive(Debug)]
enum Modules {
    /// All linear maps of layers.
    Linear,
    /// Those whose whole name matches.
    Pattern(Regex),
    /// Those with these names, or whose last parts are these.
    Named(Vec<String>),
}

impl Modules {
    fn read(key: &str, value: &Value) -> Result<Option<Modules>> {
        Ok(Some(match value {
            Value::Null => return Ok(None),
            Value::String(text) if text.eq_ignore_ascii_case("all-linear") => Modules::Linear,
            Value::String(pattern) => Modules::Pattern(python_pattern(key, &format!("^(?:{pattern})$"))?),
            Value::Array(names) => {
                let named = names.iter().map(|name| name.as_str().map(str::to_owned)).collect::<Option<_>>();
                Modules::Named(named.with_context(|| format!("{key} is {value}, not a list of names"))?)
            }
            _ => bail!("{key} is {value}, neither a list of names nor a pattern"),
        }))
    }

    fn have(&self, name: &str) -> bool {
        let is = |own: &String| name == own || name.strip_suffix(own.as_str()).is_some_and(|rest| rest.ends_with('.'));
        match self {
            Modules::Linear => true,
            Modules::Pattern(pattern) => matches(pattern, name),
            Modules::Named(names) => names.iter().any(is),
        }
    }
}

impl PeftConfig {
    /// Reads the configuration of an adapter.
    ///
    /// # Errors
    /// Names the file, and the key that is missing, wrong, or asks for what can't be done here.
    pub fn read(directory: &Path) -> Result<PeftConfig> {
        let path = directory.join(CONFIG);
        ensure!(
            path.exists(),
            anyhow!("{} is missing", path.display()).hint("an adapter is a directory as PEFT has it")
        );
        PeftConfig::parse(&read_json(&path)?).with_context(|| format!("{}", path.display()))
    }

    fn parse(json: &Value) -> Result<PeftConfig> {
        let keys = json.as_object().context("it is not an object")?;
        if json["fine_tune_type"].is_string() {
            bail!(
                anyhow!("it is an adapter of MLX").hint("mlx_lm.fuse --dequantize merges it; export what that writes")
            );
        }
        ensure!(json["peft_type"] == "LORA", anyhow!("peft_type is {}", json["peft_type"]).hint(MERGE));
        if let Some((key, value)) = keys.iter().find(|(key, value)| !is_known(key) && !is_empty(value)) {
            bail!(anyhow!("{key} is {value}, and adapters that have it can't be merged here").hint(MERGE));
        }
        let bias = json["bias"].as_str().unwrap_or("none");
        ensure!(bias == "none", anyhow!("bias is {bias:?}").hint(MERGE));
        let first = &json["init_lora_weights"];
        ensure!(
            first.is_null() || first.is_boolean() || FIRST_VALUES.iter().any(|known| first == known),
            anyhow!("init_lora_weights is {first}: PEFT changes the base's weights too where it loads this adapter")
                .hint(MERGE)
        );
        let layers_patterns = match &json["layers_pattern"] {
            Value::Null => vec![],
            Value::String(pattern) if pattern.is_empty() => vec![],
            Value::String(pattern) => vec![pattern.as_str()],
            other => {
                let list = other.as_array().into_iter().flatten().map(Value::as_str).collect::<Option<_>>();
                list.with_context(|| format!("layers_pattern is {other}"))?
            }
        };
        let in_layer = |pattern| python_pattern("layers_pattern", &format!(r"^(?:.*?\.)?{pattern}\.(?P<layer>\d+)\."));
        let mut layers_patterns = layers_patterns.into_iter().map(in_layer).collect::<Result<Vec<Regex>>>()?;
        if layers_patterns.is_empty() {
            layers_patterns.push(python_pattern("layers_pattern", r"^.*?\.[^.]*\.(?P<layer>\d+)\.")?);
        }
        let number = |key: &str, value: &Value| {
            let number = value.as_u64().filter(|rank| *rank > 0).map(|rank| rank as usize);
            number.with_context(|| format!("{key} is {value}, not a number above 0"))
        };
        let float = |key: &str, value: &Value| {
            let number = value.as_f64().with_context(|| format!("{key} is {value}, not a number"));
            number.hint("write the one it was trained with; PEFT's own is 8")
        };
        Ok(PeftConfig {
            rank: number("r", &json["r"])?,
            alpha: float("lora_alpha", &json["lora_alpha"])?,
            rank_stabilised: json["use_rslora"] == true,
            targets: Modules::read("target_modules", &json["target_modules"])?
                .context("target_modules is missing")
                .hint("write the names of the modules it was trained on")?,
            excluded: Modules::read("exclude_modules", &json["exclude_modules"])?,
            layers: layers(&json["layers_to_transform"])?,
            layers_patterns,
            ranks: patterns("rank_pattern", &json["rank_pattern"], number)?,
            alphas: patterns("alpha_pattern", &json["alpha_pattern"], float)?,
        })
    }

    /// Rank and scale of the change of a linear map such as `model.layers.0.self_attn.q_proj`; `None` where it stays as it
    /// is.
    pub fn of(&self, name: &str) -> Option<(usize, f64)> {
        if !self.targets.have(name) || self.excluded.as_ref().is_some_and(|excluded| excluded.have(name)) {
            return None;
        }
        // Whole names say all there is to say about layers.
        let whole = match &self.targets {
            Modules::Pattern(_) => true,
            Modules::Named(names) => names.iter().any(|own| own == name),
            Modules::Linear => false,
        };
        if let Some(layers) = self.layers.as_ref().filter(|_| !whole) {
            let found = self.layers_patterns.iter().find_map(|pattern| pattern.captures(name).ok().flatten());
            let layer = found.and_then(|found| found["layer"].parse().ok());
            if !layer.is_some_and(|layer| layers.contains(&layer)) {
                return None;
            }
        }
        let rank = first_match(&self.ranks, name).unwrap_or(self.rank);
        let alpha = first_match(&self.alphas, name).unwrap_or(self.alpha);
        Some((rank, AdapterShape::scale_of(alpha, rank, self.rank_stabilised)))
    }

    /// Refuses targets beyond the linear maps of layers.
    ///
    /// # Errors
    /// Names the module.
    pub fn check_targets(&self, architecture: &Architecture) -> Result<()> {
        // PEFT's "all-linear" leaves the head out.
        if let Modules::Linear = self.targets {
            return Ok(());
        }
        let outer = [architecture.embedding, architecture.head].map(|names| names.checkpoint);
        match outer.into_iter().find(|name| self.of(name).is_some()) {
            Some(name) => Err(anyhow!("target_modules asks for {name}, which is no linear map of a layer").hint(MERGE)),
            None => Ok(()),
        }
    }

    /// The shape that a trained model's adapter has.
    ///
    /// # Errors
    /// Names the setting that training has no word for.
    pub fn shape(self) -> Result<AdapterShape> {
        let hint = "training goes on from adapters of one rank and alpha, with targets by name in all layers";
        for (key, is_set) in [
            ("rank_pattern", !self.ranks.is_empty()),
            ("alpha_pattern", !self.alphas.is_empty()),
            ("layers_to_transform", self.layers.is_some()),
            ("exclude_modules", self.excluded.is_some()),
        ] {
            ensure!(!is_set, anyhow!("{key} is set").hint(hint));
        }
        let Modules::Named(targets) = self.targets else {
            bail!(anyhow!("target_modules is not a list").hint(hint));
        };
        let PeftConfig { rank, alpha, rank_stabilised, .. } = self;
        Ok(AdapterShape { rank, alpha, rank_stabilised, targets, seed: 0 })
    }
}

fn is_known(key: &str) -> bool {
    READ.contains(&key) || WITHOUT_SAY.contains(&key)
}

/// Whether a setting is as if it weren't there.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

fn layers(value: &Value) -> Result<Option<Vec<u64>>> {
    Ok(match value {
        Value::Null => None,
        Value::Number(layer) => Some(vec![layer.as_u64().with_context(|| format!("layers_to_transform is {value}"))?]),
        _ => {
            let list = value.as_array().and_then(|list| list.iter().map(Value::as_u64).collect::<Option<Vec<u64>>>());
            let list = list.with_context(|| format!("layers_to_transform is {value}, not a list of layers"))?;
            Some(list).filter(|list| !list.is_empty())
        }
    })
}

fn patterns<T>(key: &str, value: &Value, read: impl Fn(&str, &Value) -> Result<T>) -> Result<Vec<(Regex, T)>> {
    let none = Map::new();
    let map = if value.is_null() { Some(&none) } else { value.as_object() };
    let each = |(pattern, value): (&String, &Value)| {
        Ok((python_pattern(key, &format!(r"^(?:.*\.)?(?:{pattern})$"))?, read(&format!("{key}[{pattern:?}]"), value)?))
    };
    map.with_context(|| format!("{key} is {value}, not an object"))?.iter().map(each).collect()
}

fn first_match<T: Copy>(patterns: &[(Regex, T)], name: &str) -> Option<T> {
    patterns.iter().find(|(pattern, _)| matches(pattern, name)).map(|(_, value)| *value)
}

/// False too where a pattern takes too many steps; the module is missed in the file then.
fn matches(pattern: &Regex, name: &str) -> bool {
    pattern.is_match(name).unwrap_or(false)
}

/// A pattern of Python's.
fn python_pattern(key: &str, pattern: &str) -> Result<Regex> {
    // There \Z is the end, and nothing but that.
    Regex::new(&pattern.replace(r"\Z", r"\z")).map_err(|error| {
        let reason = error.to_string();
        anyhow!("{key} has a pattern that can't be read: {}", reason.lines().last().unwrap_or_default())
            .hint("name the modules one by one")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::architecture::QWEN2;
    use crate::error::Shown;

    fn config(more: Value) -> Value {
        let mut json = json!({"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj", "v_proj"]});
        json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json
    }

    #[test]
    fn what_an_adapter_cannot_be_merged_with_is_named() {
        for (key, value) in [
            ("init_lora_weights", json!("pissa_niter_16")),
            ("init_lora_weights", json!("corda")),
            ("init_lora_weights", json!("loftq")),
            ("init_lora_weights", json!("lora_ga")),
            ("use_qalora", json!(true)),
            ("use_dora", json!(true)),
            ("alora_invocation_tokens", json!([1])),
            ("use_bdlora", json!({"nblocks": 2})),
            ("modules_to_save", json!(["lm_head"])),
            ("trainable_token_indices", json!({"embed_tokens": [1]})),
            ("of_a_later_version", json!(3)),
            ("bias", json!("all")),
            ("peft_type", json!("LOHA")),
        ] {
            let message = Shown::of(&PeftConfig::parse(&config(json!({key: value}))).unwrap_err()).to_string();
            assert!(message.starts_with(&format!("{key} is ")), "{message}");
            assert!(message.contains("\nhint: let PEFT merge it"), "{message}");
        }
        let empty =
            json!({"use_dora": false, "modules_to_save": null, "layer_replication": [], "of_a_later_version": {}});
        PeftConfig::parse(&config(empty)).unwrap();
        let head = PeftConfig::parse(&config(json!({"target_modules": ["lm_head", "q_proj"]}))).unwrap();
        assert!(head.check_targets(&QWEN2).is_err());
    }

    #[test]
    fn targets_ranks_and_scales_are_pefts() {
        let of = |more, name| PeftConfig::parse(&config(more)).unwrap().of(name);
        let q = "model.layers.1.self_attn.q_proj";
        assert_eq!(of(json!({}), q), Some((8, 2.0)));
        assert_eq!(of(json!({}), "model.layers.1.mlp.up_proj"), None);
        assert_eq!(of(json!({"target_modules": ["j"]}), q), None);
        assert_eq!(of(json!({"target_modules": "all-linear"}), "model.layers.1.mlp.up_proj"), Some((8, 2.0)));
        assert_eq!(of(json!({"target_modules": r".*\.1\..*q_proj"}), q), Some((8, 2.0)));
        assert_eq!(of(json!({"target_modules": r"q_proj"}), q), None);
        assert_eq!(of(json!({"target_modules": r"^(?!.*(lm_head|emb)).*_proj\Z"}), q), Some((8, 2.0)));
        assert_eq!(of(json!({"layers_to_transform": 0}), q), None);
        assert_eq!(of(json!({"layers_to_transform": [1], "layers_pattern": "layers"}), q), Some((8, 2.0)));
        assert_eq!(of(json!({"layers_to_transform": [1], "layers_pattern": "blocks"}), q), None);
        assert_eq!(of(json!({"exclude_modules": ["q_proj"]}), q), None);
        let patterns = json!({"rank_pattern": {"q_proj": 4}, "alpha_pattern": {r"layers\.1\..*": 6}});
        assert_eq!(of(patterns.clone(), q), Some((4, 1.5)));
        assert_eq!(of(patterns.clone(), "model.layers.0.self_attn.v_proj"), Some((8, 2.0)));
        let mut stabilised = patterns;
        stabilised["use_rslora"] = json!(true);
        assert_eq!(of(stabilised, q), Some((4, 3.0)));
    }
}
