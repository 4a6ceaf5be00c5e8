//! Any bytes as a model file: an error with a reason or a header, never a crash.

#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use reels::gguf::{problems, read_header, weights_problem};
use reels::prompt::{PromptSet, chat_problems};

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    if let Ok(gguf) = read_header(file.path()) {
        let _ = problems(&gguf);
        let _ = chat_problems(&gguf);
        let _ = weights_problem(&gguf);
        let _ = PromptSet::in_model(&gguf);
    }
});
