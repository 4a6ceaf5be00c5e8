//! Any bytes as an adapter file for a model: an error with a reason or a verdict, never a crash.

#![no_main]

use std::io::Write;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use reels::gguf::{adapter_problems, read_header};

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let model = read_header(&Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/gguf_header/seed-model.gguf")).unwrap();
    if let Ok(adapter) = read_header(file.path()) {
        for model in [None, Some(&model)] {
            let _ = adapter_problems(&adapter, model);
        }
    }
});
