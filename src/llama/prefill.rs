//! Jobs whose prompts start alike, computed together: what they share once, then what is each one's own, with the labels
//! that are scored on the way.

use std::collections::VecDeque;
use std::time::Instant;

use anyhow::Result;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::token::LlamaToken;

use super::member::{Finished, Member, Wanted, trunk_of};
use super::sample::LogProbabilities;
use super::transfer;
use super::tree::{Node, Tree};
use super::trunk::{KeptLeads, Trunk};
use crate::generator::{Job, JobId, SavedPrefix};

/// The sequence that holds the trunk.
const TRUNK: i32 = 0;
/// A row of logits is as long as the vocabulary; where each token's is wanted, so many are held at once.
const ROWS: usize = 64;

pub(super) struct Prefill<'run> {
    context: LlamaContext<'run>,
    batch: LlamaBatch<'static>,
    /// Tokens computed at once, at most.
    chunk: usize,
    sequences: i32,
    trunk: Trunk,
    kept: KeptLeads,
    group: Option<Group>,
}

/// What is being computed.
struct Group {
    started: Instant,
    members: Vec<Member>,
    /// What they share.
    trunk: Trunk,
    /// Tokens of the trunk that are in the cache.
    computed: usize,
    /// What each has of its own, and still to be computed.
    tails: VecDeque<(Node, Vec<Wanted>)>,
    /// Tokens of tails computed at once, at most.
    chunk: usize,
}

impl<'run> Prefill<'run> {
    /// Computes `chunk` tokens at once, at most.
    pub fn new(context: LlamaContext<'run>, chunk: usize, sequences: usize, kept: KeptLeads) -> Prefill<'run> {
        let batch = LlamaBatch::new(chunk, sequences as i32);
        Prefill { context, batch, chunk, sequences: sequences as i32, trunk: Trunk::default(), kept, group: None }
    }

    /// Tokens computed at once, at most.
    pub fn chunk(&self) -> usize {
        self.chunk
    }

    pub fn context(&self) -> &LlamaContext<'run> {
        &self.context
    }

    pub fn is_idle(&self) -> bool {
        self.group.is_none()
    }

    /// Begins with jobs that have one trunk and fit into the cache together.
    ///
    /// # Errors
    /// When the plan has too few sequences.
    pub fn begin(&mut self, mut jobs: Vec<Job>) -> Result<()> {
        let trunk = trunk_of(&jobs[0]);
        for prefix in jobs.iter_mut().filter_map(|job| job.prefix.take()) {
            self.kept.keep(prefix);
        }
        self.go_to(&trunk)?;
        let known = self.trunk.tokens.len();
        let mut tree = Tree::new(&trunk.tokens);
        let mut wanted: Vec<Vec<Wanted>> = Vec::new();
        let mut sequences = TRUNK + 1..self.sequences;
        let mut members = Vec::with_capacity(jobs.len());
        for job in jobs {
            let cached = if members.is_empty() { Some(known) } else { None };
            members.push(Member::plant(job, cached, &mut sequences, &mut tree, &mut wanted)?);
        }
        let mut nodes = tree.nodes;
        nodes.iter_mut().zip(&wanted).for_each(|(node, wanted)| node.logits = !wanted.is_empty());
        let rows = |nodes: &[Node]| nodes.iter().filter(|node| node.logits).count();
        let chunk = if rows(&nodes) > 4 * ROWS { self.chunk.min(ROWS) } else { self.chunk };
        tracing::debug!(known, trunk = trunk.tokens.len(), tails = nodes.len(), logits = rows(&nodes), "prefill");
        let tails = nodes.into_iter().zip(wanted).collect();
        let group = Group { started: Instant::now(), members, computed: known, trunk, tails, chunk };
        if group.computed == group.trunk.tokens.len() {
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
        let (computed, outcome) = if group.computed < group.trunk.tokens.len() {
            self.step_on_trunk(&mut group)?
        } else {
            self.step_on_tails(&mut group)
        };
        if let Err(error) = outcome {
            group.members.iter_mut().for_each(|member| member.failure = Some(error.clone().into()));
            group.tails.clear();
            group.computed = group.trunk.tokens.len();
        }
        if group.computed < group.trunk.tokens.len() || !group.tails.is_empty() {
            self.group = Some(group);
            return Ok((computed, vec![]));
        }
        let finish = |member: Member| member.finish(group.started);
        Ok((computed, group.members.into_iter().map(finish).collect()))
    }

    fn step_on_trunk(&mut self, group: &mut Group) -> Result<(usize, Result<(), String>)> {
        let end = group.trunk.cuts[self.trunk.cuts.len()];
        let positions = group.computed..end.min(group.computed + self.chunk);
        let nodes: Vec<Node> = positions.map(|position| Node::of_trunk(&group.trunk.tokens, position, TRUNK)).collect();
        let outcome = self.compute(nodes.iter());
        if outcome.is_ok() {
            group.computed += nodes.len();
            if group.computed == end {
                self.trunk.extend_from(&group.trunk);
            }
            if group.computed == group.trunk.tokens.len() {
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

    /// Empties the cache but for the parts of the trunk that are complete.
    pub fn drop_tails(&mut self) -> Result<()> {
        for sequence in TRUNK + 1..self.sequences {
            self.context.kv_cache_seq_rm(sequence, None, None)?;
        }
        self.drop_behind_trunk()
    }

    /// Cells that llama.cpp says the members' sequences hold behind the trunk, each sequence counted by itself, and
    /// those of a trunk that is being computed.
    pub fn cells(&self) -> usize {
        let held = |sequence: i32| (self.context.kv_cache_seq_pos_max(sequence) + 1) as usize;
        let of_trunk = held(TRUNK);
        let behind = (TRUNK + 1..self.sequences).map(|sequence| held(sequence).saturating_sub(of_trunk)).sum::<usize>();
        behind + of_trunk - self.trunk.tokens.len()
    }

    /// Leads that were computed, the one in the cache included.
    pub fn kept(&mut self) -> Vec<SavedPrefix> {
        if self.group.is_none() {
            self.keep_lead();
        }
        self.kept.all()
    }

    /// Leaves in the cache what a trunk has in common with the one there, or else its lead where that was kept.
    fn go_to(&mut self, trunk: &Trunk) -> Result<()> {
        let parts = trunk.shared_parts(&self.trunk);
        if parts > 0 {
            self.trunk.truncate(parts);
            return self.drop_behind_trunk();
        }
        self.keep_lead();
        self.trunk = Trunk::default();
        self.context.clear_kv_cache();
        let lead = &trunk.tokens[..trunk.lead];
        let Some(state) = self.kept.find(lead).filter(|_| !lead.is_empty()) else { return Ok(()) };
        let restored = transfer::restore(&mut self.context, TRUNK, &state);
        let cells = self.context.kv_cache_seq_pos_max(TRUNK) + 1;
        if restored.is_ok() && cells as usize == lead.len() {
            self.trunk = Trunk::of(lead, lead.len(), &[lead.len()]);
        } else {
            tracing::debug!(?restored, cells, "a kept prefix can't be used");
            self.context.clear_kv_cache();
        }
        Ok(())
    }

    fn keep_lead(&mut self) {
        let lead = self.trunk.lead;
        if lead == 0 || self.trunk.tokens.len() < lead || self.kept.find(&self.trunk.tokens[..lead]).is_some() {
            return;
        }
        self.trunk.truncate(1);
        let saved = self.drop_behind_trunk().map_err(|error| error.to_string());
        match saved.and_then(|()| transfer::save(&self.context, TRUNK)) {
            Ok(state) => self.kept.add(&self.trunk.tokens, state),
            Err(error) => tracing::debug!(error, "a prefix can't be kept"),
        }
    }

    fn drop_behind_trunk(&mut self) -> Result<()> {
        self.context.kv_cache_seq_rm(TRUNK, Some(self.trunk.tokens.len() as u32), None)?;
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

/// Gives the trunk to the sequences of all members.
fn fork(context: &mut LlamaContext, group: &Group) -> Result<()> {
    let end = group.trunk.tokens.len() as u32;
    for sequence in group.members.iter().flat_map(|member| member.sequences.clone()).filter(|_| end > 0) {
        context.kv_cache_seq_cp(TRUNK, sequence, Some(0), Some(end))?;
    }
    Ok(())
}
