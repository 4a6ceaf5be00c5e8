//! Any bytes as a file of an adapter's directory, the first byte saying which: an error with a reason or an adapter, never a crash.

#![no_main]

mod directory;

use libfuzzer_sys::fuzz_target;
use reels::qlora::adapter::{AdapterWeights, shape};
use reels::qlora::checkpoint::Checkpoint;
use reels::qlora::config::Config;

fuzz_target!(|bytes: &[u8]| {
    let base = directory::reference("export/tied/base");
    let mut config = Config::read(&base).unwrap();
    let checkpoint = Checkpoint::open(&base, &mut config).unwrap();
    let files = ["adapter_config.json", "adapter_model.safetensors"];
    let Some(folder) = directory::with("adapters/rank-pattern", &files, bytes) else { return };
    let _ = AdapterWeights::read(folder.path(), &config, &checkpoint);
    let _ = shape(folder.path());
});
