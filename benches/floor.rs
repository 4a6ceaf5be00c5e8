//! The floor under `reels predict`: a bare decode loop over just the tokens that have to be computed, with the same
//! contexts and kernels, but no prompts, no labels, no sampling and nothing moved. What `reels` takes beyond it is what
//! its own work costs.
//!
//!     cargo bench --profile dev --bench floor -- MODEL.gguf [key=value …]
//!
//! Keys, in tokens unless said otherwise: reels (16, a count), width (16, Reels at once), prefix (104, shared by all),
//! prefill (762 a Reel), logits (49 a Reel, rows of the prefill whose distribution is computed), generate (96 a Reel),
//! ubatch (512), threads (all).

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;

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
    let (reels, width) = (number("reels", 16), number("width", 16));
    let (prefix, prefill, logits) = (number("prefix", 104), number("prefill", 762), number("logits", 49));
    let (generate, ubatch) = (number("generate", 96), number("ubatch", 512));
    let threads = number("threads", std::thread::available_parallelism().map_or(1, usize::from));

    let backend = reels::llama::backend().expect("llama.cpp");
    let model = LlamaModel::load_from_file(backend, model, &LlamaModelParams::default()).expect("the model");
    let context = |streams: usize, cells: usize, batch: usize| {
        let cells = streams * cells.next_multiple_of(256);
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(cells as u32))
            .with_n_batch(batch as u32)
            .with_n_ubatch(batch as u32)
            .with_n_seq_max(streams as u32)
            .with_kv_unified(false)
            .with_n_threads(threads as i32)
            .with_n_threads_batch(threads as i32)
            .with_flash_attention_policy(1);
        model.new_context(backend, params).expect("a context")
    };
    let mut prefilling = context(1, prefix + prefill, ubatch);
    let mut decoding = context(width, prefix + prefill + generate, ubatch);
    compute(&mut prefilling, 0, 0..prefix, 0, ubatch);
    for stream in 0..width as i32 {
        compute(&mut decoding, stream, 0..prefix + prefill, 0, ubatch);
    }

    let (mut prefill_time, mut decode_time) = (Duration::ZERO, Duration::ZERO);
    let mut batch = LlamaBatch::new(width, 1);
    let mut left = reels;
    while left > 0 {
        let width = left.min(width);
        let started = Instant::now();
        for _ in 0..width {
            compute(&mut prefilling, 0, prefix..prefix + prefill, logits, ubatch);
            prefilling.kv_cache_seq_rm(0, Some(prefix as u32), None).expect("seq_rm");
        }
        prefill_time += started.elapsed();
        let started = Instant::now();
        for position in prefix + prefill..prefix + prefill + generate {
            batch.clear();
            for stream in 0..width as i32 {
                batch.add(token(position), position as i32, &[stream], true).expect("room");
            }
            decoding.decode(&mut batch).expect("decode");
        }
        decode_time += started.elapsed();
        for stream in 0..width as i32 {
            decoding.kv_cache_seq_rm(stream, Some((prefix + prefill) as u32), None).expect("seq_rm");
        }
        left -= width;
    }
    let seconds = (prefill_time + decode_time).as_secs_f64();
    println!(
        "{{\"floor_reels_per_second\":{:.4},\"prefill_seconds\":{:.2},\"decode_seconds\":{:.2}}}",
        reels as f64 / seconds,
        prefill_time.as_secs_f64(),
        decode_time.as_secs_f64()
    );
}

/// Computes the tokens of a sequence at some positions, the distribution for the last `logits` of them.
fn compute(context: &mut LlamaContext, sequence: i32, positions: std::ops::Range<usize>, logits: usize, ubatch: usize) {
    let first_wanted = positions.end - logits;
    let positions: Vec<usize> = positions.collect();
    let mut batch = LlamaBatch::new(ubatch, 1);
    for chunk in positions.chunks(ubatch) {
        batch.clear();
        for &position in chunk {
            batch.add(token(position), position as i32, &[sequence], position >= first_wanted).expect("room");
        }
        context.decode(&mut batch).expect("decode");
    }
}

/// Any ordinary token.
fn token(position: usize) -> LlamaToken {
    LlamaToken((position * 7919 % 5000) as i32 + 200)
}
