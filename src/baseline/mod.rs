//! Baselines: answers without a language model, which a model should beat. Their results are stored like a model's.

mod tfidf;

use std::collections::{HashMap, VecDeque};

use anyhow::{Context, Result, anyhow, bail, ensure};

use self::tfidf::TfIdf;
use crate::error::Hint;
use crate::generator::{
    Bounds, Capabilities, Cost, Event, Generator, Job, JobId, Outcome, Reads, Refused, SavedPrefix, Session, Text,
    Usage,
};
use crate::indonesian::{Words, sentences};
use crate::prompt::Message;
use crate::reel::Reel;
use crate::run::sha256;
use crate::task::{Task, TaskKind};

/// Words after which a text without an end of sentence is cut: speech recognisers often write no punctuation.
const MAX_SENTENCE_WORDS: usize = 40;

/// What every baseline can do; one that learned labels gives their probabilities unasked.
pub const CAPABILITIES: Capabilities =
    Capabilities { tokens: false, label_scores: false, most_labels: usize::MAX, seed: true, logprobs: false };

/// A baseline that is ready to answer.
#[derive(Debug, Clone)]
pub struct Baseline {
    name: String,
    rule: Rule,
    /// Hash of what it learned from.
    learned: String,
}

#[derive(Debug, Clone)]
enum Rule {
    /// This many first sentences of the transcript.
    Lead(usize),
    /// The most frequent label of each task in the training records, by task name.
    Majority(HashMap<String, String>),
    /// The sentences of the transcript that have most in common with the reference. No summary made of the transcript's
    /// sentences can be much better.
    Oracle,
    /// A linear model of each label task, by task name.
    TfIdf(HashMap<String, TfIdf>),
}

impl Baseline {
    /// `name` is what stands behind `baseline:`; `train` are the records of `--train`.
    ///
    /// # Errors
    /// Names the baseline that is unknown or has nothing to learn from.
    pub fn new(name: &str, tasks: &[Task], train: Option<&[Reel]>) -> Result<Baseline> {
        let rule = match name {
            "lead-1" => Rule::Lead(1),
            "lead-3" => Rule::Lead(3),
            "oracle" => Rule::Oracle,
            "majority" | "tfidf" => {
                let train = train
                    .with_context(|| format!("baseline:{name} needs records to learn labels from"))
                    .hint("add --train F.jsonl")?;
                if name == "majority" {
                    Rule::Majority(majority(tasks, train)?)
                } else {
                    Rule::TfIdf(tfidf(tasks, train)?)
                }
            }
            other => {
                bail!(
                    anyhow!("baseline:{other} is not known")
                        .hint("baseline:lead-1, lead-3, oracle (texts), majority or tfidf (labels)")
                )
            }
        };
        let records: String = train.unwrap_or_default().iter().map(|reel| format!("{reel:?}\n")).collect();
        let learned = sha256(records.as_bytes());
        Ok(Baseline { name: format!("baseline:{name}"), rule, learned })
    }

    /// Its name on the command line.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes the place of a model file's hash: SHA-256 over the name and what was learned from.
    pub fn sha256(&self) -> String {
        sha256(format!("{} {}", self.name, self.learned).as_bytes())
    }

    /// Whether it has an answer to this task.
    pub fn answers(&self, task: &Task) -> bool {
        match &self.rule {
            Rule::Lead(_) | Rule::Oracle => task.kind == TaskKind::Text,
            Rule::Majority(labels) => labels.contains_key(&task.name),
            Rule::TfIdf(models) => models.contains_key(&task.name),
        }
    }

    /// What it reads of a Reel: the task's name as the system's turn, a text as the user's, and for the oracle the
    /// reference as the answer.
    pub fn messages(&self, reel: &Reel, task: &Task) -> Vec<Message> {
        let text = match &self.rule {
            Rule::TfIdf(_) => tfidf::text(reel),
            _ => reel.transcript.as_ref().or(reel.caption.as_ref()).cloned().unwrap_or_default(),
        };
        let reference = match &self.rule {
            Rule::Oracle => reel.reference.get(&task.name).cloned(),
            _ => None,
        };
        [("system", Some(task.name.clone())), ("user", Some(text)), ("assistant", reference)]
            .into_iter()
            .filter_map(|(role, content)| Some(Message { role, content: content? }))
            .collect()
    }

    /// Answers what [`Baseline::messages`] made.
    fn answer(&self, messages: &[Message]) -> Result<Outcome, String> {
        let turn = |role| messages.iter().find(|message| message.role == role).map(|message| message.content.as_str());
        let (task, source) = (turn("system").unwrap_or_default(), turn("user").unwrap_or_default());
        let text = |text: String| Ok(Outcome::Text(Text { text, ..Text::default() }));
        match &self.rule {
            Rule::Lead(sentences) => text(lead(source, *sentences)),
            Rule::Oracle => match turn("assistant") {
                Some(reference) => text(oracle(source, reference)),
                None => Err(format!("baseline:oracle looks at the reference, and there is no reference.{task}")),
            },
            Rule::Majority(labels) => text(labels.get(task).cloned().unwrap_or_default()),
            Rule::TfIdf(models) => {
                let model = models.get(task).ok_or("baseline:tfidf has not learned this task")?;
                Ok(Outcome::LabelScores(model.log_probabilities(source)))
            }
        }
    }
}

impl Generator for Baseline {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn session(&mut self, _bounds: &Bounds) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(BaselineSession { baseline: self, queue: VecDeque::new() }))
    }
}

/// Answers a job a step.
struct BaselineSession<'a> {
    baseline: &'a Baseline,
    queue: VecDeque<(JobId, Vec<Message>)>,
}

impl Session for BaselineSession<'_> {
    fn admit(&mut self, job: Job) -> Result<(), Refused> {
        let Reads::Messages(messages) = job.reads else {
            return Err(Refused("a baseline reads no tokens".to_owned().into()));
        };
        self.queue.push_back((job.id, messages));
        Ok(())
    }

    fn step(&mut self) -> Result<Vec<Event>> {
        let answer = |(job, messages): (JobId, Vec<Message>)| match self.baseline.answer(&messages) {
            Ok(outcome) => Event::Answer { job, outcome, cost: Cost::default() },
            Err(reason) => Event::Failed { job, reason: reason.into(), cost: Cost::default() },
        };
        Ok(self.queue.pop_front().map(answer).into_iter().collect())
    }

    fn cancel(&mut self, job: JobId) -> Result<()> {
        self.queue.retain(|(queued, _)| *queued != job);
        Ok(())
    }

    fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    fn has_room(&self) -> bool {
        self.queue.is_empty()
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }

    fn kept_prefixes(&mut self) -> Vec<SavedPrefix> {
        vec![]
    }
}

fn majority(tasks: &[Task], train: &[Reel]) -> Result<HashMap<String, String>> {
    let mut labels = HashMap::new();
    for task in tasks.iter().filter(|task| task.kind == TaskKind::Label) {
        let count = |label: &String| train.iter().filter(|reel| reel.reference.get(&task.name) == Some(label)).count();
        // Among equally frequent labels the one that the task lists first.
        let most = task.labels.iter().rev().max_by_key(|label| count(label)).filter(|label| count(label) > 0);
        if let Some(label) = most {
            labels.insert(task.name.clone(), task.wording(label).to_owned());
        }
    }
    ensure!(
        !labels.is_empty(),
        anyhow!("the --train records have no label for any task")
            .hint("baseline:majority needs reference.<task> in them")
    );
    Ok(labels)
}

fn tfidf(tasks: &[Task], train: &[Reel]) -> Result<HashMap<String, TfIdf>> {
    let mut models = HashMap::new();
    for task in tasks.iter().filter(|task| task.kind == TaskKind::Label) {
        models.extend(TfIdf::learn(task, train)?.map(|model| (task.name.clone(), model)));
    }
    ensure!(
        !models.is_empty(),
        anyhow!("the --train records have no two labels of any task")
            .hint("baseline:tfidf needs reference.<task> in them")
    );
    Ok(models)
}

/// The first sentences of a text.
fn lead(text: &str, count: usize) -> String {
    spoken_sentences(text).into_iter().take(count).collect::<Vec<_>>().join(" ")
}

/// The sentences of a text, cut after [`MAX_SENTENCE_WORDS`] words.
fn spoken_sentences(text: &str) -> Vec<String> {
    let words = sentences(text).into_iter().map(|sentence| sentence.split_whitespace().collect::<Vec<_>>());
    words.flat_map(|words| words.chunks(MAX_SENTENCE_WORDS).map(|chunk| chunk.join(" ")).collect::<Vec<_>>()).collect()
}

/// Sentences chosen one by one, each the one that adds most to what the extract has in common with the reference (F of
/// words and of pairs of words), as long as one does (Nallapati, Zhai and Zhou 2017); in the order of the text.
fn oracle(text: &str, reference: &str) -> String {
    let reference = Words::default().of(reference);
    let candidates: Vec<(String, Vec<String>)> = spoken_sentences(text)
        .into_iter()
        .map(|sentence| {
            let words = Words::default().of(&sentence);
            (sentence, words)
        })
        .collect();
    let score = |chosen: &[usize]| {
        let words: Vec<&String> = chosen.iter().flat_map(|index| &candidates[*index].1).collect();
        let reference: Vec<&String> = reference.iter().collect();
        overlap(&words, &reference, 1) + overlap(&words, &reference, 2)
    };
    let (mut chosen, mut best) = (Vec::new(), 0.0);
    loop {
        let with = |index: usize| {
            let mut with: Vec<usize> = [&chosen[..], &[index]].concat();
            with.sort_unstable();
            (score(&with), with)
        };
        let next = (0..candidates.len())
            .filter(|index| !chosen.contains(index))
            .map(with)
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        match next {
            Some((score, with)) if score > best => (chosen, best) = (with, score),
            _ => break,
        }
    }
    chosen.into_iter().map(|index| candidates[index].0.as_str()).collect::<Vec<_>>().join(" ")
}

/// F-measure of the n-grams that words and reference have in common.
fn overlap(words: &[&String], reference: &[&String], n: usize) -> f64 {
    let mut left: HashMap<&[&String], usize> = HashMap::new();
    for gram in reference.windows(n) {
        *left.entry(gram).or_default() += 1;
    }
    let mut common = 0;
    for gram in words.windows(n) {
        if let Some(left) = left.get_mut(gram).filter(|left| **left > 0) {
            *left -= 1;
            common += 1;
        }
    }
    let grams = |length: usize| (length + 1).saturating_sub(n);
    2.0 * common as f64 / (grams(words.len()) + grams(reference.len())).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lead_takes_sentences() {
        assert_eq!(lead("Halo guys! Ini Rp1.500 saja. Beli ya?\nLagi", 2), "Halo guys! Ini Rp1.500 saja.");
        assert_eq!(lead("tanpa titik\nbaris dua", 1), "tanpa titik");
        assert_eq!(lead(&"kata ".repeat(100), 1).split(' ').count(), MAX_SENTENCE_WORDS);
    }

    #[test]
    fn other_training_texts_are_another_model() {
        let tasks = "[task.ad]\nkind = \"label\"\ntemplate = \"t\"\nmax_tokens = 8\nlabels = [\"ya\", \"tidak\"]\n";
        let tasks = crate::task::parse_tasks(tasks, "tasks.toml").unwrap();
        let reel = |text: &str, label: &str| {
            let mut reel = Reel { transcript: Some(text.into()), ..Reel::default() };
            reel.reference.insert("ad".into(), label.into());
            reel
        };
        let hash = |text: &str| {
            let train = [reel(text, "ya"), reel(text, "ya"), reel("lain", "tidak"), reel("lain", "tidak")];
            Baseline::new("tfidf", &tasks, Some(&train)).unwrap().sha256()
        };
        assert_ne!(hash("kopi"), hash("teh"));
        assert_eq!(hash("kopi"), hash("kopi"));
    }

    #[test]
    fn the_oracle_takes_what_the_reference_says() {
        let text = "Halo semuanya! Kopi susu enak sekali. Jangan lupa follow. Harganya murah di Bandung.";
        assert_eq!(
            oracle(text, "Harga murah di Bandung, kopi susu enak."),
            "Kopi susu enak sekali. Harganya murah di Bandung."
        );
        assert_eq!(oracle(text, "tentang hal lain"), "");
        assert_eq!(oracle("", "apa pun"), "");
    }

    #[test]
    fn majority_prefers_the_label_listed_first() {
        let tasks = crate::task::parse_tasks(
            "[task.ad]\nkind = \"label\"\ntemplate = \"ad.jinja\"\nmax_tokens = 8\nlabels = [\"iklan\", \"bukan iklan\"]\n",
            "tasks.toml",
        )
        .unwrap();
        let reel = |label: &str| {
            let mut reel = Reel::default();
            reel.reference.insert("ad".into(), label.into());
            reel
        };
        let learned = majority(&tasks, &[reel("bukan iklan"), reel("iklan")]).unwrap();
        assert_eq!(learned["ad"], "iklan");
        assert!(majority(&tasks, &[Reel::default()]).is_err());
    }
}
