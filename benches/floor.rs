//! The floor under `reels predict`: a bare decode loop over just the tokens that have to be computed, with no prompts,
//! no labels and no sampling. What `reels` takes beyond it is what its own work costs.
//!
//!     cargo bench --profile dev --bench floor -- MODEL.gguf [key=value …]
//!
//! Keys, in tokens unless said otherwise: reels (16, a count), width (8, Reels at once), prefix (100, shared by all),
//! prefill (760 a Reel), logits (41 a Reel, rows of the prefill whose distribution is computed), generate (96 a Reel),
//! ubatch (512), threads (all).

use std::num::NonZeroU32;
use std::time::Instant;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::{LogOptions, send_logs_to_tracing};

struct Work {
    reels: usize,
    width: usize,
    prefix: usize,
    prefill: usize,
    logits: usize,
    generate: usize,
    ubatch: usize,
}

fn main() {
    // `cargo bench` adds --bench.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let Some(model) = args.first() else {
        eprintln!("skipped: name a model, see the head of benches/floor.rs");
        return;
    };
    let number = |key: &str, default: usize| {
        let given = args.iter().find_map(|arg| arg.strip_prefix(key)?.strip_prefix('='));
        given.map_or(default, |value| value.parse().expect("a number"))
    };
    let work = Work {
        reels: number("reels", 16),
        width: number("width", 8),
        prefix: number("prefix", 100),
        prefill: number("prefill", 760),
        logits: number("logits", 41),
        generate: number("generate", 96),
        ubatch: number("ubatch", 512),
    };
    let threads = number("threads", std::thread::available_parallelism().map_or(1, usize::from));
    send_logs_to_tracing(LogOptions::default().with_logs_enabled(false));
    let backend = LlamaBackend::init().expect("llama.cpp");
    let model = LlamaModel::load_from_file(&backend, model, &LlamaModelParams::default()).expect("the model");
    let cells = (work.width + 1) * (work.prefix + work.prefill + work.generate);
    let params = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(cells.next_multiple_of(256) as u32))
        .with_n_batch(work.ubatch as u32)
        .with_n_ubatch(work.ubatch as u32)
        .with_n_seq_max(work.width as u32 + 1)
        .with_kv_unified(true)
        .with_n_threads(threads as i32)
        .with_n_threads_batch(threads as i32)
        .with_flash_attention_policy(1);
    let mut context = model.new_context(&backend, params).expect("a context");
    let mut batch = LlamaBatch::new(work.ubatch, 1);
    prefill(&mut context, &mut batch, 0, 0, work.prefix, 0, work.ubatch);

    let started = Instant::now();
    let mut left = work.reels;
    while left > 0 {
        let width = left.min(work.width);
        for sequence in 1..=width as i32 {
            context.kv_cache_seq_cp(0, sequence, Some(0), Some(work.prefix as u32)).expect("seq_cp");
            prefill(&mut context, &mut batch, sequence, work.prefix, work.prefill, work.logits, work.ubatch);
        }
        for step in 0..work.generate {
            batch.clear();
            for sequence in 1..=width as i32 {
                let position = work.prefix + work.prefill + step;
                batch.add(token(position), position as i32, &[sequence], true).expect("room");
            }
            context.decode(&mut batch).expect("decode");
        }
        for sequence in 1..=width as i32 {
            context.kv_cache_seq_rm(sequence, None, None).expect("seq_rm");
        }
        left -= width;
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("{{\"floor_reels_per_second\":{:.4},\"seconds\":{seconds:.2}}}", work.reels as f64 / seconds);
}

/// Computes `count` tokens of a sequence from `start` on, the distribution for the last `logits` of them.
fn prefill(
    context: &mut LlamaContext,
    batch: &mut LlamaBatch,
    sequence: i32,
    start: usize,
    count: usize,
    logits: usize,
    ubatch: usize,
) {
    let positions: Vec<usize> = (start..start + count).collect();
    for chunk in positions.chunks(ubatch) {
        batch.clear();
        for &position in chunk {
            let wanted = position >= start + count - logits;
            batch.add(token(position), position as i32, &[sequence], wanted).expect("room");
        }
        context.decode(batch).expect("decode");
    }
}

/// Any ordinary token.
fn token(position: usize) -> LlamaToken {
    LlamaToken((position * 7919 % 5000) as i32 + 200)
}
