//! Any bytes as a file of a base's directory, the first byte saying which: an error with a reason or a base, never a crash.

#![no_main]

mod directory;

use libfuzzer_sys::fuzz_target;
use reels::prompt::HubTokenizer;
use reels::qlora::checkpoint::Checkpoint;
use reels::qlora::config::Config;

fuzz_target!(|bytes: &[u8]| {
    let files = [
        "config.json",
        "model.safetensors",
        "model.safetensors.index.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "added_tokens.json",
        "chat_template.jinja",
    ];
    let Some(folder) = directory::with("export/tied/base", &files, bytes) else { return };
    if let Ok(mut config) = Config::read(folder.path())
        && let Ok(checkpoint) = Checkpoint::open(folder.path(), &mut config)
    {
        config.tensors().iter().for_each(|tensor| drop(checkpoint.read(&tensor.name)));
    }
    if let Ok(tokenizer) = HubTokenizer::read(folder.path()) {
        let _ = tokenizer.chat(folder.path());
    }
});
