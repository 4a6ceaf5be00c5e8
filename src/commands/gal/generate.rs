//! `reels gal generate`: Reels that a model writes, until enough of each label pass.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail, ensure};
use comfy_table::{Table, presets};
use indexmap::IndexMap;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::CANDIDATES;
use crate::ask::{Answerer, DataFacts, Ended, Format, Identity, Inputs, Manifest, ModelFacts, Records, drive};
use crate::cli::GenerateArgs;
use crate::commands::{Code, folder, locked::announce, priced};
use crate::config::{GenerateSettings, SettingsFile};
use crate::data::known::Known;
use crate::data::lock::{Index, Lock, folder_of};
use crate::error::{Hint, did_you_mean};
use crate::gal::checks::Checks;
use crate::gal::generate::{End, Progress, Request, Wish, messages};
use crate::gal::row::{Origin, Sampled};
use crate::gal::seeds::Seeds;
use crate::gal::text::Written;
use crate::generator::{Bounds, Cost, Ending, Generator, Job, Outcome, Reads, Reason, TextWant, Want};
use crate::lines::Lines;
use crate::prompt::{Generation, Message, PromptSet, without_control_tokens};
use crate::publish::{publish, write_json};
use crate::reel::Reel;

use crate::run::{Log, machine, sha256, sha256_tokens, timestamp};
use crate::score::wilson;
use crate::stop::Stop;
use crate::task::{Task, TaskKind};

/// Where the stage puts what it makes, in the folder of the whole.
pub(super) const FOLDER: &str = "generated";
const LOG: &str = "generated.jsonl";
/// Tokens of a prompt where the model has room for more.
const PROMPT_TOKENS: usize = 3072;
/// Reels at once where nothing else is asked for.
const WIDTH: usize = 16;

/// A line of the log: a candidate as it came.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Generated {
    v: u32,
    id: String,
    seeds: Vec<String>,
    prompt_sha256: String,
    /// Empty where there is none.
    text: String,
    truncated: bool,
    error: Option<String>,
    prompt_tokens: usize,
    generated_tokens: usize,
    seconds: f64,
}

/// What one run of the stage works with.
struct Stage<'a> {
    settings: &'a GenerateSettings,
    wish: Wish,
    task: Option<&'a Task>,
    seeds: Seeds,
    answerer: Answerer,
    generation: Generation,
    model_sha256: String,
    adapter_sha256: Option<String>,
    folder: PathBuf,
}

/// A prompt, and which examples it shows.
struct Prompt {
    reads: Reads,
    sha256: String,
    tokens: usize,
    seeds: Vec<String>,
}

/// What was typed, with the settings file and the price of tokens.
pub(super) fn settings(args: GenerateArgs, file: &SettingsFile) -> Result<GenerateSettings> {
    let mut settings = file.add("gal", args.settings)?.resolve(args.seeds)?;
    settings.predict = priced(file, settings.predict)?;
    Ok(settings)
}

pub(super) fn run(settings: &GenerateSettings, stop: &Stop) -> Result<Code> {
    stage(settings, None, stop)
}

/// Has a few candidates written, and tells what all of them would take.
pub(super) fn plan(settings: &GenerateSettings, preview: usize, stop: &Stop) -> Result<Code> {
    stage(settings, Some(preview), stop)
}

/// All of it, or a preview of so many candidates.
fn stage(settings: &GenerateSettings, preview: Option<usize>, stop: &Stop) -> Result<Code> {
    let predict = &settings.predict;
    let prompts = PromptSet::find(predict.prompts.as_deref())?;
    let task = class_task(settings, &prompts.tasks)?;
    let labels = labels(settings, task)?;
    let records = Records::open_for(predict.data.as_deref(), &prompts.tasks)?;
    let data = predict.data.as_deref().unwrap_or(Path::new("."));
    let lock = Lock::find(settings.lock.as_deref(), &[&settings.output, folder_of(data)])?;
    if let Some((path, lock)) = &lock {
        announce(path, lock)?;
    } else {
        errln!(
            "no test.lock is beside the seeds or above: nothing is kept out of prompts and rows\nhint: `reels split` freezes a test set"
        );
    }
    let lock = lock.as_ref().map(|(_, lock)| lock);
    let seeds = Seeds::of(records.reels()?, lock)?;
    if let Some(task) = task.filter(|_| settings.shots > 0) {
        seeds.check(task, &labels)?;
    }
    let generation = Generation::find(settings.template.as_deref())?;
    refuse_what_is_locked(&generation, task, &labels, lock)?;
    let answerer = Answerer::open(predict, &prompts.tasks)?;
    ensure!(
        !matches!(answerer, Answerer::Baseline(_)),
        anyhow!("{} writes no Reels", predict.model).hint("name a .gguf file or a hosted model with --model")
    );
    let classes = task.map(|task| (task.name.clone(), labels));
    let seed = predict.sampling.seed;
    let (accepted, candidates, shots) = (settings.accepted, settings.candidates, settings.shots);
    let wish = Wish { classes, accepted, candidates, shots, seed };
    let folder = settings.output.join(FOLDER);
    let texts = said(&generation, task, &task.map(|task| task.labels.clone()).unwrap_or_default())?;
    let texts_sha256 = sha256(json!(texts).to_string().as_bytes());
    let what = settings_json(settings, &wish, &records.sha256, &texts_sha256);
    let identity = answerer.identity(predict, &prompts.tasks, PROMPT_TOKENS)?;
    let inputs: Inputs = [
        ("model_sha256", Some(identity.model_sha256.clone())),
        ("adapter_sha256", identity.adapter_sha256.clone()),
        ("prompts_sha256", Some(generation.sha256.clone())),
        ("settings_sha256", Some(sha256(what.to_string().as_bytes()))),
    ]
    .map(|(name, hash)| (name.to_owned(), hash))
    .into();
    folder::open(&folder, &inputs, &what)?;
    let mut manifest = Manifest {
        v: 1,
        command: Some("gal generate".to_owned()),
        crate_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        started_at: Some(timestamp()),
        model: Some(ModelFacts { sha256: identity.model_sha256.clone(), ..answerer.describe() }),
        model_path: Some(predict.model.to_string()),
        settings: what,
        seed: Some(seed),
        machine: Some(machine()),
        inputs,
        data: Some(DataFacts {
            path: records.lines.name().to_owned(),
            sha256: records.sha256.clone(),
            reels: seeds.reels().len(),
        }),
        hosted: answerer.hosted(&folder)?,
        ..Manifest::default()
    };
    // A plan changes nothing of what is finished.
    if preview.is_none() || folder::manifest(&folder)?.is_none() {
        write_json(&folder.join("manifest.json"), &manifest)?;
    }
    errln!("model    {}", predict.model);
    errln!("seeds    {}, {} Reels", records.lines.name(), seeds.reels().len());
    let Identity { model_sha256, adapter_sha256, .. } = identity;
    let stage = Stage { settings, wish, task, seeds, answerer, generation, model_sha256, adapter_sha256, folder };
    let done = stage.rounds(lock, preview, stop);
    manifest.hosted = stage.answerer.hosted(&stage.folder)?;
    if done.is_err() {
        write_json(&stage.folder.join("manifest.json"), &manifest)?;
    }
    let done = done?;
    if preview.is_some() && done.ended == Ended::Done {
        return stage.forecast(&done);
    }
    let Done { ended, progress, reels, failed, .. } = done;
    manifest.other.insert("classes".to_owned(), stage.told(&progress));
    if let Some(hosted) = &manifest.hosted {
        super::super::predict::tell_spent(hosted);
    }
    // What was paid for can be annotated, however it ended.
    let path = settings.output.join(CANDIDATES);
    if ended != Ended::Interrupted {
        publish(&path, |file| {
            for reel in &reels {
                serde_json::to_writer(&mut *file, reel)?;
                file.write_all(b"\n")?;
            }
            Ok(())
        })?;
        errln!("candidates: {}, {} Reels", path.display(), reels.len());
    }
    stage.tell_caps(&progress);
    let code = match ended {
        Ended::Done => {
            if failed == 0 {
                manifest.finished_at = Some(timestamp());
            }
            if failed > 0 {
                errln!("{failed} candidates failed; their lines in {} say why", stage.folder.join(LOG).display());
                errln!("hint: the same command tries them again");
            }
            if failed > 0 { Code::SomeFailed } else { Code::Done }
        }
        Ended::Interrupted => {
            errln!("interrupted: what is written is kept\nhint: the same command goes on from there");
            Code::Interrupted
        }
        Ended::Stopped(budget) => {
            errln!("stopped by {budget}: what is written is kept\nhint: the same command with more goes on from there");
            Code::SomeFailed
        }
    };
    write_json(&stage.folder.join("manifest.json"), &manifest)?;
    Ok(code)
}

/// The label task whose labels are asked for.
fn class_task<'a>(settings: &GenerateSettings, tasks: &'a [Task]) -> Result<Option<&'a Task>> {
    let labelled = || tasks.iter().filter(|task| task.kind == TaskKind::Label);
    match settings.task.as_deref() {
        Some("") => Ok(None),
        None => Ok(labelled().next()),
        Some(name) => {
            let known: Vec<&str> = labelled().map(|task| task.name.as_str()).collect();
            let task = labelled().find(|task| task.name == name);
            let task = task.with_context(|| format!("--task {name} is no label task"));
            Ok(Some(task.hint(format!("there are {}, or none", known.join(", ")))?))
        }
    }
}

/// The labels asked for.
fn labels(settings: &GenerateSettings, task: Option<&Task>) -> Result<Vec<String>> {
    let Some(task) = task else {
        ensure!(
            settings.labels.is_empty(),
            anyhow!("--label {} belongs to no task", settings.labels.join(",")).hint("name its --task")
        );
        return Ok(vec![]);
    };
    if let Some(label) = settings.labels.iter().find(|label| !task.labels.contains(label)) {
        bail!(anyhow!("--label {label} is none of the labels of {}", task.name).hint(format!(
            "{}there are {}",
            did_you_mean(label, &task.labels),
            task.labels.join(", ")
        )));
    }
    let wanted = |label: &&String| settings.labels.is_empty() || settings.labels.contains(label);
    Ok(task.labels.iter().filter(wanted).cloned().collect())
}

/// Refuses a prompt that quotes what a model is judged by.
fn refuse_what_is_locked(
    generation: &Generation,
    task: Option<&Task>,
    labels: &[String],
    lock: Option<&Lock>,
) -> Result<()> {
    let Some(lock) = lock else { return Ok(()) };
    let index = Index::of(lock);
    for [system, user] in said(generation, task, labels)? {
        let known = Known { text: format!("{system}\n{user}"), ..Known::default() };
        ensure!(
            index.holds(&known).is_none(),
            anyhow!("{} quotes a Reel that is locked for judging", generation.source)
                .hint("take the example from other data; labels and what they mean stand in tasks.toml")
        );
    }
    Ok(())
}

/// What is said of each label, or of none.
fn said(generation: &Generation, task: Option<&Task>, labels: &[String]) -> Result<Vec<[String; 2]>> {
    let Some(task) = task else { return Ok(vec![generation.render("", None)?]) };
    let render = |label: &String| generation.render(&task.name, Some((task.wording(label), description(task, label))));
    labels.iter().map(render).collect()
}

fn description<'a>(task: &'a Task, label: &str) -> Option<&'a str> {
    task.descriptions.get(task.wording(label)).map(String::as_str)
}

/// What can change a candidate; more may be asked for in the same folder.
fn settings_json(settings: &GenerateSettings, wish: &Wish, seeds_sha256: &str, texts_sha256: &str) -> Value {
    let [temperature, top_p] = settings.predict.sampling.decimals();
    json!({
        "task": wish.classes.as_ref().map(|(task, _)| task),
        "shots": wish.shots,
        "seed": wish.seed,
        "seeds_sha256": seeds_sha256,
        "texts_sha256": texts_sha256,
        "temperature": temperature,
        "top_p": top_p,
        "reel_tokens": settings.reel_tokens,
        "reproducible": settings.predict.engine.reproducible,
    })
}

/// What the rounds came to.
struct Done {
    ended: Ended,
    progress: Vec<(Progress, Option<End>)>,
    /// In the order of class and number.
    reels: Vec<Reel>,
    /// Candidates without a text.
    failed: usize,
    /// Tokens of all prompts, and of all that was written.
    tokens: [usize; 2],
    /// Candidates that were written now, and the time that it took.
    now: (usize, f64),
}

impl Stage<'_> {
    fn rounds(&self, lock: Option<&Lock>, preview: Option<usize>, stop: &Stop) -> Result<Done> {
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

    /// Says what all candidates would take, by those that were written.
    fn forecast(&self, done: &Done) -> Result<Code> {
        let sum =
            |of: &dyn Fn(&Progress) -> usize| done.progress.iter().map(|(progress, _)| of(progress)).sum::<usize>();
        let (asked, passed) = (sum(&|progress| progress.asked), sum(&|progress| progress.accepted));
        ensure!(asked > 0, anyhow!("nothing was written to tell by").hint("give --preview 1 or more"));
        let classes = self.wish.classes().len();
        let (wanted, cap) = ((classes * self.wish.accepted) as f64, (classes * self.wish.candidates) as f64);
        let rate = wilson(passed as f64 / asked as f64, asked as f64);
        // A higher yield takes fewer candidates.
        let needed = [rate.value, rate.high, rate.low].map(|rate| (wanted / rate).ceil().min(cap));
        let of_each = |total: usize| total as f64 / asked as f64;
        let seconds = (done.now.0 > 0).then(|| done.now.1 / done.now.0 as f64);
        let price = self.settings.predict.hosted.price;
        let [read, wrote] = done.tokens.map(of_each);
        let cost = price.map(|price| price.of((read * 1e6) as u64, 0, (wrote * 1e6) as u64) / 1e6);
        let mut rows =
            vec![("candidates", Some(1.0), 0), ("tokens read", Some(read), 0), ("tokens written", Some(wrote), 0)];
        rows.extend([("minutes", seconds.map(|seconds| seconds / 60.0), 1), ("cost", cost, 4)]);
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        let of_all = format!("{wanted:.0} that pass");
        table.set_header(["what", &format!("{asked} written"), &of_all, "95 % by the yield"]);
        for (name, each, decimals) in &rows {
            let Some(each) = each else { continue };
            let shown = |count: f64| format!("{:.*}", *decimals, count * each);
            let range = format!("{} – {}", shown(needed[1]), shown(needed[2]));
            table.add_row([(*name).to_owned(), shown(asked as f64), shown(needed[0]), range]);
        }
        outln!("{table}");
        outln!(
            "{passed} of {asked} pass the filters for texts: {:.2} ({:.2} – {:.2}); a teacher rejects some more",
            rate.value,
            rate.low,
            rate.high
        );
        if needed[0] >= cap {
            errln!("warning: --candidates {} of a label end it before enough pass", self.wish.candidates);
        }
        let each: IndexMap<&str, Option<f64>> = rows.iter().map(|(name, each, _)| (*name, *each)).collect();
        let plan = json!({
            "v": 1, "made_at": timestamp(), "written": asked, "passed": passed, "yield": [rate.low, rate.value, rate.high],
            "wanted": wanted, "candidates": [needed[1], needed[0], needed[2]], "of_each": each,
        });
        let path = self.settings.output.join("plan.json");
        write_json(&path, &plan)?;
        errln!("plan: {}; what was written is kept, and `reels gal generate` goes on from there", path.display());
        Ok(Code::Done)
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
            number: request.number,
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

    /// Says which labels ended at the cap, and what can be done.
    fn tell_caps(&self, progress: &[(Progress, Option<End>)]) {
        let classes = self.wish.classes();
        let capped = classes.iter().zip(progress).filter(|(_, (_, end))| *end == Some(End::Cap));
        let capped: Vec<String> = capped
            .map(|(label, (Progress { asked, accepted }, _))| {
                format!("{} ({accepted} of {asked} passed)", label.unwrap_or("Reels"))
            })
            .collect();
        if !capped.is_empty() {
            errln!(
                "ended at --candidates {}: {}\nhint: give more --candidates; `reels gal filter` tells what rejects them",
                self.wish.candidates,
                capped.join(", ")
            );
        }
    }

    fn tell(&self, progress: &[Progress]) {
        let classes = self.wish.classes();
        let told = classes
            .iter()
            .zip(progress)
            .map(|(label, Progress { asked, accepted })| format!("{} {accepted} of {asked}", label.unwrap_or("Reels")));
        errln!("passed   {}", told.collect::<Vec<_>>().join(", "));
    }

    fn told(&self, progress: &[(Progress, Option<End>)]) -> Value {
        let classes = self.wish.classes();
        let told = classes.iter().zip(progress).map(|(label, (Progress { asked, accepted }, end))| {
            let end = end.map(|end| match end {
                End::Enough => "enough",
                End::Cap => "cap on candidates",
            });
            json!({"label": label, "asked": asked, "accepted": accepted, "end": end})
        });
        told.collect()
    }
}

impl Generated {
    fn of(
        id: String,
        seeds: Vec<String>,
        prompt_sha256: String,
        tokens: usize,
        came: Result<Outcome, Reason>,
        cost: Cost,
    ) -> Generated {
        let (text, truncated, error) = match came {
            Ok(Outcome::Text(text)) => (text.text, text.ending != Ending::Complete, None),
            Ok(Outcome::LabelScores(_)) => (String::new(), false, Some("the engine answered with labels".to_owned())),
            Err(reason) => (String::new(), false, Some(reason.to_string())),
        };
        Generated {
            v: 1,
            id,
            seeds,
            prompt_sha256,
            text,
            truncated,
            error,
            prompt_tokens: cost.prompt_tokens.unwrap_or(tokens),
            generated_tokens: cost.generated_tokens,
            seconds: cost.seconds,
        }
    }
}

/// Candidates by id, without those that failed: they are tried again.
fn read_log(path: &Path) -> Result<HashMap<String, Generated>> {
    let lines = Lines::open(path, "log of candidates")?;
    let mut written = HashMap::new();
    lines.each(|line| {
        match serde_json::from_slice::<Generated>(line.bytes) {
            Ok(line) if line.error.is_none() => {
                written.insert(line.id.clone(), line);
            }
            Ok(_) => {}
            Err(_) if !line.ended || line.bytes.trim_ascii().is_empty() => {}
            Err(error) => {
                let at = format!("{}:{}: not a candidate: {error}", lines.name(), line.place.number);
                return Err(anyhow!(at)).hint("name another --output");
            }
        }
        Ok(())
    })?;
    Ok(written)
}
