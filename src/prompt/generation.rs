//! The prompt that asks for a new Reel.

use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, context};

use crate::error::Hint;
use crate::run::sha256;

const NAME: &str = "generate.jinja";
const EMBEDDED: &str = include_str!("../../prompts/gal/generate.jinja");
/// Steps that it may take: milliseconds.
const STEPS: u64 = 200_000;

/// What a model is told that is to write a Reel: a template with the blocks `system` and `user`, which sees `task`, `label`
/// and `description`; these are none where any Reel is asked for.
#[derive(Debug)]
pub struct Generation {
    environment: Environment<'static>,
    /// Where it came from, for people.
    pub source: String,
    /// SHA-256 of its text.
    pub sha256: String,
}

impl Generation {
    /// The file's, else the one that is part of the program.
    ///
    /// # Errors
    /// Names the file and what is wrong with the template.
    pub fn find(file: Option<&Path>) -> Result<Generation> {
        let (source, text) = match file {
            None => ("embedded".to_owned(), EMBEDDED.to_owned()),
            Some(path) => {
                let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
                (path.display().to_string(), text)
            }
        };
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        environment.set_fuel(Some(STEPS));
        let sha256 = sha256(text.as_bytes());
        let added = environment.add_template_owned(NAME, text);
        added.map_err(|error| anyhow!("{source}: {error}")).hint("it is a template with the blocks system and user")?;
        let generation = Generation { environment, source, sha256 };
        generation.render("category", None)?;
        Ok(generation)
    }

    /// What the system and the user say, about a label with what it means, or about none.
    ///
    /// # Errors
    /// Names the template and its line, or the block that is empty.
    pub fn render(&self, task: &str, label: Option<(&str, Option<&str>)>) -> Result<[String; 2]> {
        let (label, description) = label.map_or((None, None), |(label, description)| (Some(label), description));
        let failed = |error: minijinja::Error| {
            let line = error.line().map(|line| format!(":{line}")).unwrap_or_default();
            anyhow!("{}{line}: {error}", self.source)
                .hint("it sees task, label and description, and has the blocks system and user")
        };
        let template = self.environment.get_template(NAME).map_err(failed)?;
        let mut page = template.render_captured(context! { task, label, description }).map_err(failed)?;
        let mut block = |name: &str| -> Result<String> {
            let said = page.with_state_mut(|state| state.render_block(name)).map_err(failed)?.trim().to_owned();
            ensure!(
                !said.is_empty(),
                anyhow!("{}: the block {name} is empty", self.source).hint("say there what to write")
            );
            Ok(said)
        };
        Ok([block("system")?, block("user")?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Shown;

    #[test]
    fn the_embedded_prompt_asks_for_a_label_or_for_none() {
        let generation = Generation::find(None).unwrap();
        let [_, user] = generation.render("category", Some(("kuliner", Some("makanan")))).unwrap();
        assert!(user.starts_with("Tulis satu Reel baru dengan label \"kuliner\" (makanan).\n"), "{user}");
        let [system, user] = generation.render("category", None).unwrap();
        assert!(system.starts_with("Anda menulis") && user.starts_with("Tulis satu Reel baru.\n"), "{user}");
    }

    #[test]
    fn what_is_wrong_with_a_template_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, expected) in [
            ("{% block system %}a{% endblock %}", "user"),
            ("{% block system %}a{% endblock %}{% block user %} {% endblock %}", "the block user is empty"),
            ("{% block system %}a{% endblock %}\n{% block user %}{{ kelas }}{% endblock %}", "undefined"),
            ("{% block system %}", "unexpected end"),
        ] {
            std::fs::write(file.path(), text).unwrap();
            let message = Shown::of(&Generation::find(Some(file.path())).unwrap_err()).to_string();
            assert!(message.contains(expected) && message.contains("\nhint: "), "{message}");
        }
    }
}
