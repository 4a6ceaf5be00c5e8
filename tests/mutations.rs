//! Damaged files: 10,000 mutations each of headers, adapter files, base directories, adapter directories, records, predictions
//! and settings through every loader, and what passes through llama.cpp. Each must give an error with a reason or a usable result, without a crash and
//! without a large allocation. The variable `MUTATIONS` takes more; `fuzz/` looks for them guided by coverage.

use std::alloc::{GlobalAlloc, Layout, System};
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reels::ask::Records;
use reels::config::{EvalOverrides, SettingsFile, TrainOverrides};
use reels::gguf;
use reels::lines::Lines;
use reels::prompt::{HubTokenizer, PromptSet, chat_problems};
use reels::qlora::adapter::AdapterWeights;
use reels::qlora::checkpoint::Checkpoint;
use reels::qlora::config::Config;
use reels::reel::Reel;
use reels::score::Join;

/// Remembers the largest allocation.
struct Watched;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LARGEST.fetch_max(size, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

/// The largest allocation is everybody's, so tests that look at it run one by one.
static ALONE: Mutex<()> = Mutex::new(());

/// Buffers of fixed size and tables of few entries; the rest follows the file's size.
const FIXED: usize = 1 << 20;

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/export/tied")
}

/// A few bytes set, bits flipped, lengths made huge, parts cut out, doubled or cut off. Most within the first `header`.
fn mutated(bytes: &[u8], header: usize, random: &mut impl Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..random.random_range(1..4) {
        if bytes.len() < 16 {
            break;
        }
        let within = if random.random_bool(0.9) { header.min(bytes.len()) } else { bytes.len() };
        let at = random.random_range(0..within - 8);
        match random.random_range(0..7) {
            0 => bytes[at] = random.random(),
            1 => bytes[at] ^= 1 << random.random_range(0..8),
            2 => bytes[at..at + 8].copy_from_slice(&(1u64 << random.random_range(8..64)).to_le_bytes()),
            3 => bytes[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes()),
            4 => {
                let length = random.random_range(1..64.min(bytes.len() - at));
                bytes.drain(at..at + length);
            }
            5 => {
                let length = random.random_range(1..64.min(bytes.len() - at));
                let copy = bytes[at..at + length].to_vec();
                bytes.splice(at..at, copy);
            }
            _ => bytes.truncate(random.random_range(0..bytes.len())),
        }
    }
    bytes
}

/// Reads mutations of a file; how many gave an error, and the largest allocation beyond the file's size.
fn errors(
    path: &Path,
    (header, count): (usize, u64),
    read: impl Fn() -> anyhow::Result<()> + std::panic::RefUnwindSafe,
) -> (u64, usize) {
    let whole = std::fs::read(path).unwrap();
    let (mut failed, mut beyond) = (0, 0);
    for index in 0..count {
        let mut random = ChaCha8Rng::seed_from_u64(9);
        random.set_stream(index);
        let bytes = mutated(&whole, header, &mut random);
        // As another file: the bytes of one that is mapped are never changed.
        std::fs::remove_file(path).unwrap();
        std::fs::write(path, &bytes).unwrap();
        LARGEST.store(0, Ordering::Relaxed);
        let result = catch_unwind(&read).unwrap_or_else(|_| panic!("{}: mutation {index} panics", path.display()));
        beyond = beyond.max(LARGEST.load(Ordering::Relaxed).saturating_sub(bytes.len().max(whole.len())));
        if let Err(error) = result {
            assert!(format!("{error:#}").len() > 10, "mutation {index}: {error:#}");
            failed += 1;
        }
    }
    std::fs::write(path, &whole).unwrap();
    eprintln!("{}: {failed} of {count} are errors, largest allocation {beyond} beyond the size", path.display());
    (failed, beyond)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn the_fuzzing_corpus_is_judged_without_a_crash() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/gguf_header");
    for (name, wrong) in
        [("seed-model", false), ("seed-adapter", false), ("seed-truncated", true), ("seed-huge-count", true)]
    {
        let found = reels::doctor::model(&corpus.join(format!("{name}.gguf")), None);
        let errors = found.iter().filter(|finding| finding.severity == reels::doctor::Severity::Error).count();
        assert_eq!(errors > 0, wrong, "{name}: {found:?}");
    }
}

#[test]
fn damaged_files_give_errors() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let scratch = tempfile::tempdir().unwrap();
    let (base, adapter) = (scratch.path().join("base"), scratch.path().join("adapter"));
    copy(&reference().join("base"), &base);
    copy(&reference().join("adapter"), &adapter);
    let model = scratch.path().join("a.gguf");
    let export = |directory: &Path, flags: &[&str], output: &Path| {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("reels"));
        command.arg("export").arg(directory).args(flags).args(["--no-verify", "--output"]).arg(output);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    export(&base, &["--quant", "f32"], &model);
    let lora = scratch.path().join("lora.gguf");
    export(&adapter, &["--base", base.to_str().unwrap(), "--adapter"], &lora);
    let header = gguf::read_header(&model).unwrap().tensors["token_embd.weight"].offset as usize;

    let many: u64 = std::env::var("MUTATIONS").map_or(10_000, |count| count.parse().unwrap());
    let computed = |adapter: Option<&Path>| {
        let stop = reels::stop::Stop::default();
        reels::llama::logits(&model, adapter, &[vec![3, 65, 77]], &[vec![2]], 1, &stop).map(|_| ())
    };
    // The header alone, as doctor looks at it; only here is nobody else allocating.
    let (failed, beyond) = errors(&model, (header, many), || {
        let gguf = gguf::read_header(&model)?;
        let _ = gguf.added_tokens();
        PromptSet::in_model(&gguf)?;
        gguf::check_language_model(&gguf)
    });
    assert!(failed > many / 2 && beyond <= FIXED, "{failed} {beyond}");
    let (failed, _) = errors(&model, (header, many), || {
        let gguf = gguf::read_header(&model)?;
        if let Some(problem) =
            gguf::problems(&gguf).into_iter().chain(chat_problems(&gguf)).find(|problem| !problem.runs)
        {
            anyhow::bail!("{}: {}", problem.what, problem.why);
        }
        // What passes goes to llama.cpp, which ends the program where it can't cope.
        reels::llama::Model::open(&model, None)?;
        computed(None)
    });
    assert!(failed > many / 2);
    let (failed, _) = errors(&lora, (6000, many), || {
        reels::llama::Model::open(&model, Some(&lora))?;
        computed(Some(&lora))
    });
    assert!(failed > many / 2);

    let mut config = Config::read(&base).unwrap();
    let checkpoint = Checkpoint::open(&base, &mut config).unwrap();
    let weights = base.join("model.safetensors");
    let (failed, beyond) = errors(&weights, (3200, many * 3 / 10), || {
        let checkpoint = Checkpoint::open(&base, &mut config.clone())?;
        config.tensors().iter().try_for_each(|tensor| checkpoint.read(&tensor.name).map(|_| ()))
    });
    assert!(failed > many / 10 && beyond <= FIXED, "{failed} {beyond}");
    for (name, header) in [("adapter_model.safetensors", 2400), ("adapter_config.json", 1 << 20)] {
        let (failed, beyond) = errors(&adapter.join(name), (header, many / 2), || {
            AdapterWeights::read(&adapter, &config, &checkpoint).map(|_| ())
        });
        assert!(failed > many / 10 && beyond <= FIXED, "{name}: {failed} {beyond}");
    }
    for (name, share) in [("config.json", 3), ("tokenizer.json", 3), ("tokenizer_config.json", 1)] {
        let (failed, beyond) = errors(&base.join(name), (1 << 20, many * share / 10), || {
            let mut config = Config::read(&base)?;
            Checkpoint::open(&base, &mut config)?;
            let tokenizer = HubTokenizer::read(&base)?;
            tokenizer.chat(&base)?;
            reels::export::vocabulary::Vocabulary::read(&base, &config).map(|_| ())
        });
        assert!(failed > 0 && beyond <= FIXED, "{name}: {failed} {beyond}");
    }
    damaged_data(scratch.path(), many);
}

/// Part of the test above, as only one may look at the allocator at a time.
fn damaged_data(folder: &Path, many: u64) {
    const DATA: &str = concat!(
        "{\"id\":\"a\",\"account\":\"x\",\"posted_at\":\"2025-01-09T23:31:15Z\",\"duration_s\":\"0:41\",\"likes\":\"1,2 rb\",\"plays\":NaN,",
        "\"caption\":\"kaf\\u00e9 \\ud83d\",\"hashtags\":\"#a #b\",\"transcript\":\"Soto enak. Datang ya.\",\"reference\":{\"summary\":[\"Soto.\",\"Enak.\"],\"ad\":\"iklan\"}}\n",
        "{\"id\":\"b\",\"likes\":-1,\"transcript\":\"[Musik]\",\"soft\":{\"ad\":{\"iklan\":0.5,\"bukan iklan\":0.5}},\"source\":{\"b\":[1,{}],\"a\":null},\"like\":2}\n",
    );
    let prompts = PromptSet::embedded().unwrap();
    let data = folder.join("data.jsonl");
    std::fs::write(&data, DATA).unwrap();
    let (failed, beyond) = errors(&data, (1 << 20, many), || {
        let records = Records::open_for(Some(&data), &prompts.tasks)?;
        records.reels()?;
        records.problems.refuse_unusable()
    });
    assert!(failed > many / 4 && beyond <= FIXED, "{failed} {beyond}");

    let records = Records::open_for(Some(&data), &prompts.tasks).unwrap();
    let predictions = folder.join("predictions.jsonl");
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("reels"));
    command
        .args(["predict", "--model", "baseline:lead-1", "--data"])
        .arg(&data)
        .arg("--output")
        .arg(folder.join("out"));
    assert!(command.output().unwrap().status.success());
    std::fs::copy(folder.join("out/predictions.jsonl"), &predictions).unwrap();
    let (failed, beyond) = errors(&predictions, (1 << 20, many), || {
        reels::prediction::read_predictions(&predictions)?;
        let lines = Lines::open(&predictions, "predictions")?;
        Join::new(&lines, &records.lines, &prompts.tasks).map(|_| ())
    });
    assert!(failed > many / 4 && beyond <= FIXED, "{failed} {beyond}");

    let settings = folder.join("reels.toml");
    std::fs::write(
        &settings,
        "[eval]\nwidth = 4\nfail_under = [\"ad.macro_f1=0.8\"]\ntop_p = 0.5\n\n[train]\nlr = 1e-4\nsteps = 2\n",
    )
    .unwrap();
    let (failed, beyond) = errors(&settings, (1 << 20, many), || {
        let file = SettingsFile::read(Some(&settings))?;
        file.add("eval", EvalOverrides::default())?.resolve()?;
        file.add("train", TrainOverrides::default())?.filled().map(|_| ())
    });
    assert!(failed > many / 4 && beyond <= FIXED, "{failed} {beyond}");
}

/// What templates and `tasks.toml` are made of, put where it doesn't belong.
const WORDS: [&str; 32] = [
    "{% block task %}",
    "{% endblock %}",
    "{% block user %}",
    "{% extends \"base.jinja\" %}",
    "{% include \"ad.jinja\" %}",
    "{% import \"base.jinja\" as b %}",
    "{% from \"ad.jinja\" import number %}",
    "{% if reel.likes %}",
    "{% endif %}",
    "{% for a in range(99999) %}",
    "{% for a in reel.hashtags recursive %}{{ loop(reel.hashtags) }}",
    "{% endfor %}",
    "{% set x = reel.transcript * 9999 %}",
    "{% macro number(value) %}{{ number(value) }}",
    "{% endmacro %}",
    "{{ super() }}",
    "{{ self.task() }}",
    "{{ reel.caption | replace(\"\", \"xxxxxxxx\") }}",
    "{{ \"%99999999d\" | format(1) }}",
    "{{ task.labels | join(\" \") }}",
    "{{",
    "}}",
    "{#",
    "| map(\"upper\")",
    "\r\n",
    "\u{feff}",
    "[task.ad.label_alias]\n",
    "promosi = \"iklan\"\n",
    "labels = [\"a\", \"b\"]\n",
    "template = \"base.jinja\"\n",
    "max_tokens = 9223372036854775807\n",
    "positive = \"iklan\"\n",
];

/// A few parts cut out or doubled, and words put in.
fn rewritten(text: &str, random: &mut impl Rng) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..random.random_range(1..5) {
        let at = random.random_range(0..=bytes.len());
        let length = random.random_range(0..=(bytes.len() - at).min(40));
        match random.random_range(0..4) {
            0 => drop(bytes.drain(at..at + length)),
            1 => drop(bytes.splice(at..at, bytes[at..at + length].to_vec())),
            _ => drop(bytes.splice(at..at, WORDS[random.random_range(0..WORDS.len())].bytes())),
        }
    }
    bytes
}

#[test]
fn damaged_prompts_give_errors_or_prompts() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // Two templates together, and tasks half as often.
    let many = std::env::var("MUTATIONS").map_or(10_000, |count| count.parse::<u64>().unwrap()) / 2;
    let folder = tempfile::tempdir().unwrap();
    let whole = PromptSet::embedded().unwrap();
    whole.write_to(folder.path()).unwrap();
    let unknown = Reel::default();
    let known =
        Reel { transcript: Some("kopi susu".into()), likes: Some(3), hashtags: vec!["a".into()], ..Reel::default() };
    for (name, text) in whole.files().filter(|(name, _)| ["tasks.toml", "base.jinja", "ad.jinja"].contains(name)) {
        let (mut opened, mut rendered, mut longest) = (0, 0, Duration::ZERO);
        LARGEST.store(0, Ordering::Relaxed);
        for index in 0..many {
            let mut random = ChaCha8Rng::seed_from_u64(22);
            random.set_stream(index);
            let bytes = if random.random_bool(0.2) {
                mutated(text.as_bytes(), text.len(), &mut random)
            } else {
                rewritten(text, &mut random)
            };
            std::fs::write(folder.path().join(name), bytes).unwrap();
            let began = Instant::now();
            let read = || match PromptSet::find(Some(folder.path())) {
                Ok(set) => {
                    let prompts = [&known, &unknown]
                        .into_iter()
                        .flat_map(|reel| set.tasks.iter().map(|task| set.render(reel, task)).collect::<Vec<_>>());
                    let made = prompts.filter(Result::is_ok).count();
                    set.warnings();
                    Some(made > 0)
                }
                Err(error) => {
                    assert!(format!("{error:#}").len() > 10, "mutation {index}: {error:#}");
                    None
                }
            };
            let made = catch_unwind(read).unwrap_or_else(|_| panic!("{name}: mutation {index} panics"));
            longest = longest.max(began.elapsed());
            opened += u64::from(made.is_some());
            rendered += u64::from(made == Some(true));
        }
        let largest = LARGEST.load(Ordering::Relaxed);
        eprintln!(
            "{name}: of {many} {opened} open and {rendered} render, {longest:?} at most, largest allocation {largest}"
        );
        assert!(rendered > many / 50 && opened < many, "{name}: {opened} {rendered}");
        assert!(longest < Duration::from_secs(5) && largest < 64 << 20, "{name}: {longest:?} {largest}");
        std::fs::write(folder.path().join(name), text).unwrap();
    }
}
