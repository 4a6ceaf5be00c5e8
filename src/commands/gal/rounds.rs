//! Rounds of candidates, until enough of each label pass or there is a reason to end.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, anyhow, bail};
use indexmap::IndexMap;
use rayon::prelude::*;
use serde_json::json;

use super::log::{Generated, read_log};
use super::wanted::description;
use crate::ask::{Answerer, Ended, Format, drive};
use crate::config::GenerateSettings;
use crate::data::lock::Lock;
use crate::error::Hint;
use crate::gal::checks::Checks;
use crate::gal::generate::{End, Progress, Request, Wish, messages};
use crate::gal::row::{Origin, Sampled};
use crate::gal::seeds::Seeds;
use crate::gal::text::Written;
use crate::generator::{Bounds, Generator, Job, Reads, TextWant, Want};
use crate::prompt::{Generation, Message, without_control_tokens};
use crate::reel::Reel;
use crate::run::{Log, sha256, sha256_tokens};
use crate::stop::Stop;
use crate::task::Task;

pub(super) const LOG: &str = "generated.jsonl";
/// Tokens of a prompt where the model has room for more.
pub(super) const PROMPT_TOKENS: usize = 3072;
/// Reels at once where nothing else is asked for.
const WIDTH: usize = 16;

/// What one run of the stage works with.
pub(super) struct Stage<'a> {
    pub(super) settings: &'a GenerateSettings,
    pub(super) wish: Wish,
    pub(super) task: Option<&'a Task>,
    pub(super) seeds: Seeds,
    pub(super) answerer: Answerer,
    pub(super) generation: Generation,
    pub(super) model_sha256: String,
    pub(super) adapter_sha256: Option<String>,
    pub(super) folder: PathBuf,
}

/// A prompt, and which examples it shows.
struct Prompt {
    reads: Reads,
    sha256: String,
    tokens: usize,
    seeds: Vec<String>,
}

/// What the rounds came to.
pub(super) struct Done {
    pub(super) ended: Ended,
    pub(super) progress: Vec<(Progress, Option<End>)>,
    /// In the order of class and number.
    pub(super) reels: Vec<Reel>,
    /// Candidates without a text.
    pub(super) failed: usize,
    /// Tokens of all prompts, and of all that was written.
    pub(super) tokens: [usize; 2],
    /// Candidates that were written now, and the time that it took.
    pub(super) now: (usize, f64),
}

impl Stage<'_> {
    pub(super) fn rounds(&self, lock: Option<&Lock>, preview: Option<usize>, stop: &Stop) -> Result<Done> {
        let path = self.folder.join(LOG);
        let mut log = Log::append_to(&path)?;
        let mut written = read_log(&path)?;
        let mut checks = Checks::new(self.seeds.reels(), lock);
        let classes = self.wish.classes();
        let mut progress = vec![Progress::default(); classes.len()];
        let mut reels: Vec<(usize, usize, Reel)> = vec![];
        let (mut failed, mut tokens, mut now, mut ended) = (0, [0, 0], (0, 0.0), Ended::Done);
        let mut generator: Option<Box<dyn Generator>> = None;
        loop {
            let wanted = |class: usize| {
                let Progress { asked, .. } = progress[class];
                let more = self.wish.next(progress[class]).unwrap_or(0);
                let of_class = preview.map_or(more, |preview| preview.div_ceil(classes.len()).min(more));
                (asked..asked + of_class).map(move |number| (class, number))
            };
            let round: Vec<Request> = (0..classes.len())
                .flat_map(wanted)
                .take(preview.unwrap_or(usize::MAX))
                .map(|(class, number)| self.wish.request(&self.seeds, class, number))
                .collect();
            if round.is_empty() {
                break;
            }
            let left: Vec<&Request> = round.iter().filter(|request| !written.contains_key(&request.id)).collect();
            if !left.is_empty() {
                let seconds;
                (ended, seconds) = self.ask(&left, &mut generator, &mut log, &mut written, stop)?;
                now = (now.0 + left.len(), now.1 + seconds);
                if ended == Ended::Interrupted {
                    break;
                }
            }
            let made: Vec<(&Request, Reel, Origin)> =
                round.iter().filter_map(|request| self.candidate(request, written.get(&request.id)?)).collect();
            failed += round.len() - made.len();
            for line in round.iter().filter_map(|request| written.get(&request.id)) {
                tokens = [tokens[0] + line.prompt_tokens, tokens[1] + line.generated_tokens];
            }
            let looked: Vec<_> = made.par_iter().map(|(_, reel, _)| checks.look(reel)).collect();
            for ((request, mut reel, origin), looked) in made.into_iter().zip(looked) {
                let passes = checks.pass(&reel, &origin, looked, &mut IndexMap::new()).is_ok();
                progress[request.class].accepted += usize::from(passes);
                origin.into_reel(&mut reel)?;
                reels.push((request.class, request.number, reel));
            }
            for request in &round {
                progress[request.class].asked += 1;
            }
            if preview.is_some() {
                break;
            }
            self.tell(&progress);
            // A round that isn't whole is asked for again before there is another one.
            if failed > 0 || ended != Ended::Done {
                break;
            }
        }
        reels.sort_by_key(|(class, number, _)| (*class, *number));
        let reels = reels.into_iter().map(|(.., reel)| reel).collect();
        Ok(Done { ended, progress: self.ends(&progress), reels, failed, tokens, now })
    }

    /// Has candidates written, and keeps each as it comes.
    fn ask(
        &self,
        requests: &[&Request],
        generator: &mut Option<Box<dyn Generator>>,
        log: &mut Log,
        written: &mut HashMap<String, Generated>,
        stop: &Stop,
    ) -> Result<(Ended, f64)> {
        let prompts: Vec<Prompt> = requests.par_iter().map(|request| self.prompt(request)).collect::<Result<_>>()?;
        let most = self.settings.reel_tokens;
        let longest = prompts.iter().map(|prompt| prompt.tokens).max().unwrap_or(0);
        let bounds = Bounds {
            reels: self.settings.predict.engine.width.unwrap_or(WIDTH).min(requests.len()),
            max_cells: longest,
            max_text_tokens: longest + most,
            text_tasks: 1,
            labels: 0,
            step_tokens: self.settings.predict.engine.ubatch,
        };
        if generator.is_none() {
            if let Answerer::Hosted(endpoint) = &self.answerer {
                endpoint.check()?;
                let host = &endpoint.name().host;
                match endpoint.name().is_here {
                    true => errln!("texts    the seeds’, as examples, to {host} on this machine"),
                    false => errln!("texts    the seeds’, as examples, leave this machine, to {host} alone"),
                }
            }
            let room = Bounds { max_cells: self.room() + most, max_text_tokens: self.room() + most, ..bounds };
            *generator = Some(self.answerer.load(&self.settings.predict, &room, &self.folder)?);
        }
        let Some(generator) = generator else { bail!("nothing is loaded") };
        let started = Instant::now();
        let mut session = generator.session(&bounds)?;
        let jobs = requests.iter().zip(prompts).map(|(request, prompt)| {
            let job = Job {
                id: 0,
                reads: prompt.reads,
                want: Want::Text(TextWant { may_be_cut: true, ..TextWant::of(most) }),
                sampling: self.settings.predict.sampling,
                randomness: format!("gal generate\n{}", request.id),
                prefix: None,
            };
            vec![((request.id.clone(), prompt.seeds, prompt.sha256, prompt.tokens), job)]
        });
        let ended = drive(&mut *session, jobs, stop, |(id, seeds, prompt_sha256, tokens), came, cost| {
            let line = Generated::of(id, seeds, prompt_sha256, tokens, came, cost);
            log.append(&line)?;
            written.insert(line.id.clone(), line);
            Ok(())
        })?;
        Ok((ended, started.elapsed().as_secs_f64()))
    }

    /// Tokens that a prompt may have.
    fn room(&self) -> usize {
        let context = self.answerer.context_length().unwrap_or(usize::MAX);
        context.saturating_sub(self.settings.reel_tokens).min(PROMPT_TOKENS)
    }

    /// The prompt of a request, with as many of its examples as there is room for.
    fn prompt(&self, request: &Request) -> Result<Prompt> {
        let label = self.task.zip(self.wish.classes()[request.class]);
        let label = label.map(|(task, label)| (task.wording(label).to_owned(), description(task, label)));
        let said = label.as_ref().map(|(label, description)| (label.as_str(), *description));
        let [system, user] = self.generation.render(self.task.map_or("", |task| &task.name), said)?;
        for shown in (0..=request.examples.len()).rev() {
            let seeds = request.examples[..shown].iter().map(|reel| reel.id.clone()).collect();
            let told = |neutral: &dyn Fn(&Reel) -> Reel| -> Vec<Message> {
                let examples: Vec<Reel> = request.examples[..shown].iter().map(|reel| neutral(reel)).collect();
                messages(&system, &user, &examples)
            };
            match self.answerer.format(self.room()) {
                Format::Chat { chat, tokenizer, budget } => {
                    let text = chat.prompt(&told(&|reel| chat.neutralise(reel)))?;
                    let tokens = tokenizer.encode(&text)?;
                    if tokens.len() <= budget {
                        let (count, sha256) = (tokens.len(), sha256_tokens(&tokens));
                        let reads = Reads::Tokens { tokens: tokens.into(), lead: 0, cuts: vec![] };
                        return Ok(Prompt { reads, sha256, tokens: count, seeds });
                    }
                }
                Format::Messages => {
                    let messages = told(&without_control_tokens);
                    let sha256 = sha256(json!(messages).to_string().as_bytes());
                    return Ok(Prompt { reads: Reads::Messages(messages), sha256, tokens: 0, seeds });
                }
                Format::Record(_) => bail!("a baseline writes nothing"),
            }
        }
        Err(anyhow!("no prompt fits the {} tokens that the model has room for", self.room())
            .hint("lower --reel-tokens, or shorten the --template"))
    }

    /// A candidate as a record, without its origin in it; `None` where it failed.
    fn candidate<'r>(&self, request: &'r Request<'r>, line: &Generated) -> Option<(&'r Request<'r>, Reel, Origin)> {
        if line.error.is_some() {
            return None;
        }
        let Written { caption, hashtags, transcript } = Written::of(&line.text);
        let reel = Reel {
            id: request.id.clone(),
            caption,
            hashtags,
            transcript,
            language: Some("id".to_owned()),
            synthetic: true,
            ..Reel::default()
        };
        let label = self.wish.classes()[request.class];
        let requested = self.task.zip(label).map(|(task, label)| (task.name.clone(), label.to_owned()));
        let origin = Origin {
            requested: requested.into_iter().collect(),
            attempt: request.number,
            seeds: line.seeds.clone(),
            prompt_sha256: line.prompt_sha256.clone(),
            model: self.answerer.describe().name,
            model_sha256: self.model_sha256.clone(),
            sampling: Sampled::from(self.settings.predict.sampling),
            truncated: line.truncated,
            adapter_sha256: self.adapter_sha256.clone(),
            ..Origin::gal()
        };
        Some((request, reel, origin))
    }

    fn ends(&self, progress: &[Progress]) -> Vec<(Progress, Option<End>)> {
        progress.iter().map(|progress| (*progress, self.wish.next(*progress).err())).collect()
    }

    fn tell(&self, progress: &[Progress]) {
        let classes = self.wish.classes();
        let told = classes
            .iter()
            .zip(progress)
            .map(|(label, Progress { asked, accepted })| format!("{} {accepted} of {asked}", label.unwrap_or("Reels")));
        errln!("passed   {}", told.collect::<Vec<_>>().join(", "));
    }
}
