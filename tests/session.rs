//! A session of llama.cpp on the bundled model, as a server would drive it: work arrives and leaves between any two steps.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reels::config::{EngineSettings, KvType, Sampling};
use reels::generator::{
    Bounds, Constraint, Ending, Event, Generator, Job, LabelTokens, Outcome, Reads, Session, Text, TextWant, Want,
};
use reels::llama::{Engine, Model, logits};
use reels::prompt::Tokenizer;
use reels::reel::read_reels;
use reels::stop::Stop;

const SEEDS: u64 = 200;
const JOBS_A_SEED: usize = 50;

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("gguf/reels-mini.gguf")
}

fn settings(reproducible: bool) -> EngineSettings {
    EngineSettings { width: Some(6), ubatch: 128, kv_type: KvType::F16, threads: 2, reproducible }
}

const BOUNDS: Bounds =
    Bounds { reels: 6, max_cells: 512, max_text_tokens: 256, text_tasks: 1, labels: 40, step_tokens: 48 };

fn engine(reproducible: bool) -> (Model, Engine) {
    let model = Model::open(&file(), None).unwrap();
    let engine = model.load(&settings(reproducible), &BOUNDS).unwrap();
    (model, engine)
}

/// What a job asks, for asking it again.
#[derive(Clone)]
struct Spec {
    tokens: Arc<[u32]>,
    cuts: Vec<usize>,
    /// Of a label job.
    labels: Vec<LabelTokens>,
    /// Of a text job.
    max_tokens: usize,
    prompt_logprobs: bool,
}

impl Spec {
    fn job(&self, id: u64) -> Job {
        let want = if self.labels.is_empty() {
            Want::Text(TextWant { prompt_logprobs: self.prompt_logprobs, ..TextWant::of(self.max_tokens) })
        } else {
            Want::LabelScores(self.labels.clone())
        };
        let reads = Reads::Tokens {
            tokens: Arc::clone(&self.tokens),
            lead: self.cuts.first().copied().unwrap_or(0),
            cuts: self.cuts.clone(),
        };
        Job { id, reads, want, sampling: Sampling::GREEDY, randomness: String::new(), prefix: None }
    }
}

/// Three system prompts, twenty Reels of the sample behind each, and a few tasks behind each Reel.
fn specs(tokenizer: &dyn Tokenizer, rng: &mut ChaCha8Rng) -> Vec<Spec> {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("eval/sample.jsonl");
    let lines = reels::lines::Lines::open(&sample, "records").unwrap();
    let words = |text: &str, from: usize, count: usize| {
        let words: Vec<&str> = text.split_whitespace().skip(from).take(count).collect();
        tokenizer.encode(&format!(" {}", words.join(" "))).unwrap()
    };
    let transcripts: Vec<String> =
        read_reels(&lines).unwrap().into_iter().filter_map(|reel| reel.transcript).take(23).collect();
    let mut specs = Vec::new();
    for (index, transcript) in transcripts[3..].iter().enumerate() {
        let system = words(&transcripts[index % 3], 0, 12 + 5 * (index % 3));
        let reel = words(transcript, 0, rng.random_range(5..40));
        for task in 0..4 {
            let tail = words(transcript, 40 + 3 * task, rng.random_range(1..6));
            let labels = if task == 0 { 0 } else { rng.random_range(2..12) };
            let label = |label: usize| LabelTokens { tokens: words(transcript, label, 1), end: 2 };
            specs.push(Spec {
                tokens: [&system[..], &reel, &tail].concat().into(),
                cuts: vec![system.len(), system.len() + reel.len()],
                labels: (0..labels).map(label).collect(),
                max_tokens: rng.random_range(1..12),
                prompt_logprobs: false,
            });
        }
    }
    // And what finds nothing computed before.
    let odd = |spec: &Spec| match spec.labels.len() {
        0 => Spec { prompt_logprobs: true, ..spec.clone() },
        _ => Spec { cuts: vec![], ..spec.clone() },
    };
    let odd: Vec<Spec> = specs.iter().step_by(3).map(odd).collect();
    specs.extend(odd);
    specs
}

/// Runs a session until nothing is left.
fn drain(session: &mut dyn Session) -> Vec<Event> {
    let mut events = Vec::new();
    while !session.is_idle() {
        events.extend(session.step().unwrap());
    }
    events
}

/// The answer of a job in a session.
fn answer(session: &mut dyn Session, job: Job) -> Outcome {
    session.admit(job).unwrap();
    match drain(session).pop() {
        Some(Event::Answer { outcome, .. }) => outcome,
        other => panic!("{other:?}"),
    }
}

fn text(outcome: Outcome) -> Text {
    let Outcome::Text(text) = outcome else { panic!("{outcome:?}") };
    text
}

fn log_softmax(scores: &[f64]) -> Vec<f64> {
    let sum = scores.iter().map(|score| score.exp()).sum::<f64>().ln();
    scores.iter().map(|score| score - sum).collect()
}

#[derive(Debug, Default)]
struct Agreement {
    answers: usize,
    cancelled: usize,
    /// Of the log-probability of the label that is answered, of all labels, and of tokens of prompts.
    largest_difference: [f64; 3],
    texts: usize,
    equal_texts: usize,
}

impl Agreement {
    /// Labels are equal but for near-ties. Log-probabilities of labels far from the answer move by more than the answer's:
    /// activations are rounded to eight bits.
    fn take_in(&mut self, alone: &Outcome, found: &Outcome) {
        self.answers += 1;
        match (alone, found) {
            (Outcome::Text(alone), Outcome::Text(found)) => {
                self.texts += 1;
                self.equal_texts += usize::from(alone.text == found.text);
                assert_eq!(alone.prompt_logprobs.len(), found.prompt_logprobs.len());
                let pairs = alone.prompt_logprobs.iter().zip(&found.prompt_logprobs);
                self.largest_difference[2] =
                    pairs.map(|(a, b)| (a - b).abs()).fold(self.largest_difference[2], f64::max);
            }
            (Outcome::LabelScores(alone), Outcome::LabelScores(found)) => {
                let (alone, found) = (log_softmax(alone), log_softmax(found));
                let best = |scores: &[f64]| (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap();
                let lead = alone[best(&alone)] - alone[best(&found)];
                assert!(lead < 1e-3, "another label by {lead}");
                let difference = |label: usize| (alone[label] - found[label]).abs();
                let of_all = (0..alone.len()).map(difference).fold(0.0, f64::max);
                for (largest, new) in self.largest_difference.iter_mut().zip([difference(best(&alone)), of_all]) {
                    *largest = largest.max(new);
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn random_work_is_answered_as_if_it_were_alone() {
    let (model, mut engine) = engine(false);
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let specs = specs(model.vocabulary(), &mut rng);
    let alone: Vec<Outcome> = {
        let mut session = engine.session(&BOUNDS).unwrap();
        specs.iter().map(|spec| answer(&mut *session, spec.job(0))).collect()
    };
    let mut agreement = Agreement::default();
    for seed in 1..=SEEDS {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut session = engine.session(&BOUNDS).unwrap();
        let (mut open, mut admitted): (HashMap<u64, usize>, u64) = (HashMap::new(), 0);
        let mut computed = 0;
        while admitted < JOBS_A_SEED as u64 || !open.is_empty() {
            if admitted < JOBS_A_SEED as u64 && rng.random_bool(0.4) {
                // Neighbours share a Reel.
                let first = rng.random_range(0..specs.len());
                for spec in (first..specs.len()).take(rng.random_range(1..=4)) {
                    session.admit(specs[spec].job(admitted)).unwrap();
                    open.insert(admitted, spec);
                    admitted += 1;
                }
            }
            if rng.random_bool(0.1) {
                let mut ids: Vec<u64> = open.keys().copied().collect();
                ids.sort_unstable();
                if let Some(id) = ids.choose(&mut rng) {
                    session.cancel(*id).unwrap();
                    open.remove(id);
                    agreement.cancelled += 1;
                }
            }
            for event in session.step().unwrap() {
                match event {
                    Event::Token { job, .. } => assert!(open.contains_key(&job), "a token of a cancelled job"),
                    Event::Answer { job, outcome, .. } => {
                        agreement.take_in(&alone[open.remove(&job).unwrap()], &outcome);
                    }
                    Event::Failed { reason, .. } => panic!("{reason}"),
                }
            }
            let step = session.usage().computed_tokens - computed;
            computed += step;
            assert!(step <= BOUNDS.step_tokens as u64, "a step of {step} tokens");
        }
        assert!(session.is_idle());
        assert_eq!(session.usage().cells, 0, "seed {seed}");
    }
    let Agreement { answers, cancelled, largest_difference, texts, equal_texts } = agreement;
    let [of_answers, of_all, of_tokens] = largest_difference;
    eprintln!(
        "{answers} answers and {cancelled} cancelled: log-probabilities of answers off by {of_answers:.4} at most, of any label by {of_all:.4}, of tokens of prompts by {of_tokens:.4}; {equal_texts} of {texts} texts equal"
    );
    assert!(answers + cancelled >= SEEDS as usize * JOBS_A_SEED && cancelled > 1000);
    assert!(of_answers <= 0.02 && of_tokens <= 0.02, "{of_answers} {of_tokens}");
    assert!(equal_texts as f64 >= 0.95 * texts as f64, "{equal_texts} of {texts}");
}

#[test]
fn what_was_computed_before_changes_no_bits() {
    let (model, mut engine) = engine(true);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let specs = specs(model.vocabulary(), &mut rng);
    let fresh: Vec<Outcome> =
        specs[..24].iter().map(|spec| answer(&mut *engine.session(&BOUNDS).unwrap(), spec.job(0))).collect();
    // In one session, in an order in which paths are kept, left and found again.
    let mut session = engine.session(&BOUNDS).unwrap();
    let mut order: Vec<usize> = (0..24).chain((0..24).rev()).chain((0..24).map(|index| index * 7 % 24)).collect();
    order.dedup();
    let mut cached = HashSet::new();
    for index in order {
        session.admit(specs[index].job(9)).unwrap();
        let Some(Event::Answer { outcome, cost, .. }) = drain(&mut *session).pop() else { panic!() };
        assert_eq!(outcome, fresh[index], "job {index}");
        cached.insert(specs[index].cuts.iter().position(|cut| *cut == cost.cached_tokens));
    }
    assert_eq!(
        cached.len(),
        3,
        "of a prompt nothing, the system prompt, and the Reel were computed before: {cached:?}"
    );
    // In another session, from what this one kept.
    let prefixes = session.kept_prefixes();
    drop(session);
    assert_eq!(prefixes.len(), 3, "a system prompt each");
    for (spec, expected) in specs[..24].iter().zip(&fresh) {
        let mut session = engine.session(&BOUNDS).unwrap();
        let prefix = prefixes.iter().find(|prefix| spec.tokens.starts_with(&prefix.tokens)).cloned();
        session.admit(Job { prefix, ..spec.job(0) }).unwrap();
        let Some(Event::Answer { outcome, cost, .. }) = drain(&mut *session).pop() else { panic!() };
        assert_eq!((&outcome, cost.cached_tokens), (expected, spec.cuts[0]));
    }
}

#[test]
fn a_job_that_does_not_fit_is_refused_alone() {
    let (model, mut engine) = engine(false);
    let spec = specs(model.vocabulary(), &mut ChaCha8Rng::seed_from_u64(2)).remove(0);
    let mut session = engine.session(&BOUNDS).unwrap();
    session.admit(spec.job(1)).unwrap();
    let long: Arc<[u32]> = vec![7; 600].into();
    let label = LabelTokens { tokens: vec![5], end: 2 };
    for (bad, message) in [
        (
            Job { reads: Reads::Tokens { tokens: long, lead: 0, cuts: vec![] }, ..spec.job(2) },
            "600 tokens, more than the 512",
        ),
        (Job { reads: Reads::Messages(vec![]), ..spec.job(2) }, "reads tokens"),
        (Job { reads: Reads::Tokens { tokens: [].into(), lead: 0, cuts: vec![] }, ..spec.job(2) }, "empty"),
        (
            Job { reads: Reads::Tokens { tokens: [1 << 30].into(), lead: 0, cuts: vec![] }, ..spec.job(2) },
            "token 1073741824",
        ),
        (Job { reads: Reads::Tokens { tokens: [1, 2].into(), lead: 0, cuts: vec![2] }, ..spec.job(2) }, "end at [2]"),
        (
            Job { reads: Reads::Tokens { tokens: [1, 2].into(), lead: 0, cuts: vec![0, 1] }, ..spec.job(2) },
            "end at [0, 1]",
        ),
        (Job { want: Want::LabelScores(vec![]), ..spec.job(2) }, "no tokens"),
        (Job { want: Want::Text(TextWant::of(300)), ..spec.job(2) }, "a text of 300"),
        (Job { want: Want::Text(TextWant::of(0)), ..spec.job(2) }, "no tokens"),
        (Job { want: Want::LabelScores(vec![label; 300]), ..spec.job(2) }, "300 labels"),
        (spec.job(1), "job 1 is being answered"),
    ] {
        let refused = session.admit(bad).unwrap_err().to_string();
        assert!(refused.contains(message), "{refused}");
    }
    assert!(matches!(drain(&mut *session).pop(), Some(Event::Answer { job: 1, .. })));
}

#[test]
fn a_text_grows_beside_any_number_of_labels() {
    let (model, mut engine) = engine(false);
    let specs = specs(model.vocabulary(), &mut ChaCha8Rng::seed_from_u64(6));
    let mut session = engine.session(&BOUNDS).unwrap();
    session.admit(Spec { max_tokens: 20, ..specs[0].clone() }.job(0)).unwrap();
    let mut labels = specs.iter().filter(|spec| !spec.labels.is_empty()).cycle().zip(1..);
    for step in 0.. {
        assert!(step < 500, "the text waits for labels that never end");
        while session.has_room() {
            let (spec, id) = labels.next().unwrap();
            session.admit(spec.job(id)).unwrap();
        }
        if session.step().unwrap().iter().any(|event| matches!(event, Event::Answer { job: 0, .. })) {
            break;
        }
    }
}

#[test]
fn a_text_is_told_as_it_grows_and_ends_at_a_stop_string() {
    let (model, mut engine) = engine(false);
    let spec = specs(model.vocabulary(), &mut ChaCha8Rng::seed_from_u64(3)).remove(0);
    let mut session = engine.session(&BOUNDS).unwrap();
    let mut ask = |want: TextWant| {
        // Hot enough for the model to leave its rut.
        let sampling = Sampling { temperature: 2.0, top_p: 1.0, seed: 1, loop_stop: true };
        session.admit(Job { want: Want::Text(want), sampling, ..spec.job(1) }).unwrap();
        let events = drain(&mut *session);
        let told: String = events
            .iter()
            .filter_map(|event| if let Event::Token { text, .. } = event { Some(text.as_str()) } else { None })
            .collect();
        let Some(Event::Answer { outcome, .. }) = events.into_iter().last() else { panic!() };
        let text = text(outcome);
        assert_eq!(told.trim(), text.text);
        text
    };
    let whole = ask(TextWant::of(40)).text;
    let words: Vec<&str> = whole.split(' ').collect();
    assert!(words.len() > 8, "{whole:?}");
    let stop = format!(" {} {}", words[5], words[6]);
    let cut = ask(TextWant { stop: vec!["never said".into(), stop.clone()], ..TextWant::of(40) });
    assert_eq!((cut.text.as_str(), cut.ending), (whole.split_once(&stop).unwrap().0, Ending::Complete));
}

/// Lets only one token come, and counts.
#[derive(Debug)]
struct Only(u32, Arc<std::sync::atomic::AtomicUsize>);

impl Constraint for Only {
    fn mask(&mut self, logits: &mut [f32]) {
        let kept = logits[self.0 as usize];
        logits.fill(f32::NEG_INFINITY);
        logits[self.0 as usize] = kept;
    }

    fn accept(&mut self, token: u32) {
        assert_eq!(token, self.0);
        self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn a_constraint_decides_and_log_probabilities_are_the_models() {
    let (model, mut engine) = engine(true);
    let spec = specs(model.vocabulary(), &mut ChaCha8Rng::seed_from_u64(4)).remove(0);
    let token = model.vocabulary().encode(" kopi").unwrap()[0];
    let accepted = Arc::default();
    let want = TextWant {
        constraint: Some(Box::new(Only(token, Arc::clone(&accepted)))),
        answer_logprobs: true,
        prompt_logprobs: true,
        ..TextWant::of(5)
    };
    let mut session = engine.session(&BOUNDS).unwrap();
    // What was computed before has no say in the prompt's log-probabilities.
    answer(&mut *session, spec.job(0));
    let found = text(answer(&mut *session, Job { want: Want::Text(want), ..spec.job(1) }));
    assert_eq!(accepted.load(std::sync::atomic::Ordering::Relaxed), 5);
    assert_eq!(found.ending, Ending::Cut);

    // Against llama.cpp's logits of the whole text, with a 32-bit cache.
    let all: Vec<u32> = spec.tokens.iter().copied().chain([token; 5]).collect();
    let positions = (0..all.len() - 1).collect();
    let rows = logits(&file(), None, std::slice::from_ref(&all), &[positions], 2, &Stop::default()).unwrap();
    let expected = rows.iter().zip(&all[1..]).map(|(row, token)| {
        let sum = row.iter().map(|logit| f64::from(*logit).exp()).sum::<f64>().ln();
        f64::from(row[*token as usize]) - sum
    });
    let found: Vec<f64> = [found.prompt_logprobs, found.answer_logprobs].concat();
    assert_eq!(found.len(), all.len() - 1);
    for (position, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() < 0.05, "token {position}: {found}, llama.cpp says {expected}");
    }
}

#[test]
fn a_text_that_goes_round_is_ended_where_that_is_asked_for() {
    let (model, mut engine) = engine(false);
    let spec = specs(model.vocabulary(), &mut ChaCha8Rng::seed_from_u64(6)).remove(0);
    let token = model.vocabulary().encode(" kopi").unwrap()[0];
    let mut session = engine.session(&BOUNDS).unwrap();
    for (loop_stop, tokens, ending) in [(true, 24, Ending::Loop), (false, 40, Ending::Cut)] {
        let want = TextWant { constraint: Some(Box::new(Only(token, Arc::default()))), ..TextWant::of(40) };
        let sampling = Sampling { loop_stop, ..Sampling::GREEDY };
        let found = text(answer(&mut *session, Job { want: Want::Text(want), sampling, ..spec.job(1) }));
        assert_eq!((found.text, found.ending), (["kopi"].repeat(tokens).join(" "), ending));
    }
}

#[test]
fn one_thread_owns_the_engine_and_others_tokenise() {
    let (model, mut engine) = engine(false);
    let spec = specs(model.vocabulary(), &mut ChaCha8Rng::seed_from_u64(5)).remove(1);
    let vocabulary = model.vocabulary().clone();
    std::thread::scope(|scope| {
        let owner = scope.spawn(|| answer(&mut *engine.session(&BOUNDS).unwrap(), spec.job(0)));
        let tokens = scope.spawn(move || vocabulary.encode("kopi susu").unwrap());
        assert!(matches!(owner.join().unwrap(), Outcome::LabelScores(_)));
        assert!(!tokens.join().unwrap().is_empty());
    });
}
