//! The settings file: sections with what flags and variables may leave out.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{ModelName, Price};
use crate::error::{Hint, did_you_mean};

/// One a command that has settings.
pub const SECTIONS: [&str; 12] =
    ["data", "split", "eval", "predict", "score", "compare", "report", "train", "export", "doctor", "prompt", "gal"];

/// The section with what tokens of hosted models cost.
const PRICES: &str = "prices";

/// What a settings file says, read once a command.
#[derive(Debug, Default)]
pub struct SettingsFile {
    name: String,
    sections: Map<String, Value>,
}

impl SettingsFile {
    /// The file named with `--config`; without one, `reels.toml` where it is there.
    ///
    /// # Errors
    /// Names the file, and what in it is no section.
    pub fn read(named: Option<&Path>) -> Result<SettingsFile> {
        let usual = Path::new("reels.toml");
        let path = match named {
            Some(path) => path,
            None if usual.is_file() => usual,
            None => return Ok(SettingsFile::default()),
        };
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read settings {}", path.display()))?;
        SettingsFile::parse(path.display().to_string(), &text)
    }

    fn parse(name: String, text: &str) -> Result<SettingsFile> {
        let table: toml::Table = toml::from_str(text).map_err(|error| anyhow!("{name}: {error}"))?;
        let Value::Object(sections) = serde_json::to_value(table)? else { bail!("{name} is not a table") };
        for (section, settings) in &sections {
            ensure!(
                settings.is_object(),
                anyhow!("{name}: {section} is in no section").hint(format!("put it below one of {}", listed()))
            );
            ensure!(
                SECTIONS.contains(&section.as_str()) || section == PRICES,
                anyhow!("{name}: [{section}] is not a section").hint(format!(
                    "{}there are {}",
                    did_you_mean(section, SECTIONS.iter().map(|section| format!("[{section}]"))),
                    listed()
                ))
            );
        }
        Ok(SettingsFile { name, sections })
    }

    /// What a hosted model's tokens cost, where the file says it: `[prices."NAME"]`.
    ///
    /// # Errors
    /// Names the file and the model whose price is none.
    pub fn price(&self, model: &ModelName) -> Result<Option<Price>> {
        let ModelName::Hosted(hosted) = model else { return Ok(None) };
        let Some(price) = self.sections.get(PRICES).and_then(|prices| prices.get(&hosted.name)) else {
            return Ok(None);
        };
        let checked = || {
            let price: Price = serde_json::from_value(price.clone())?;
            price.check()?;
            anyhow::Ok(price)
        };
        let place = || format!("{}: [{PRICES}.{:?}]", self.name, hosted.name);
        checked()
            .with_context(place)
            .map(Some)
            .hint("input = 0.15, output = 0.60 and perhaps cached_input = 0.075, a million tokens each")
    }

    /// Adds a section to what flags and variables gave, which win.
    ///
    /// # Errors
    /// Names the file and the key of what is unknown or of the wrong type.
    pub fn add<T>(&self, section: &str, flags: T) -> Result<T>
    where
        T: Default + Serialize + DeserializeOwned,
    {
        // JSON has no such numbers: they would be taken for flags that weren't given.
        if let Ok(toml::Value::Table(table)) = toml::Value::try_from(&flags)
            && let Some((key, value)) =
                table.iter().find(|(_, value)| value.as_float().is_some_and(|value| !value.is_finite()))
        {
            bail!("--{} {value} is not a finite number", key.replace('_', "-"));
        }
        let Some(Value::Object(given)) = self.sections.get(section) else { return Ok(flags) };
        let (Value::Object(known), Value::Object(flags)) =
            (serde_json::to_value(T::default())?, serde_json::to_value(flags)?)
        else {
            bail!("settings are not a table");
        };
        for (key, value) in given {
            let name = &self.name;
            let command = match section {
                "prompt" => "prompt render",
                "data" => "data erase",
                "gal" => "gal generate",
                section => section,
            };
            ensure!(
                known.contains_key(key),
                anyhow!("{name}: [{section}] {key} is not a setting").hint(format!(
                    "{}keys are the flags of `reels {command} --help` with _ for -",
                    did_you_mean(key, known.keys())
                ))
            );
            // One by one, as an error doesn't say which of several it is about.
            serde_json::from_value::<T>(Map::from_iter([(key.clone(), value.clone())]).into())
                .with_context(|| format!("{name}: [{section}] {key}"))
                .hint("a text is written \"a\", a list [\"a\", \"b\"], a number 4, a switch true")?;
        }
        let mut merged = given.clone();
        merged.extend(flags.into_iter().filter(|(_, value)| !value.is_null()));
        serde_json::from_value(merged.into()).with_context(|| format!("{}: [{section}]", self.name))
    }
}

fn listed() -> String {
    SECTIONS.map(|section| format!("[{section}]")).join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::{EvalOverrides, KvType, TrainOverrides};
    use super::*;
    use crate::error::Shown;

    fn merge(text: &str, flags: EvalOverrides) -> Result<EvalOverrides> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        SettingsFile::read(Some(file.path()))?.add("eval", flags)
    }

    #[test]
    fn a_number_that_is_none_is_refused_whatever_the_file_says() {
        for text in ["", "[eval]\nwidth = 4\n"] {
            let mut flags = EvalOverrides::default();
            flags.predict.temperature = Some(f32::NAN);
            let message = merge(text, flags).unwrap_err().to_string();
            assert_eq!(message, "--temperature nan is not a finite number");
        }
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
    fn what_is_wrong_is_named_with_what_is_near() {
        for (text, expected) in [
            ("[eval]\nwidht = 4\n", ": [eval] widht is not a setting\nhint: did you mean width? keys are the flags of"),
            ("[eval]\nzebra_stripes = 4\n", ": [eval] zebra_stripes is not a setting\nhint: keys are the flags of"),
            ("[evla]\n", ": [evla] is not a section\nhint: did you mean [eval]? there are [data], [split], [eval],"),
            ("[server]\n", ": [server] is not a section\nhint: there are [data], [split], [eval],"),
            ("width = 4\n", ": width is in no section\nhint: put it below one of [data], [split], [eval],"),
            ("[eval]\nwidth = \"vier\"\nlimit = 3\n", ": [eval] width: invalid type: string \"vier\", expected usize"),
            ("[eval]\nbootstrap = true\n", ": [eval] bootstrap: invalid type: boolean"),
            ("[eval\n", "TOML parse error at line 1"),
        ] {
            let message = Shown::of(&merge(text, EvalOverrides::default()).unwrap_err()).to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn the_example_is_accepted_and_says_the_defaults() {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/reels.example.toml"));
        let file = SettingsFile::read(Some(path)).unwrap();
        assert_eq!(file.sections.keys().collect::<Vec<_>>(), ["train"]);
        let json = |overrides: TrainOverrides| serde_json::to_value(overrides.filled().unwrap()).unwrap();
        let example = file.add("train", TrainOverrides::default()).unwrap();
        assert!(example.rank.is_some() && example.patience.is_some());
        assert_eq!(json(example), json(TrainOverrides::default()));
    }

    #[test]
    fn the_example_shows_every_setting() {
        let text = include_str!("../../reels.example.toml");
        for key in serde_json::to_value(TrainOverrides::default()).unwrap().as_object().unwrap().keys() {
            let shown = text.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{key} = ")));
            assert!(shown || key == "steps" && text.contains("or: steps = "), "{key} is not in the example");
        }
    }
}
