//! A set of prompts: `tasks.toml` and the templates it names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use indexmap::IndexMap;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Message;
use crate::error::{Hint, environment};
use crate::gguf::Gguf;
use crate::publish::write_bytes;
use crate::reel::Reel;
use crate::task::{Task, parse_tasks};

/// The prompts that are part of the program: file names and texts.
const EMBEDDED: [(&str, &str); 5] = [
    ("tasks.toml", include_str!("../../prompts/tasks.toml")),
    ("base.jinja", include_str!("../../prompts/base.jinja")),
    ("summary.jinja", include_str!("../../prompts/summary.jinja")),
    ("category.jinja", include_str!("../../prompts/category.jinja")),
    ("ad.jinja", include_str!("../../prompts/ad.jinja")),
];

/// Tasks with their templates, checked and ready to render.
#[derive(Debug)]
pub struct PromptSet {
    /// Where they came from.
    pub source: PromptSource,
    /// In the order of `tasks.toml`.
    pub tasks: Vec<Task>,
    files: IndexMap<String, String>,
    environment: Environment<'static>,
}

/// Where a set of prompts came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PromptSource {
    /// They are part of the program.
    Embedded,
    /// They were read from this folder.
    Folder(PathBuf),
    /// They were read from this model file, which was trained with them.
    Model(PathBuf),
}

impl std::fmt::Display for PromptSource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PromptSource::Embedded => write!(formatter, "embedded"),
            PromptSource::Folder(folder) => write!(formatter, "{}", folder.display()),
            PromptSource::Model(path) => write!(formatter, "in {}", path.display()),
        }
    }
}

impl PromptSet {
    /// The folder named, else `./prompts`, else those embedded in the program.
    ///
    /// # Errors
    /// Names the file and line or key of what is missing or wrong.
    pub fn find(folder: Option<&Path>) -> Result<PromptSet> {
        let local = Path::new("prompts");
        match folder {
            Some(folder) => PromptSet::open(folder),
            None if local.join("tasks.toml").is_file() => PromptSet::open(local),
            None => PromptSet::embedded(),
        }
    }

    /// Metadata key of a model file that the names of the set's files are under; their texts are under [`Self::TEXTS`].
    pub const NAMES: &str = "reels.prompts.names";
    #[expect(missing_docs, reason = "the line above says it")]
    pub const TEXTS: &str = "reels.prompts.texts";

    /// The prompts that are part of a model file, if it has any.
    ///
    /// # Errors
    /// Names the file and what is wrong with its prompts.
    pub fn in_model(gguf: &Gguf) -> Result<Option<PromptSet>> {
        let files: IndexMap<String, String> = gguf
            .texts(Self::NAMES)
            .zip(gguf.texts(Self::TEXTS))
            .map(|(name, text)| (name.into_owned(), text.into_owned()))
            .collect();
        if files.is_empty() {
            return Ok(None);
        }
        ensure!(
            files.contains_key("tasks.toml"),
            anyhow!("{}: {} has no tasks.toml", gguf.path.display(), Self::NAMES)
                .hint("name prompts with --prompts, or export the model anew")
        );
        PromptSet::new(PromptSource::Model(gguf.path.clone()), files).map(Some)
    }

    /// The prompts that are part of the program.
    pub fn embedded() -> Result<PromptSet> {
        let files = EMBEDDED.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        PromptSet::new(PromptSource::Embedded, files)
    }

    fn open(folder: &Path) -> Result<PromptSet> {
        let tasks = folder.join("tasks.toml");
        ensure!(
            tasks.is_file(),
            anyhow!("{} is missing", tasks.display())
                .hint(format!("`reels prompt eject {}` writes a set to start from", folder.display()))
        );
        let mut names: Vec<PathBuf> = std::fs::read_dir(folder)
            .with_context(|| format!("cannot list {}", folder.display()))?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<_>>()?;
        names.sort();
        let mut files = IndexMap::new();
        for path in names {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name == "tasks.toml" || name.ends_with(".jinja") {
                let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
                let text = String::from_utf8(bytes).map_err(|_| anyhow!("{}: not UTF-8", path.display()))?;
                files.insert(name, text);
            }
        }
        PromptSet::new(PromptSource::Folder(folder.to_owned()), files)
    }

    fn new(source: PromptSource, files: IndexMap<String, String>) -> Result<PromptSet> {
        let tasks = parse_tasks(&files["tasks.toml"], &format!("{source}: tasks.toml"))?;
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        for (name, text) in files.iter().filter(|(name, _)| name.ends_with(".jinja")) {
            environment
                .add_template_owned(name.clone(), text.clone())
                .map_err(|error| template_error(&source, &error))?;
        }
        for task in &tasks {
            ensure!(
                files.contains_key(&task.template),
                anyhow!(
                    "{source}: tasks.toml: [task.{}] names the template {:?}, which is not there",
                    task.name,
                    task.template
                )
                .hint("templates stand beside tasks.toml")
            );
        }
        Ok(PromptSet { source, tasks, files, environment })
    }

    /// The messages of one task about one Reel: system and user.
    ///
    /// # Errors
    /// Names the template and line.
    pub fn render(&self, reel: &Reel, task: &Task) -> Result<Vec<Message>> {
        let values = context! {
            reel => Value::from(Serde(ReelView::from(reel))),
            task => Value::from(Serde(TaskView {
                name: &task.name,
                labels: &task.wordings,
                descriptions: &task.descriptions,
            })),
        };
        let render = || -> Result<Vec<Message>, minijinja::Error> {
            let mut page = self.environment.get_template(&task.template)?.render_captured(values)?;
            page.with_state_mut(|state| {
                ["system", "user"]
                    .into_iter()
                    .map(|role| {
                        let content = state.render_block(role)?.trim().to_owned();
                        Ok(Message { role, content })
                    })
                    .collect()
            })
        };
        render().map_err(|error| template_error(&self.source, &error).context(format!("record {:?}", reel.id)))
    }

    /// SHA-256 over the names and texts of all files.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        let mut files: Vec<_> = self.files.iter().collect();
        files.sort();
        for (name, text) in files {
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        crate::run::hex(hash)
    }

    /// Writes all files into a folder, which is made if need be.
    ///
    /// # Errors
    /// Names the file that can't be written.
    pub fn write_to(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder)
            .map_err(|error| environment(format!("cannot make {}: {error}", folder.display())))?;
        for (name, text) in &self.files {
            write_bytes(&folder.join(name), text.as_bytes())?;
        }
        Ok(())
    }

    /// Names and texts of the set's files.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// The file names of the set.
    pub fn file_names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }
}

fn template_error(source: &PromptSource, error: &minijinja::Error) -> anyhow::Error {
    // The innermost error knows the line in the template that the user has to open.
    let mut innermost = error;
    let mut next: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(cause) = next {
        innermost = cause.downcast_ref::<minijinja::Error>().unwrap_or(innermost);
        next = cause.source();
    }
    let place = match (innermost.name(), innermost.line()) {
        (Some(name), Some(line)) => format!("{name}:{line}"),
        (Some(name), None) => name.to_owned(),
        _ => "template".to_owned(),
    };
    let detail = innermost.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    anyhow!("{source}: {place}: {}{detail}", innermost.kind())
        .hint("templates see reel.* (id, account, posted_at, duration_s, likes, views, plays, comments, caption, hashtags, transcript, language) and task.name, task.labels, task.descriptions")
}

/// What a template may see of a task.
#[derive(Serialize)]
struct TaskView<'a> {
    name: &'a str,
    labels: &'a [String],
    descriptions: &'a BTreeMap<String, String>,
}

/// What a template may see of a Reel: never the gold answer, nor where the record came from.
#[derive(Serialize)]
struct ReelView<'a> {
    id: &'a str,
    account: Option<&'a str>,
    posted_at: Option<&'a str>,
    duration_s: Option<f64>,
    likes: Option<u64>,
    views: Option<u64>,
    plays: Option<u64>,
    comments: Option<u64>,
    caption: Option<&'a str>,
    hashtags: &'a [String],
    transcript: Option<&'a str>,
    language: Option<&'a str>,
}

impl<'a> From<&'a Reel> for ReelView<'a> {
    fn from(reel: &'a Reel) -> Self {
        ReelView {
            id: &reel.id,
            account: reel.account.as_deref(),
            posted_at: reel.posted_at.as_deref(),
            duration_s: reel.duration_s,
            likes: reel.likes,
            views: reel.views,
            plays: reel.plays,
            comments: reel.comments,
            caption: reel.caption.as_deref(),
            hashtags: &reel.hashtags,
            transcript: reel.transcript.as_deref(),
            language: reel.language.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reel() -> Reel {
        let mut reel =
            Reel { id: "r1".into(), transcript: Some("halo guys".into()), plays: Some(45300), ..Reel::default() };
        reel.reference.insert("category".into(), "RAHASIA".into());
        reel
    }

    fn set(base: &str) -> Result<PromptSet> {
        let tasks = "[task.t]\nkind = \"text\"\ntemplate = \"t.jinja\"\nmax_tokens = 4\n";
        let files = [("tasks.toml", tasks), ("t.jinja", base)].map(|(name, text)| (name.to_owned(), text.to_owned()));
        PromptSet::new(PromptSource::Embedded, files.into_iter().collect())
    }

    #[test]
    fn the_tasks_of_a_reel_share_everything_before_the_instruction() {
        let set = PromptSet::embedded().unwrap();
        let users: Vec<String> =
            set.tasks.iter().map(|task| set.render(&reel(), task).unwrap()[1].content.clone()).collect();
        let shared = users[0].split("Tugas:").next().unwrap();
        assert!(
            shared.contains("halo guys")
                && shared.contains("Pemutaran: 45300")
                && shared.contains("Suka: tidak diketahui")
        );
        for user in &users {
            assert!(user.starts_with(shared) && user.len() > shared.len(), "{user}");
            assert!(!user.contains("RAHASIA"));
        }
    }

    #[test]
    fn shipped_prompts_read_as_intended() {
        let set = PromptSet::embedded().unwrap();
        let rendered: Vec<String> = set
            .tasks
            .iter()
            .map(|task| {
                let messages = set.render(&reel(), task).unwrap();
                format!("--- {}\n{}\n---\n{}\n", task.name, messages[0].content, messages[1].content)
            })
            .collect();
        insta::assert_snapshot!(rendered.concat());
    }

    #[test]
    fn an_undefined_name_is_an_error_with_template_and_line() {
        let set = set("{% block system %}x{% endblock %}\n{% block user %}{{ reel.transkrip }}{% endblock %}").unwrap();
        let message = format!("{:#}", set.render(&reel(), &set.tasks[0]).unwrap_err());
        assert!(message.contains("t.jinja:2: undefined value"), "{message}");
        let message = format!("{:#}", super::tests::set("a\n{% if %}").unwrap_err());
        assert!(message.contains("t.jinja:2: syntax error"), "{message}");
    }

    #[test]
    fn the_gold_answer_is_not_there_to_see() {
        let set = set("{% block system %}{% endblock %}{% block user %}{{ reel.reference }}{% endblock %}").unwrap();
        assert!(set.render(&reel(), &set.tasks[0]).is_err());
    }
}
