//! The machine: what the build makes use of, and what limits there are.

use std::path::Path;

use super::Finding;
use crate::run::{available_memory, free_bytes, size};

/// What is found out about this machine, and about the disk that holds a folder.
pub fn machine(folder: &Path) -> Vec<Finding> {
    [Some(instructions()), Some(cores()), memory(), disk(folder), Some(super::gpu::gpu())]
        .into_iter()
        .flatten()
        .collect()
}

/// Instruction sets that the CPU has: their name, and whether this build uses them.
#[cfg(target_arch = "x86_64")]
fn instruction_sets() -> Vec<(&'static str, bool)> {
    let all = [
        ("AVX2", std::is_x86_feature_detected!("avx2"), cfg!(target_feature = "avx2")),
        ("FMA", std::is_x86_feature_detected!("fma"), cfg!(target_feature = "fma")),
        ("AVX-512", std::is_x86_feature_detected!("avx512f"), cfg!(target_feature = "avx512f")),
        ("AVX-512 VNNI", std::is_x86_feature_detected!("avx512vnni"), cfg!(target_feature = "avx512vnni")),
        ("AVX-512 BF16", std::is_x86_feature_detected!("avx512bf16"), cfg!(target_feature = "avx512bf16")),
    ];
    all.into_iter().filter(|(_, has, _)| *has).map(|(name, _, used)| (name, used)).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn instruction_sets() -> Vec<(&'static str, bool)> {
    vec![]
}

fn instructions() -> Finding {
    let sets = instruction_sets();
    let names = |used: bool| {
        sets.iter().filter(|(_, each)| *each == used).map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    };
    let cpu = crate::run::machine().cpu.unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    if sets.iter().all(|(_, used)| *used) {
        return Finding::ok("cpu", format!("{cpu}; this build uses {}", names(true)));
    }
    Finding::warning(
        "cpu",
        format!("{cpu} has {}, which this build doesn't use", names(false)),
        "it was built for another or for any machine, and is slower than it could be",
        "build it here: RUSTFLAGS=\"-C target-cpu=native\" cargo install --path .",
    )
}

fn cores() -> Finding {
    let usable = std::thread::available_parallelism().map_or(1, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let all = info.lines().filter(|line| line.starts_with("processor")).count().max(usable);
    if usable < all {
        return Finding::ok("cores", format!("{usable} of {all}: affinity or a control group limits them"));
    }
    Finding::ok("cores", format!("{usable}"))
}

fn memory() -> Option<Finding> {
    let free = available_memory()?;
    let what = format!("{} free", size(free));
    if free < 1 << 30 {
        return Some(Finding::warning(
            "memory",
            what,
            "only small models fit",
            "end other programs, or raise the limit",
        ));
    }
    Some(Finding::ok("memory", what))
}

fn disk(folder: &Path) -> Option<Finding> {
    let free = free_bytes(folder)?;
    let what = format!("{} free in {}", size(free), folder.display());
    if free < 2 << 30 {
        return Some(Finding::warning(
            "disk",
            what,
            "exports and checkpoints of real models take more",
            "free some space, or write elsewhere",
        ));
    }
    Some(Finding::ok("disk", what))
}

/// Bytes a second that all threads together read from memory, roughly.
pub(super) fn bandwidth() -> f64 {
    use rayon::prelude::*;
    const BYTES: usize = 256 << 20;
    let data = vec![1u64; BYTES / 8];
    let read = || data.par_chunks(1 << 16).map(|chunk| chunk.iter().fold(0u64, |sum, value| sum ^ value)).max();
    std::hint::black_box(read());
    let started = std::time::Instant::now();
    std::hint::black_box(read());
    BYTES as f64 / started.elapsed().as_secs_f64()
}
