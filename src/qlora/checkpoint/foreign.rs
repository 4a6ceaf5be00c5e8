//! Tensors of a checkpoint that aren't the model's: why they can't be left out, and what to do.

use std::collections::HashSet;

use super::UNQUANTISED;
use crate::architecture::{ALL, list};
use crate::qlora::config::Config;

/// Why a tensor can't be left out, and what to do; `None` where it is one of the model's, or says nothing.
pub(super) fn foreign(name: &str, known: &HashSet<String>, config: &Config) -> Option<(String, String)> {
    if known.contains(name) || name.ends_with("rotary_emb.inv_freq") {
        return None;
    }
    // What bitsandbytes writes beside a weight.
    let beside = |part: &str| name.strip_suffix(part).is_some_and(|weight| known.contains(weight));
    if [".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map", ".quant_state.bitsandbytes__nf4"]
        .into_iter()
        .any(beside)
    {
        return None;
    }
    let Config { architecture, layers, .. } = config;
    let layer = name.strip_prefix(architecture.layers.checkpoint).and_then(|rest| rest.strip_prefix('.'));
    let layer: Option<usize> = layer.and_then(|rest| rest.split('.').next()?.parse().ok());
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    Some(if ends(&[".qweight", ".qzeros", ".scales", ".g_idx", ".weight_scale", ".weight_scale_inv", ".SCB"]) {
        ("is a part of quantised weights".into(), UNQUANTISED.into())
    } else if let Some(layer) = layer.filter(|layer| layer >= layers) {
        (
            format!("is of layer {layer}, and config.json says num_hidden_layers is {layers}"),
            "correct num_hidden_layers in config.json, or take both from the same model".into(),
        )
    } else if name.contains(".lora_") || name.contains("base_layer") || name.starts_with("base_model.") {
        (
            "is a part of an adapter that wasn't merged: without it the answers would be another model's".into(),
            "merge it before saving: model = model.merge_and_unload(); model.save_pretrained(DIR)".into(),
        )
    } else if let Some(own) = known.iter().find(|own| own.ends_with(&format!(".{name}"))) {
        (
            format!("is called {own} where a whole model is saved"),
            "save it as one: AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(NEW), with the tokenizer's files".into(),
        )
    } else if let Some(own) = known.iter().find(|own| name.ends_with(&format!(".{own}"))) {
        (
            format!("has something in front of {own}"),
            "take it off all names: torch.compile, DataParallel and wrappers put it there".into(),
        )
    } else {
        (
            format!("is no tensor of {} models: it would be left out", architecture.name),
            format!("its weights are another architecture's; {} can be read", list(ALL)),
        )
    })
}
