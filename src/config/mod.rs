//! Settings: what the user may override, and what it resolves to.
//!
//! Flags and `REELS_*` variables arrive as overrides (parsed by clap), the settings file adds what they leave out,
//! defaults fill the rest. Below `commands/` only the resolved structs are seen.

mod export;
mod predict;
mod scoring;
mod train;

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use export::*;
pub use predict::*;
pub use scoring::*;
pub use train::*;

/// The model that comes with the project.
pub const BUNDLED_MODEL: &str = "gguf/reels-mini.gguf";
const DEFAULT_SEED: u64 = 42;

/// Adds a section of the settings file to what flags and variables gave, which win.
///
/// `file` is the one named with `--config`; without one, `reels.toml` is read where it is there.
///
/// # Errors
/// Names the file and the key of what is unknown or of the wrong type.
pub fn with_file<T>(overrides: T, section: &str, file: Option<&Path>) -> Result<T>
where
    T: Default + Serialize + DeserializeOwned,
{
    let path = match file {
        Some(path) => path,
        None if Path::new("reels.toml").is_file() => Path::new("reels.toml"),
        None => return Ok(overrides),
    };
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read settings {}", path.display()))?;
    let mut tables: toml::Table =
        toml::from_str(&text).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    let Some(section_value) = tables.remove(section) else { return Ok(overrides) };
    let given = serde_json::to_value(section_value)?;
    let known = serde_json::to_value(T::default())?;
    let (serde_json::Value::Object(mut merged), serde_json::Value::Object(flags)) =
        (given, serde_json::to_value(overrides)?)
    else {
        bail!("{}: [{section}] is not a table", path.display());
    };
    for key in merged.keys() {
        ensure!(
            known.get(key).is_some(),
            "{}: [{section}] {key} is not a setting\nhint: keys are the flags of `reels {section} --help` with _ for -",
            path.display()
        );
    }
    merged.extend(flags.into_iter().filter(|(_, value)| !value.is_null()));
    serde_json::from_value(merged.into()).with_context(|| format!("{}: [{section}]", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merge(text: &str, flags: EvalOverrides) -> Result<EvalOverrides> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        with_file(flags, "eval", Some(file.path()))
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let mut flags = EvalOverrides::default();
        flags.predict.width = Some(2);
        let merged = merge("[eval]\nwidth = 4\nkv_type = \"q8_0\"\nbootstrap = 500\n[train]\nx = 1\n", flags).unwrap();
        assert_eq!(
            (merged.predict.width, merged.predict.kv_type, merged.scoring.bootstrap),
            (Some(2), Some(KvType::Q8_0), Some(500))
        );
    }

    #[test]
    fn an_unknown_key_is_named() {
        let message = format!("{:#}", merge("[eval]\nwidht = 4\n", EvalOverrides::default()).unwrap_err());
        assert!(message.contains("[eval] widht is not a setting"), "{message}");
    }
}
