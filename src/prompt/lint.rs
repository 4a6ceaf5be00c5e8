//! Refuses templates that would lose text without a word, or stop at a name that isn't there.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Error, Result, anyhow, bail, ensure};
use indexmap::IndexMap;
use minijinja::{Environment, ErrorKind};

use super::outline::{Block, Named, Outline};
use super::set::seen;
use super::views::{REEL, TASK};
use crate::error::{Hint, did_you_mean};
use crate::task::Task;

/// The blocks that become messages.
pub(super) const ROLES: [&str; 2] = ["system", "user"];
/// Names that the engine gives.
const GIVEN: [&str; 6] = ["reel", "task", "self", "super", "loop", "caller"];
/// To find what a misspelt one is near to.
const FILTERS: [&str; 45] = [
    "abs",
    "attr",
    "batch",
    "bool",
    "capitalize",
    "chain",
    "count",
    "default",
    "dictsort",
    "escape",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "pprint",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "unique",
    "upper",
];
const TESTS: [&str; 26] = [
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "even",
    "false",
    "filter",
    "float",
    "ge",
    "gt",
    "in",
    "integer",
    "iterable",
    "le",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sequence",
    "startingwith",
    "string",
    "undefined",
];

/// The templates of a set, looked at.
pub(super) struct Lint<'a> {
    outlines: BTreeMap<&'a str, Outline>,
    environment: &'a Environment<'static>,
}

impl<'a> Lint<'a> {
    /// # Errors
    /// When a template doesn't parse.
    pub fn new(
        files: &'a IndexMap<String, String>,
        environment: &'a Environment<'static>,
    ) -> Result<Lint<'a>, minijinja::Error> {
        let templates = files.iter().filter(|(name, _)| name.ends_with(".jinja"));
        let outline = |(name, text): (&'a String, &'a String)| {
            Ok((name.as_str(), Outline::new(name, text, environment.syntax().clone())?))
        };
        Ok(Lint { outlines: templates.map(outline).collect::<Result<_, minijinja::Error>>()?, environment })
    }

    /// Checks what a task's prompt is made of; gives the blocks of which one at least must say something, as they hold the
    /// instruction, and the template that is extended at last.
    ///
    /// # Errors
    /// Names the template, the line and the name that isn't there, or what would be left out of the prompt.
    pub fn check(&self, task: &Task) -> Result<(Vec<String>, Option<String>)> {
        let chain = self.chain(&task.template)?;
        self.check_blocks(&chain)?;
        self.check_names(&chain)?;
        let base = chain[1..].last().map(|base| (*base).to_owned());
        Ok((self.instruction(&chain), base))
    }

    fn outline(&self, file: &str) -> &Outline {
        &self.outlines[file]
    }

    /// The template and those that it extends, one the other.
    fn chain(&self, template: &'a str) -> Result<Vec<&'a str>> {
        let mut chain = vec![template];
        loop {
            let file = chain[chain.len() - 1];
            let [extends, further @ ..] = &self.outline(file).extends[..] else { return Ok(chain) };
            let line = extends.line;
            ensure!(
                !extends.nested && further.is_empty(),
                anyhow!("{file}:{line}: {{% extends %}} stands in a branch, or more than once")
                    .hint("extend one template, at the head of the file")
            );
            let Some(name) = &extends.name else {
                bail!(
                    anyhow!("{file}:{line}: which template this extends is computed")
                        .hint("write {% extends \"base.jinja\" %}")
                );
            };
            let Some((name, _)) = self.outlines.get_key_value(name.as_str()) else {
                bail!(self.missing(file, line, std::slice::from_ref(name)));
            };
            ensure!(
                !chain.contains(name),
                anyhow!("{file}:{line}: {name} extends itself").hint("a base template extends nothing")
            );
            chain.push(name);
        }
    }

    fn missing(&self, file: &str, line: usize, names: &[String]) -> Error {
        let near = names.first().map(|name| did_you_mean(name, self.outlines.keys())).unwrap_or_default();
        let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
        anyhow!("{file}:{line}: there is no template {}", names.join(" or "))
            .hint(format!("{near}templates stand beside tasks.toml and end in .jinja"))
    }

    fn check_blocks(&self, chain: &[&str]) -> Result<()> {
        let called: BTreeSet<&str> = self.called(chain);
        for (at, file) in chain.iter().enumerate() {
            let outline = self.outline(file);
            if let Some(line) = outline.outside {
                bail!(anyhow!("{file}:{line}: what stands outside all blocks is left out of the prompt").hint(
                    "put it into a block: {% block user %}…{% endblock %}, or the one that the base has for the task"
                ));
            }
            let above: BTreeSet<&str> = if at + 1 == chain.len() {
                ROLES.into()
            } else {
                chain[at + 1..]
                    .iter()
                    .flat_map(|file| &self.outline(file).blocks)
                    .map(|block| block.name.as_str())
                    .collect()
            };
            let lost = |block: &&Block| {
                block.within.is_none() && !above.contains(block.name.as_str()) && !called.contains(block.name.as_str())
            };
            if let Some(Block { name, line, .. }) = outline.blocks.iter().find(lost) {
                let known: Vec<&str> = above.iter().copied().collect();
                let (what, of) = match chain.get(at + 1) {
                    Some(base) => (format!("{base} has no block {name:?}, so this one"), "it has "),
                    None => (format!("block {name:?}"), "messages are made of "),
                };
                bail!(anyhow!("{file}:{line}: {what} is left out of the prompt").hint(format!(
                    "{}{of}{}",
                    did_you_mean(name, &known),
                    known.join(", ")
                )));
            }
        }
        for role in ROLES {
            ensure!(
                chain.iter().any(|file| self.outline(file).block(role).is_some()),
                anyhow!("{}: there is no block {role:?}", chain[0]).hint(
                    "begin with {% extends \"base.jinja\" %}, or write both {% block system %} and {% block user %}; system may be empty"
                )
            );
        }
        let live = self.live(chain);
        let lost = |block: &&Block| block.within.is_none() && !live.contains(block.name.as_str());
        if let Some(Block { name, line, .. }) = self.outline(chain[0]).blocks.iter().find(lost) {
            bail!(
                anyhow!(
                    "{}:{line}: block {name:?} is left out of the prompt: the block it stands in is replaced",
                    chain[0]
                )
                .hint(format!(
                    "write {{% block {name} %}} into the one that replaces it, or call {{{{ super() }}}} there"
                ))
            );
        }
        Ok(())
    }

    /// Blocks written out by name: `self.task()`.
    fn called(&self, chain: &[&str]) -> BTreeSet<&str> {
        let mentions = chain.iter().flat_map(|file| &self.outline(file).mentions);
        let called = mentions.filter_map(|mention| match &mention.of {
            Named::Path(root, path) if root == "self" => path.first().map(String::as_str),
            _ => None,
        });
        called.collect()
    }

    /// Blocks that are written when the messages are.
    fn live(&self, chain: &[&str]) -> BTreeSet<&str> {
        let (mut live, mut open) = (BTreeSet::new(), [&ROLES[..], &Vec::from_iter(self.called(chain))].concat());
        while let Some(name) = open.pop() {
            if !live.insert(name) {
                continue;
            }
            for outline in chain.iter().map(|file| self.outline(file)) {
                let Some(block) = outline.block(name) else { continue };
                let inner = outline.blocks.iter().filter(|inner| inner.within.as_deref() == Some(name));
                open.extend(inner.map(|inner| inner.name.as_str()));
                if !block.calls_super {
                    break;
                }
            }
        }
        live
    }

    /// The blocks that a template fills in; where it fills in none, those that wait to be.
    fn instruction(&self, chain: &[&str]) -> Vec<String> {
        let own = self.outline(chain[0]);
        let live = self.live(chain);
        let open: Vec<&str> = live.into_iter().filter(|name| !ROLES.contains(name)).collect();
        let filled = |name: &&str| own.block(name).is_some();
        let mut extended = self.outlines.values().flat_map(|outline| &outline.extends);
        let blocks = if chain.len() > 1 {
            let own: Vec<&str> = open.iter().copied().chain(["user"]).filter(filled).collect();
            if own.is_empty() && !open.is_empty() {
                // It may all be said in the system's turn.
                open.into_iter().chain(["system"].into_iter().filter(filled)).collect()
            } else {
                own
            }
        } else if extended.any(|extends| extends.name.as_deref() == Some(chain[0])) {
            // A base as it is.
            open
        } else {
            vec![]
        };
        blocks.into_iter().map(str::to_owned).collect()
    }

    /// The templates of the chain and all they include or import.
    fn reached(&self, chain: &[&'a str]) -> Vec<&'a str> {
        let mut reached = chain.to_vec();
        let mut at = 0;
        while at < reached.len() {
            for mention in &self.outline(reached[at]).mentions {
                let Named::Template(names, _) = &mention.of else { continue };
                for (name, _) in names.iter().filter_map(|name| self.outlines.get_key_value(name.as_str())) {
                    if !reached.contains(name) {
                        reached.push(name);
                    }
                }
            }
            at += 1;
        }
        reached
    }

    fn check_names(&self, chain: &[&'a str]) -> Result<()> {
        let reached = self.reached(chain);
        let mut scope = Scope { known: GIVEN.into(), ..Scope::default() };
        scope.known.extend(self.environment.globals().map(|(name, _)| name));
        for outline in reached.iter().map(|file| self.outline(file)) {
            scope.assigned.extend(outline.assigned.iter().map(String::as_str));
            let given = outline
                .assigned
                .iter()
                .chain(&outline.optional)
                .chain(outline.modules.keys())
                .chain(outline.aliases.keys());
            scope.known.extend(given.map(String::as_str));
            scope.modules.extend(outline.modules.iter().map(|(name, file)| (name.as_str(), file.as_str())));
            scope.aliases.extend(outline.aliases.iter().map(|(name, of)| (name.as_str(), of.as_str())));
            scope.blocks.extend(outline.blocks.iter().map(|block| block.name.as_str()));
        }
        for file in reached {
            for mention in &self.outline(file).mentions {
                self.check_name(file, mention.line, &mention.of, &scope)?;
            }
        }
        Ok(())
    }

    fn check_name(&self, file: &str, line: usize, of: &Named, scope: &Scope) -> Result<()> {
        let unknown = |what: String, name: &str, known: &[&str], next: &str| {
            let known = did_you_mean(name, known);
            Err(anyhow!("{file}:{line}: {what}").hint(format!("{known}{next}")))
        };
        match of {
            Named::Variable(name) | Named::Path(name, _) if !scope.known.contains(name.as_str()) => {
                let known: Vec<&str> = scope.known.iter().copied().collect();
                unknown(format!("{name} is not known"), name, &known, &seen())
            }
            Named::Path(root, path) => self.check_path(root, path, scope).or_else(|(name, known)| {
                let next = if path.len() > 1 { "filters stand behind |: {{ reel.caption | upper }}" } else { &*seen() };
                let whole = format!("{root}.{}", path.join("."));
                unknown(format!("{whole} is not known"), name, &known, next)
            }),
            Named::Filter(name) if !self.is_filter(name) => {
                unknown(format!("there is no filter {name:?}"), name, &FILTERS, "filters are those of minijinja")
            }
            Named::Test(name) if !self.is_test(name) => {
                unknown(format!("there is no test {name:?}"), name, &TESTS, "tests are those of minijinja")
            }
            Named::Template(names, required) => {
                let there = names.iter().any(|name| self.outlines.contains_key(name.as_str()));
                if *required && !there { Err(self.missing(file, line, names)) } else { Ok(()) }
            }
            Named::Import(module, name) => match self.outlines.get(module.as_str()) {
                Some(outline) if !outline.exported.contains(name) => {
                    let known: Vec<&str> = outline.exported.iter().map(String::as_str).collect();
                    unknown(
                        format!("{module} has no {name:?} to import"),
                        name,
                        &known,
                        "macros and variables are imported",
                    )
                }
                _ => Ok(()),
            },
            Named::Variable(_) | Named::Filter(_) | Named::Test(_) => Ok(()),
        }
    }

    /// Gives the part of a path that isn't there, and what is.
    fn check_path<'s>(
        &'s self,
        root: &str,
        path: &'s [String],
        scope: &Scope<'s>,
    ) -> Result<(), (&'s str, Vec<&'s str>)> {
        let Some(name) = path.first().map(String::as_str) else { return Ok(()) };
        if root == "self" {
            let there = scope.blocks.contains(name);
            return if there { Ok(()) } else { Err((name, scope.blocks.iter().copied().collect())) };
        }
        // A loop or a macro may give the name to something else.
        if scope.assigned.contains(root) {
            return Ok(());
        }
        if let Some(module) = scope.modules.get(root) {
            let Some(outline) = self.outlines.get(module) else { return Ok(()) };
            let there = outline.exported.contains(name);
            return if there { Ok(()) } else { Err((name, outline.exported.iter().map(String::as_str).collect())) };
        }
        let root = scope.aliases.get(root).copied().unwrap_or(root);
        let fields: &[&str] = match root {
            "reel" => &REEL,
            "task" => &TASK,
            _ => return Ok(()),
        };
        match path {
            [name] | [name, ..] if !fields.contains(&name.as_str()) => Err((name, fields.to_vec())),
            [descriptions, _, ..] if root == "task" && descriptions == "descriptions" => Ok(()),
            [_, further, ..] => Err((further, vec![])),
            _ => Ok(()),
        }
    }

    fn is_filter(&self, name: &str) -> bool {
        let found = self.environment.empty_state().apply_filter(name, &[]);
        !found.is_err_and(|error| error.kind() == ErrorKind::UnknownFilter)
    }

    fn is_test(&self, name: &str) -> bool {
        let found = self.environment.empty_state().perform_test(name, &[]);
        !found.is_err_and(|error| error.kind() == ErrorKind::UnknownTest)
    }
}

/// What templates that are rendered together know.
#[derive(Default)]
struct Scope<'a> {
    known: BTreeSet<&'a str>,
    /// Names that the templates give.
    assigned: BTreeSet<&'a str>,
    /// Templates by the name under which they are imported.
    modules: BTreeMap<&'a str, &'a str>,
    /// `reel` or `task` by another name.
    aliases: BTreeMap<&'a str, &'a str>,
    blocks: BTreeSet<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Shown;
    use crate::prompt::{PromptSet, PromptSource};

    /// The shipped set with some of its files replaced.
    fn with(replaced: &[(&str, &str)]) -> Result<PromptSet> {
        let embedded = PromptSet::embedded().unwrap();
        let mut files: IndexMap<String, String> =
            embedded.files().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
        files.extend(replaced.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
        PromptSet::new(PromptSource::Embedded, files)
    }

    fn refused(replaced: &[(&str, &str)]) -> String {
        match with(replaced) {
            Ok(_) => panic!("{replaced:?} is taken"),
            Err(error) => Shown::of(&error).to_string(),
        }
    }

    #[test]
    fn text_that_would_be_lost_is_refused() {
        let base = "{% extends \"base.jinja\" %}\n";
        for (text, expected) in [
            (
                "{% block taks %}Iklan?{% endblock %}",
                "embedded: ad.jinja:2: base.jinja has no block \"taks\", so this one is left out of the prompt\n\
                 hint: did you mean task? it has system, task, user",
            ),
            ("Iklan?{% block task %}x{% endblock %}", "ad.jinja:2: what stands outside all blocks is left out"),
            ("{{ reel.likes }}", "ad.jinja:2: what stands outside"),
            ("{% if reel.likes %}x{% endif %}{% block task %}x{% endblock %}", "ad.jinja:2: what stands outside"),
            ("{% include \"summary.jinja\" %}{% block task %}x{% endblock %}", "ad.jinja:2: what stands outside"),
            (
                "{% block user %}x{% endblock %}{% block task %}x{% endblock %}",
                "ad.jinja:2: block \"task\" is left out of the prompt: the block it stands in is replaced\nhint: write",
            ),
        ] {
            let message = refused(&[("ad.jinja", &format!("{base}{text}"))]);
            assert!(message.contains(expected), "{text}: {message}");
        }
        for (text, expected) in [
            ("{% block system %}s{% endblock %}hai", "ad.jinja:1: what stands outside all blocks is left out"),
            ("{% block system %}s{% endblock %}", "ad.jinja: there is no block \"user\"\nhint: begin with {% extends"),
            (
                "{% block sistem %}s{% endblock %}{% block user %}u{% endblock %}",
                "ad.jinja:1: block \"sistem\" is left out of the prompt\n\
                 hint: did you mean system? messages are made of system, user",
            ),
            ("", "ad.jinja: there is no block \"system\""),
            ("Iklan?", "ad.jinja:1: what stands outside"),
        ] {
            let message = refused(&[("ad.jinja", text)]);
            assert!(message.contains(expected), "{text}: {message}");
        }
        // In between, too.
        let message = refused(&[
            ("ad.jinja", "{% extends \"middle.jinja\" %}{% block task %}x{% endblock %}"),
            ("middle.jinja", "{% extends \"base.jinja\" %}{% block tail %}y{% endblock %}"),
        ]);
        assert!(message.contains("middle.jinja:1: base.jinja has no block \"tail\""), "{message}");
    }

    #[test]
    fn what_is_written_is_taken() {
        for text in [
            "{% extends \"base.jinja\" %}{# a note #}{% set tone = \"baku\" %}{% block task %}{{ tone }}{% endblock %}",
            "{% extends \"base.jinja\" %}{% macro m() %}x{% endmacro %}{% block task %}{{ m() }}{% endblock %}",
            "{% extends \"base.jinja\" %}{% block user %}{{ super() }}{% endblock %}{% block task %}x{% endblock %}",
            "{% extends \"base.jinja\" %}{% block task %}{% block more %}x{% endblock %}{% endblock %}",
            "{% block system %}{% endblock %}{% block user %}{{ reel.transcript }}{% block task %}x{% endblock %}{% endblock %}",
            "{% set task = 1 %}{% block system %}{% endblock %}{% block user %}{{ self.system() }}{{ task }}x{% endblock %}",
            "{% extends \"base.jinja\" %}{% block task %}{% include \"none.jinja\" ignore missing %}x{% endblock %}",
            "{% extends \"base.jinja\" %}{% block task %}{% include [\"none.jinja\", \"part.jinja\"] %}{% endblock %}",
            "{% extends \"base.jinja\" %}{% from \"part.jinja\" import shout as s %}{% block task %}{{ s(1) }}{% endblock %}",
            "{% extends \"base.jinja\" %}{% import \"part.jinja\" as p %}{% block task %}{{ p.shout(1) }}{% endblock %}",
            "{% extends \"base.jinja\" %}{% block task %}{% if shots is defined %}{{ shots }}{% endif %}{{ more | default(\"x\") }}{% endblock %}",
            "{% extends \"base.jinja\" %}{% block task %}{% for a, b in [[1, 2]] %}{{ loop.index }}{{ a }}{% endfor %}x{% endblock %}",
            "{% extends \"base.jinja\" %}{% import \"part.jinja\" as p %}{% block task %}{% for p in [task] %}{{ p.name }}{% endfor %}{% endblock %}",
            "{% extends \"base.jinja\" %}{% block task %}{{ number(reel.likes) }}{{ task.descriptions[\"iklan\"] }}{% endblock %}",
            "{% extends \"base.jinja\" %}{% block task %}{{ reel.hashtags | map(\"upper\") | select(\"ne\", \"A\") | join }}x{% endblock %}",
        ] {
            let part = ("part.jinja", "{% macro shout(x) %}{{ x }}!{% endmacro %}Iklan?");
            let set = with(&[("ad.jinja", text), part]).unwrap_or_else(|error| panic!("{text}: {error:#}"));
            let reel = crate::reel::Reel { transcript: Some("halo".into()), ..Default::default() };
            set.render(&reel, &set.tasks[2]).unwrap_or_else(|error| panic!("{text}: {error:#}"));
        }
    }

    #[test]
    fn a_name_that_is_not_there_is_refused_in_a_branch_not_taken_too() {
        for (text, expected) in [
            ("{{ reel.id | uper }}", "there is no filter \"uper\"\nhint: did you mean upper?"),
            ("{{ reel.hashtags | map(\"uper\") }}", "there is no filter \"uper\""),
            ("{% filter uper %}x{% endfilter %}", "there is no filter \"uper\""),
            ("{{ reel.id is nune }}", "there is no test \"nune\"\nhint: did you mean none?"),
            ("{{ reel.hashtags | select(\"nune\") }}", "there is no test \"nune\""),
            ("{{ rnage(3) }}", "rnage is not known\nhint: did you mean range?"),
            ("{{ nubmer(reel.likes) }}", "nubmer is not known\nhint: did you mean number?"),
            ("{{ transcript }}", "transcript is not known\nhint: templates see reel.* (id, "),
            ("{{ reel.transkrip }}", "reel.transkrip is not known\nhint: did you mean transcript?"),
            ("{{ reel[\"transkrip\"] }}", "reel.transkrip is not known"),
            ("{{ reel.transkrip is defined }}", "reel.transkrip is not known"),
            ("{{ task.lables }}", "task.lables is not known\nhint: did you mean labels?"),
            ("{% set r = reel %}{{ r.transkrip }}", "r.transkrip is not known\nhint: did you mean transcript?"),
            ("{% with t = task %}{{ t.lables }}{% endwith %}", "t.lables is not known\nhint: did you mean labels?"),
            ("{{ reel.caption.upper() }}", "reel.caption.upper is not known\nhint: filters stand behind |"),
            ("{% include \"shots.jinja\" %}", "there is no template \"shots.jinja\"\nhint: templates stand beside"),
            (
                "{% include \"summry.jinja\" %}",
                "there is no template \"summry.jinja\"\nhint: did you mean summary.jinja?",
            ),
            ("{% include [\"a\", \"b\"] %}", "there is no template \"a\" or \"b\""),
            ("{% import \"m.jinja\" as m %}", "there is no template \"m.jinja\""),
            (
                "{% from \"base.jinja\" import nubmer %}",
                "base.jinja has no \"nubmer\" to import\nhint: did you mean number?",
            ),
            ("{% import \"base.jinja\" as b %}{{ b.nubmer(1) }}", "b.nubmer is not known\nhint: did you mean number?"),
            ("{{ self.taks() }}", "self.taks is not known\nhint: did you mean task?"),
        ] {
            let branch = format!(
                "{{% extends \"base.jinja\" %}}{{% block task %}}x\n{{% if false %}}\n{text}{{% endif %}}{{% endblock %}}"
            );
            let message = refused(&[("ad.jinja", &branch)]);
            assert!(message.starts_with("embedded: ad.jinja:3: ") && message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn a_base_is_one_that_can_be_known() {
        for (text, expected) in [
            (
                "{% extends \"bse.jinja\" %}",
                "ad.jinja:1: there is no template \"bse.jinja\"\nhint: did you mean base.jinja?",
            ),
            ("{% extends \"ad.jinja\" %}", "ad.jinja:1: ad.jinja extends itself"),
            ("{% extends task.name %}", "ad.jinja:1: which template this extends is computed"),
            ("{% if true %}{% extends \"base.jinja\" %}{% endif %}", "ad.jinja:1: {% extends %} stands in a branch"),
        ] {
            let message = refused(&[("ad.jinja", text)]);
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn the_engine_has_the_filters_and_tests_that_are_proposed() {
        let (files, environment) = (IndexMap::new(), Environment::new());
        let lint = Lint::new(&files, &environment).unwrap();
        assert_eq!(FILTERS.iter().find(|name| !lint.is_filter(name)), None);
        assert_eq!(TESTS.iter().find(|name| !lint.is_test(name)), None);
    }
}
