//! A set of prompts: `tasks.toml` and the templates it names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use indexmap::IndexMap;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, ErrorKind, State, UndefinedBehavior, context};
use sha2::{Digest, Sha256};

use super::Message;
use super::lint::{Lint, ROLES};
use super::unknowns::{Nones, Unknowns};
use super::views::{REEL, ReelView, TASK, TaskView};
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
    /// A task each: the blocks of which one at least must say something, and the template that its own extends at last.
    instructions: Vec<(Vec<String>, Option<String>)>,
    unknowns: Unknowns,
}

/// Steps that a template may take beside what the Reel's text costs: milliseconds. The engine counts 64 bytes as a step.
const STEPS: u64 = 200_000;
/// Bytes of a message beside the Reel's text.
const MOST_BYTES: usize = 1 << 20;
/// How often a template may write or filter the Reel's text.
const PASSES: usize = 16;

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
        PromptSet::new(PromptSource::Model(gguf.path.clone()), files)
            .hint("name prompts with --prompts, or export the model anew")
            .map(Some)
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
                let text = String::from_utf8(bytes)
                    .map_err(|_| anyhow!("{}: not UTF-8", path.display()).hint("save it as UTF-8"))?;
                files.insert(name, text);
            }
        }
        PromptSet::new(PromptSource::Folder(folder.to_owned()), files)
    }

    pub(super) fn new(source: PromptSource, mut files: IndexMap<String, String>) -> Result<PromptSet> {
        files.values_mut().for_each(|text| *text = with_plain_line_ends(text));
        let tasks = parse_tasks(&files["tasks.toml"], &format!("{source}: tasks.toml"))?;
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_fuel(Some(STEPS));
        environment.set_formatter(|out, state, value| {
            if value.is_none() {
                Nones::note(state);
            }
            minijinja::escape_formatter(out, state, value)
        });
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
        let lint = Lint::new(&files, &environment).map_err(|error| template_error(&source, &error))?;
        let instructions = tasks.iter().map(|task| lint.check(task)).collect::<Result<_>>();
        let instructions = instructions.with_context(|| source.to_string())?;
        let unknowns = Unknowns::new(files.values().any(|text| text.contains(Unknowns::TEXT)));
        Ok(PromptSet { source, tasks, files, environment, instructions, unknowns })
    }

    /// The same files with some of the tasks alone, in this order.
    ///
    /// # Errors
    /// As for the whole set.
    pub fn only(&self, tasks: &[usize]) -> Result<PromptSet> {
        let mut set = PromptSet::new(self.source.clone(), self.files.clone())?;
        set.instructions = tasks.iter().map(|task| set.instructions[*task].clone()).collect();
        set.tasks = tasks.iter().map(|task| set.tasks[*task].clone()).collect();
        Ok(set)
    }

    /// The messages of one task about one Reel: system and user.
    ///
    /// # Errors
    /// Names the template and line, or the block that is empty.
    pub fn render(&self, reel: &Reel, task: &Task) -> Result<Vec<Message>> {
        let view = Value::from(Serde(ReelView::from(reel)));
        let rendered = self.rendered(&view, text_bytes(reel), task)?;
        self.unknowns.note(&task.name, &view, &rendered.nones, |view| {
            self.rendered(&view, text_bytes(reel), task).ok().map(|rendered| rendered.nones)
        });
        Ok(rendered.messages)
    }

    /// [`PromptSet::render`] of a Reel that isn't real: nothing is noted.
    pub(super) fn render_made_up(&self, reel: &Reel, task: &Task) -> Result<Vec<Message>> {
        Ok(self.rendered(&Value::from(Serde(ReelView::from(reel))), text_bytes(reel), task)?.messages)
    }

    /// What is to be said of the prompts rendered so far: a warning and a hint each.
    pub fn warnings(&self) -> Vec<String> {
        self.unknowns.warnings(&self.source)
    }

    fn rendered(&self, reel: &Value, text_bytes: usize, task: &Task) -> Result<Rendered> {
        let rendered = self.try_render(reel, text_bytes, task).map_err(|error| match error {
            Stopped::Template(error) => template_error(&self.source, &error),
            Stopped::Prompt(error) => error.context(self.source.to_string()),
        });
        rendered.with_context(|| {
            format!("record {:?}", reel.get_attr("id").unwrap_or_default().as_str().unwrap_or_default())
        })
    }

    fn try_render(&self, reel: &Value, text_bytes: usize, task: &Task) -> Result<Rendered, Stopped> {
        let values = context! {
            reel => reel,
            task => Value::from(Serde(TaskView {
                name: &task.name,
                labels: &task.wordings,
                descriptions: &task.descriptions,
            })),
        };
        let mut environment = self.environment.clone();
        environment.set_fuel(Some(STEPS + (PASSES * text_bytes) as u64 / 64));
        let (blocks, base) = self.instruction(task);
        // What the user says in the base alone is no instruction.
        let of_base = base.filter(|_| blocks.iter().any(|block| block == "user")).and_then(|base| {
            let mut page = environment.get_template(base).ok()?.render_captured(values.clone()).ok()?;
            page.with_state_mut(|state| state.render_block("user").ok())
        });
        let mut page = environment.get_template(&task.template)?.render_captured(values)?;
        page.with_state_mut(|state| {
            // Blocks are what counts, not the page.
            Nones::take(state);
            let mut messages = Vec::new();
            for role in ROLES {
                let content = state.render_block(role)?.trim().to_owned();
                check_length(&content, text_bytes, task)?;
                messages.push(Message { role, content });
            }
            let nones = self.unknowns.counted(Nones::take(state), &messages, task);
            self.check_instruction(state, &messages, task)?;
            if messages
                .iter()
                .any(|said| said.role == "user" && of_base.as_deref().map(str::trim) == Some(&*said.content))
            {
                let hint = "say behind it what the model is to do";
                let error = anyhow!("{}: the instruction is empty: block user says what the base does", task.template);
                return Err(Stopped::Prompt(error.hint(hint)));
            }
            Ok(Rendered { messages, nones })
        })
    }

    fn instruction(&self, task: &Task) -> (&[String], Option<&str>) {
        let index = self.tasks.iter().position(|other| other.name == task.name);
        index.map_or((&[][..], None), |index| {
            let (blocks, base) = &self.instructions[index];
            (&blocks[..], base.as_deref())
        })
    }

    /// Refuses a prompt that asks for nothing.
    fn check_instruction(&self, state: &mut State, messages: &[Message], task: &Task) -> Result<()> {
        let hint = "say there what the model is to do";
        let template = &task.template;
        if messages.iter().any(|message| message.role == "user" && message.content.is_empty()) {
            bail!(anyhow!("{template}: the block user is empty").hint(hint));
        }
        let (blocks, _) = self.instruction(task);
        // A block that doesn't render alone relies on what is around it, where it has rendered already.
        let says = |block: &String| state.render_block(block).map_or(true, |text| !text.trim().is_empty());
        if !blocks.is_empty() && !blocks.iter().any(says) {
            bail!(anyhow!("{template}: the instruction is empty (block {})", blocks.join(", ")).hint(hint));
        }
        Ok(())
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

/// A rendered prompt.
struct Rendered {
    messages: Vec<Message>,
    /// How often an unknown field was written, by template.
    nones: BTreeMap<String, usize>,
}

/// Why there is no prompt.
enum Stopped {
    Template(minijinja::Error),
    Prompt(anyhow::Error),
}

impl From<minijinja::Error> for Stopped {
    fn from(error: minijinja::Error) -> Stopped {
        Stopped::Template(error)
    }
}

impl From<anyhow::Error> for Stopped {
    fn from(error: anyhow::Error) -> Stopped {
        Stopped::Prompt(error)
    }
}

/// Without the byte order mark and carriage returns that editors on Windows write: they would be tokens of the prompt.
fn with_plain_line_ends(text: &str) -> String {
    text.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n")
}

fn text_bytes(reel: &Reel) -> usize {
    let texts = [&reel.caption, &reel.transcript].into_iter().flatten().chain(&reel.hashtags);
    texts.map(String::len).sum()
}

fn check_length(content: &str, text_bytes: usize, task: &Task) -> Result<()> {
    ensure!(
        content.len() <= MOST_BYTES + PASSES * text_bytes,
        anyhow!("{}: makes {} bytes of a Reel of {text_bytes}", task.template, content.len())
            .hint("a loop in it goes round too often")
    );
    Ok(())
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
    if innermost.kind() == ErrorKind::OutOfFuel {
        return anyhow!("{source}: {place}: takes more than {STEPS} steps to render")
            .hint("a loop in it goes round too often");
    }
    let detail = innermost.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    anyhow!("{source}: {place}: {}{detail}", innermost.kind()).hint(seen())
}

/// What a template sees, for a hint.
pub(super) fn seen() -> String {
    format!("templates see reel.* ({}) and task.{}", REEL.join(", "), TASK.join(", task."))
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

    fn user(text: &str) -> Result<PromptSet> {
        set(&format!("{{% block system %}}{{% endblock %}}\n{{% block user %}}{text}{{% endblock %}}"))
    }

    fn stops(set: &PromptSet) -> String {
        crate::error::Shown::of(&set.render(&reel(), &set.tasks[0]).unwrap_err()).to_string()
    }

    #[test]
    fn an_error_names_template_and_line() {
        let message = stops(&user("{{ task.descriptions.iklan }}").unwrap());
        assert!(message.starts_with("record \"r1\": embedded: t.jinja:2: undefined value"), "{message}");
        let message = format!("{:#}", set("a\n{% if %}").unwrap_err());
        assert!(message.contains("t.jinja:2: syntax error"), "{message}");
    }

    #[test]
    fn the_gold_answer_is_not_there_to_see() {
        let message = format!("{:#}", user("{{ reel.reference }}").unwrap_err());
        assert_eq!(message, "embedded: t.jinja:2: reel.reference is not known");
        let dynamic = user("{% for field in [\"reference\"] %}{{ reel[field] }}{% endfor %}").unwrap();
        assert!(stops(&dynamic).contains("undefined value"));
    }

    #[test]
    fn a_template_sees_these_fields() {
        let fields = |value: serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(fields(serde_json::to_value(ReelView::from(&reel())).unwrap()), REEL);
        let task = TaskView { name: "", labels: &[], descriptions: &BTreeMap::new() };
        assert_eq!(fields(serde_json::to_value(task).unwrap()), TASK);
    }

    #[test]
    fn a_prompt_that_asks_for_nothing_is_refused() {
        for nothing in [" \n", "{% if reel.likes == 1 %}Ringkas.{% endif %}", "{{ \" \" }}"] {
            let message = stops(&user(nothing).unwrap());
            assert_eq!(
                message,
                "record \"r1\": embedded: t.jinja: the block user is empty\nhint: say there what the model is to do"
            );
        }
        let embedded = PromptSet::embedded().unwrap();
        let with = |name: &str, text: &str| {
            let mut files = embedded.files.clone();
            files.insert(name.to_owned(), text.to_owned());
            PromptSet::new(PromptSource::Embedded, files).unwrap()
        };
        let task = |text: &str| with("summary.jinja", &format!("{{% extends \"base.jinja\" %}}{text}"));
        for nothing in [
            "",
            "{% block task %} \n{% endblock %}",
            "{% block task %}{{ super() }}{% endblock %}",
            "{% block task %}{% if reel.likes %}Ringkas.{% endif %}{% endblock %}",
            "{% block system %}Anda teliti.{% endblock %}{% block task %}{% endblock %}",
            "{% block system %} {% endblock %}",
        ] {
            let message = stops(&task(nothing));
            assert!(message.contains("summary.jinja: the instruction is empty (block "), "{nothing}: {message}");
        }
        for something in [
            "{% block system %}Ringkas Reel.{% endblock %}",
            "{% block user %}{{ reel.transcript }} Ringkas.{% endblock %}",
            "{% block system %}{% endblock %}{% block task %}Ringkas.{% endblock %}",
            "{% block task %}{% for word in [\"Ringkas\"] %}{% block inner %}{{ word }}{% endblock %}{% endfor %}{% endblock %}",
        ] {
            let set = task(something);
            assert!(set.render(&reel(), &set.tasks[0]).is_ok(), "{something}");
        }
        // A base in the place of a template has room for an instruction, and none.
        let tasks = embedded.files["tasks.toml"].replace("\"ad.jinja\"", "\"base.jinja\"");
        let set = with("tasks.toml", &tasks);
        let error = set.render(&reel(), set.tasks.iter().find(|task| task.name == "ad").unwrap()).unwrap_err();
        assert!(format!("{error:#}").contains("base.jinja: the instruction is empty (block task)"), "{error:#}");
    }

    #[test]
    fn a_loop_without_an_end_is_stopped() {
        let began = std::time::Instant::now();
        for (endless, expected) in [
            (
                "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}x",
                "t.jinja:2: takes more than",
            ),
            ("{% for a in range(100000) %}{{ reel.transcript * 1000 }}{% endfor %}", "t.jinja:2: takes more than"),
            (
                "{% set ns = namespace(t=\"x\") %}{% for a in range(60) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}{{ ns.t }}",
                "t.jinja:2: takes more than",
            ),
            ("{% macro m(n) %}{{ m(n + 1) }}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}", "t.jinja"),
            ("{% include \"t.jinja\" %}", "t.jinja"),
            ("{{ \"x\" * 2000000 }}", "t.jinja: makes 2000000 bytes of a Reel of 9\nhint: a loop"),
        ] {
            let message = stops(&user(endless).unwrap());
            assert!(message.contains(expected), "{endless}: {message}");
        }
        assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    }

    #[test]
    fn a_long_transcript_is_no_endless_loop() {
        let set = PromptSet::embedded().unwrap();
        let long = Reel { transcript: Some("kata ".repeat(8_000_000)), ..reel() };
        assert!(set.render(&long, &set.tasks[0]).unwrap()[1].content.len() > 30_000_000);
    }

    #[test]
    fn line_ends_and_byte_order_marks_change_nothing() {
        let embedded = PromptSet::embedded().unwrap();
        for mended in [|text: &str| text.replace('\n', "\r\n"), |text: &str| format!("\u{feff}{text}")] {
            let files = embedded.files.iter().map(|(name, text)| (name.clone(), mended(text))).collect();
            let set = PromptSet::new(PromptSource::Embedded, files).unwrap();
            assert_eq!((set.sha256(), &set.tasks), (embedded.sha256(), &embedded.tasks));
            assert_eq!(
                set.render(&reel(), &set.tasks[2]).unwrap(),
                embedded.render(&reel(), &embedded.tasks[2]).unwrap()
            );
        }
    }

    #[test]
    fn unknown_fields_that_are_written_are_found() {
        let known = Reel { likes: Some(1), views: Some(2), caption: Some("None".into()), ..reel() };
        for (template, expected) in [
            ("{{ reel.likes }}", "reel.likes"),
            ("{% macro m(x) %}{{ x }}{% endmacro %}{{ m(reel.likes) }} {{ reel.plays }}", "reel.likes"),
            ("{{ \"Suka: \" ~ reel.likes }}", "reel.likes"),
            ("{{ [reel.likes, reel.plays] | join(\", \") }}", "reel.likes"),
            ("{{ [reel.likes] }}", "reel.likes"),
            ("{{ reel.likes }}, {{ reel.views }}", "reel.likes, reel.views"),
            ("{{ reel.caption | upper if reel.caption else reel.caption }}", "reel.caption"),
            ("{{ reel.likes if reel.likes is not none else \"None\" }}", ""),
            ("{{ reel.likes or 0 }} {{ reel.transcript }} {{ reel.id }}", ""),
            ("x{{ none }}", ""),
        ] {
            let set = user(template).unwrap();
            set.render_made_up(&Reel::default(), &set.tasks[0]).unwrap();
            set.render(&known, &set.tasks[0]).unwrap();
            assert_eq!(set.warnings(), [""; 0], "{template}");
            let rendered = set.render(&reel(), &set.tasks[0]).unwrap();
            let warnings = set.warnings();
            let Some(warning) = warnings.first() else {
                assert_eq!(expected, "", "{template}");
                continue;
            };
            assert!(rendered[1].content.contains("None"));
            let are = if expected.contains(',') { "are" } else { "is" };
            assert!(
                warning.starts_with(&format!(
                    "warning: embedded: t.jinja writes \"None\" where {expected} {are} unknown\nhint: {{{{ reel."
                )),
                "{warning}"
            );
        }
    }
}
