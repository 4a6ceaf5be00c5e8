//! Jobs whose prompts start alike, computed together: what they share once, then what is each one's own, with the labels
//! that are scored on the way.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::token::LlamaToken;

use super::path::{KeptPrefixes, Path};
use super::sample::LogProbabilities;
use super::text::GrowingText;
use super::transfer;
use super::tree::{Node, Tree};
use crate::generator::{Cost, Event, Job, JobId, Outcome, Reads, SavedPrefix, Want};

/// The sequence that holds the path.
const PATH: i32 = 0;
/// A row of logits is as long as the vocabulary; where each token's is wanted, so many are held at once.
const ROWS: usize = 64;

pub(super) struct Prefill<'run> {
    context: LlamaContext<'run>,
    batch: LlamaBatch<'static>,
    /// Tokens computed at once, at most.
    chunk: usize,
    sequences: i32,
    path: Path,
    kept: KeptPrefixes,
    group: Option<Group>,
}

/// What is being computed.
struct Group {
    started: Instant,
    members: Vec<Member>,
    /// What they share.
    path: Path,
    /// Tokens of the path that are in the cache.
    computed: usize,
    /// What each has of its own, and still to be computed.
    tails: VecDeque<(Node, Vec<Wanted>)>,
    /// Tokens computed at once, at most.
    chunk: usize,
}

struct Member {
    id: JobId,
    /// Until its text begins.
    job: Option<Job>,
    sequences: Range<i32>,
    /// Leading tokens that were computed before, or for another member.
    cached: usize,
    prompt_logprobs: Vec<f64>,
    scores: Vec<f64>,
    text: Option<Box<GrowingText>>,
    failure: Option<String>,
}

/// What a node's distribution is for.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    job: JobId,
    of: WantedOf,
}

#[derive(Debug, Clone, Copy)]
enum WantedOf {
    /// The log-probability of a token, added to a label's sum.
    Label { label: usize, token: u32 },
    /// The first token of a text.
    First,
    /// The log-probability of the prompt's next token.
    Prompt { token: u32 },
}

/// What came of a member.
pub(super) enum Finished {
    Event(Event),
    /// A text that goes on, and the sequence that holds its prompt.
    Text(Box<GrowingText>, i32),
}

/// Tokens and cuts of a job that was checked to have tokens.
pub(super) fn prompt(job: &Job) -> (&Arc<[u32]>, &[usize]) {
    match &job.reads {
        Reads::Tokens { tokens, cuts } => (tokens, cuts),
        Reads::Messages(_) => unreachable!("a job without tokens is refused"),
    }
}

/// The part of a job's prompt that is computed for others too.
pub(super) fn path_of(job: &Job) -> Path {
    let (tokens, cuts) = prompt(job);
    let all_logits = matches!(&job.want, Want::Text(want) if want.prompt_logprobs);
    Path::of(tokens, if all_logits { &[] } else { cuts })
}

/// Sequences that a job takes.
pub(super) fn sequences_of(job: &Job) -> usize {
    match &job.want {
        Want::Text(_) => 1,
        Want::LabelScores(labels) => labels.len(),
    }
}

/// Cells that a job takes behind a path, at most.
pub(super) fn cells_behind(job: &Job, path: usize) -> usize {
    let labels = match &job.want {
        Want::Text(_) => 0,
        Want::LabelScores(labels) => labels.iter().map(|label| label.tokens.len()).sum(),
    };
    prompt(job).0.len() - path + labels
}

impl<'run> Prefill<'run> {
    pub fn new(context: LlamaContext<'run>, chunk: usize, sequences: usize) -> Prefill<'run> {
        let batch = LlamaBatch::new(chunk, sequences as i32);
        let (path, kept) = (Path::default(), KeptPrefixes::default());
        Prefill { context, batch, chunk, sequences: sequences as i32, path, kept, group: None }
    }

    pub fn context(&self) -> &LlamaContext<'run> {
        &self.context
    }

    pub fn is_idle(&self) -> bool {
        self.group.is_none()
    }

    /// Begins with jobs that have one path and fit into the cache together.
    ///
    /// # Errors
    /// When the plan has too few sequences.
    pub fn begin(&mut self, mut jobs: Vec<Job>) -> Result<()> {
        let path = path_of(&jobs[0]);
        for prefix in jobs.iter_mut().filter_map(|job| job.prefix.take()) {
            self.kept.keep(prefix);
        }
        self.go_to(&path)?;
        let known = self.path.tokens.len();
        let mut tree = Tree::new(&path.tokens);
        let mut wanted: Vec<Vec<Wanted>> = Vec::new();
        let mut sequences = PATH + 1..self.sequences;
        let mut members = Vec::with_capacity(jobs.len());
        for job in jobs {
            let cached = if members.is_empty() { Some(known) } else { None };
            members.push(member(job, cached, &mut sequences, &mut tree, &mut wanted)?);
        }
        let mut nodes = tree.nodes;
        nodes.iter_mut().zip(&wanted).for_each(|(node, wanted)| node.logits = !wanted.is_empty());
        let rows = |nodes: &[Node]| nodes.iter().filter(|node| node.logits).count();
        let chunk = if rows(&nodes) > 4 * ROWS { self.chunk.min(ROWS) } else { self.chunk };
        tracing::debug!(known, path = path.tokens.len(), tails = nodes.len(), logits = rows(&nodes), "prefill");
        let tails = nodes.into_iter().zip(wanted).collect();
        let group = Group { started: Instant::now(), members, computed: known, path, tails, chunk };
        if group.computed == group.path.tokens.len() {
            fork(&mut self.context, &group)?;
        }
        self.group = Some(group);
        Ok(())
    }

    /// Computes a chunk: tokens computed, and what came of the members when that was the last one.
    ///
    /// # Errors
    /// When llama.cpp's cache is not as planned; what can't be computed is an event.
    pub fn step(&mut self) -> Result<(usize, Vec<Finished>)> {
        let Some(mut group) = self.group.take() else { return Ok((0, vec![])) };
        let (computed, outcome) = if group.computed < group.path.tokens.len() {
            self.step_on_path(&mut group)?
        } else {
            self.step_on_tails(&mut group)
        };
        if let Err(error) = outcome {
            group.members.iter_mut().for_each(|member| member.failure = Some(error.clone()));
            group.tails.clear();
            group.computed = group.path.tokens.len();
        }
        if group.computed < group.path.tokens.len() || !group.tails.is_empty() {
            self.group = Some(group);
            return Ok((computed, vec![]));
        }
        let finish = |member: Member| member.finish(group.started);
        Ok((computed, group.members.into_iter().map(finish).collect()))
    }

    fn step_on_path(&mut self, group: &mut Group) -> Result<(usize, Result<(), String>)> {
        let end = group.path.cuts[self.path.cuts.len()];
        let positions = group.computed..end.min(group.computed + group.chunk);
        let nodes: Vec<Node> = positions.map(|position| Node::of_path(&group.path.tokens, position, PATH)).collect();
        let outcome = self.compute(nodes.iter());
        if outcome.is_ok() {
            group.computed += nodes.len();
            if group.computed == end {
                self.path.extend_from(&group.path);
            }
            if group.computed == group.path.tokens.len() {
                fork(&mut self.context, group)?;
            }
        }
        Ok((nodes.len(), outcome))
    }

    fn step_on_tails(&mut self, group: &mut Group) -> (usize, Result<(), String>) {
        let count = group.chunk.min(group.tails.len());
        let chunk: Vec<(Node, Vec<Wanted>)> = group.tails.drain(..count).collect();
        // Nothing is left where only a cancelled job wanted more.
        let outcome = if chunk.is_empty() { Ok(()) } else { self.compute(chunk.iter().map(|(node, _)| node)) };
        if outcome.is_ok() {
            for (index, (_, wanted)) in chunk.iter().enumerate().filter(|(_, (node, _))| node.logits) {
                let logits = self.context.get_logits_ith(index as i32);
                let log = LogProbabilities::new(logits);
                for wanted in wanted {
                    if let Some(member) = group.members.iter_mut().find(|member| member.id == wanted.job) {
                        member.take_in(wanted.of, logits, &log, group.started);
                    }
                }
            }
        }
        (count, outcome)
    }

    /// Forgets a member, and what only it wanted.
    pub fn cancel(&mut self, job: JobId) -> Result<()> {
        let Some(group) = &mut self.group else { return Ok(()) };
        let Some(index) = group.members.iter().position(|member| member.id == job) else { return Ok(()) };
        let sequences = group.members.remove(index).sequences;
        for sequence in sequences.clone() {
            self.context.kv_cache_seq_rm(sequence, None, None)?;
        }
        for (node, wanted) in &mut group.tails {
            node.sequences.retain(|sequence| !sequences.contains(sequence));
            wanted.retain(|wanted| wanted.job != job);
            node.logits = !wanted.is_empty();
        }
        group.tails.retain(|(node, _)| !node.sequences.is_empty());
        if group.members.is_empty() {
            self.group = None;
            self.drop_tails()?;
        }
        Ok(())
    }

    /// Empties the cache but for the parts of the path that are complete.
    pub fn drop_tails(&mut self) -> Result<()> {
        for sequence in PATH + 1..self.sequences {
            self.context.kv_cache_seq_rm(sequence, None, None)?;
        }
        self.drop_behind_path()
    }

    /// Cells that llama.cpp says the members' sequences hold behind the path, each sequence counted by itself, and
    /// those of a path that is being computed.
    pub fn cells(&self) -> usize {
        let held = |sequence: i32| (self.context.kv_cache_seq_pos_max(sequence) + 1) as usize;
        let of_path = held(PATH);
        let behind = (PATH + 1..self.sequences).map(|sequence| held(sequence).saturating_sub(of_path)).sum::<usize>();
        behind + of_path - self.path.tokens.len()
    }

    /// First parts of paths, the one in the cache included.
    pub fn kept(&mut self) -> Vec<SavedPrefix> {
        if self.group.is_none() {
            self.keep_first_part();
        }
        self.kept.all()
    }

    /// Leaves in the cache what a path has in common with the one there, or else a first part that was kept.
    fn go_to(&mut self, path: &Path) -> Result<()> {
        let parts = path.shared_parts(&self.path);
        if parts > 0 {
            self.path.truncate(parts);
            return self.drop_behind_path();
        }
        self.keep_first_part();
        self.path = Path::default();
        self.context.clear_kv_cache();
        let Some(first) = path.cuts.first().map(|end| &path.tokens[..*end]) else { return Ok(()) };
        if let Some(state) = self.kept.find(first) {
            match transfer::restore(&mut self.context, PATH, &state) {
                Ok(()) => self.path = Path { tokens: first.to_vec(), cuts: vec![first.len()] },
                // A state of another model is no reason to give up: the prefix is computed.
                Err(error) => {
                    tracing::debug!(error, "prefix");
                    self.context.clear_kv_cache();
                }
            }
        }
        Ok(())
    }

    fn keep_first_part(&mut self) {
        let Some(&end) = self.path.cuts.first() else { return };
        if self.kept.find(&self.path.tokens[..end]).is_some() {
            return;
        }
        self.path.truncate(1);
        let saved = self.drop_behind_path().map_err(|error| error.to_string());
        match saved.and_then(|()| transfer::save(&self.context, PATH)) {
            Ok(state) => self.kept.keep(SavedPrefix { tokens: self.path.tokens[..].into(), state: state.into() }),
            Err(error) => tracing::debug!(error, "prefix"),
        }
    }

    fn drop_behind_path(&mut self) -> Result<()> {
        self.context.kv_cache_seq_rm(PATH, Some(self.path.tokens.len() as u32), None)?;
        Ok(())
    }

    /// The batch has room for a chunk of tokens in all sequences, which keeps `LlamaBatch::add` in its memory.
    fn compute<'a>(&mut self, nodes: impl Iterator<Item = &'a Node>) -> Result<(), String> {
        self.batch.clear();
        for node in nodes {
            self.batch
                .add(LlamaToken(node.token as i32), node.position as i32, &node.sequences, node.logits)
                .map_err(|error| error.to_string())?;
        }
        self.context.decode(&mut self.batch).map_err(|error| format!("llama.cpp: {error}"))
    }
}

/// Gives the path to the sequences of all members.
fn fork(context: &mut LlamaContext, group: &Group) -> Result<()> {
    let end = group.path.tokens.len() as u32;
    for sequence in group.members.iter().flat_map(|member| member.sequences.clone()).filter(|_| end > 0) {
        context.kv_cache_seq_cp(PATH, sequence, Some(0), Some(end))?;
    }
    Ok(())
}

/// Puts a job's prompt and labels into the tree; `wanted` has an entry a node.
fn member(
    job: Job,
    cached: Option<usize>,
    free: &mut Range<i32>,
    tree: &mut Tree,
    wanted: &mut Vec<Vec<Wanted>>,
) -> Result<Member> {
    let tokens = Arc::clone(prompt(&job).0);
    let first = free.start;
    let last = free.start + sequences_of(&job) as i32;
    anyhow::ensure!(last <= free.end, "the plan has fewer sequences than a job's labels");
    free.start = last;
    let mut want = |node: usize, of: WantedOf, nodes: usize| {
        wanted.resize_with(nodes.max(wanted.len()), Vec::new);
        wanted[node].push(Wanted { job: job.id, of });
    };
    let mut shared = 0;
    let mut scores = vec![];
    match &job.want {
        Want::Text(text) => {
            let path = tree.add(&tokens, first);
            let count = tree.nodes.len();
            shared = path.shared;
            want(*path.nodes.last().context("a prompt ends with its path")?, WantedOf::First, count);
            if text.prompt_logprobs {
                for (&node, &token) in path.nodes.iter().zip(&tokens[1..]) {
                    want(node, WantedOf::Prompt { token }, count);
                }
            }
        }
        Want::LabelScores(labels) => {
            scores = vec![0.0; labels.len()];
            for (label, end) in labels.iter().enumerate() {
                let path = tree.add(&[&tokens[..], &end.tokens].concat(), first + label as i32);
                let count = tree.nodes.len();
                if label == 0 {
                    shared = path.shared.min(tokens.len());
                }
                // The prompt's last token tells of the label's first one, and so on.
                let answer = end.tokens.iter().chain([&end.end]);
                for (&node, &token) in path.nodes[path.nodes.len() - end.tokens.len() - 1..].iter().zip(answer) {
                    want(node, WantedOf::Label { label, token }, count);
                }
            }
        }
    }
    wanted.resize_with(tree.nodes.len(), Vec::new);
    Ok(Member {
        id: job.id,
        job: Some(job),
        sequences: first..last,
        cached: cached.unwrap_or(shared),
        prompt_logprobs: vec![],
        scores,
        text: None,
        failure: None,
    })
}

impl Member {
    fn take_in(&mut self, of: WantedOf, logits: &[f32], log: &LogProbabilities, started: Instant) {
        if !log.is_finite() {
            let reason = "the model's logits are not finite\nhint: the file may be damaged or badly quantised";
            self.failure = Some(reason.to_owned());
            return;
        }
        match of {
            WantedOf::Label { label, token } => self.scores[label] += log.of(token),
            WantedOf::Prompt { token } => self.prompt_logprobs.push(log.of(token)),
            WantedOf::First => {
                let prompt_logprobs = std::mem::take(&mut self.prompt_logprobs);
                let begin = |job| GrowingText::begin(job, (self.cached, started), prompt_logprobs, logits);
                self.text = self.job.take().and_then(begin).map(Box::new);
            }
        }
    }

    fn finish(self, started: Instant) -> Finished {
        let (job, seconds) = (self.id, started.elapsed().as_secs_f64());
        let cost = Cost { cached_tokens: self.cached, generated_tokens: 0, seconds };
        match (self.failure, self.text) {
            (Some(reason), _) => Finished::Event(Event::Failed { job, reason, cost }),
            (None, Some(text)) => Finished::Text(text, self.sequences.start),
            (None, None) => Finished::Event(Event::Answer { job, outcome: Outcome::LabelScores(self.scores), cost }),
        }
    }
}
