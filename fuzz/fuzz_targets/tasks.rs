//! Any bytes as `tasks.toml` of a set of prompts: an error with a reason or prompts, never a crash.

#![no_main]

mod prompts;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| prompts::with("tasks.toml", bytes));
