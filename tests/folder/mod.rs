//! A folder and the program in it, as its users run it.
#![allow(dead_code, reason = "not every test that shares this uses all of it")]

pub mod gal;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// A temporary one.
pub struct Folder(TempDir);

/// How a run ended, and what it printed.
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// The path of the bundled model.
pub fn model() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/gguf/reels-mini.gguf").to_owned()
}

impl Folder {
    pub fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    pub fn root(&self) -> &Path {
        self.0.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    pub fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Folder {
        std::fs::write(self.path(name), bytes).unwrap();
        self
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn read(&self, name: &str) -> String {
        String::from_utf8(self.bytes(name)).unwrap()
    }

    pub fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.bytes(name)).unwrap()
    }

    /// Of a file with an object a line.
    pub fn lines(&self, name: &str) -> Vec<Value> {
        self.read(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[track_caller]
    pub fn edit(&self, name: &str, edit: impl FnOnce(&str) -> String) {
        let text = self.read(name);
        let edited = edit(&text);
        assert_ne!(edited, text, "{name} is as it was");
        self.write(name, edited);
    }

    pub fn edit_json(&self, name: &str, edit: impl FnOnce(&mut Value)) {
        let mut json = self.json(name);
        edit(&mut json);
        self.write(name, json.to_string());
    }

    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).unwrap();
    }

    /// With arguments that have no spaces in them, and no settings from outside.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reels"));
        command.current_dir(self.root()).args(arguments.split_whitespace());
        let outside = |name: &str| {
            let ends = |end: &str| name.to_lowercase().ends_with(end);
            name.starts_with("REELS_") || name == "RUST_LOG" || name.starts_with("SSL_CERT_") || ends("_proxy")
        };
        for (name, _) in std::env::vars().filter(|(name, _)| outside(name)) {
            command.env_remove(name);
        }
        command
    }

    pub fn run(&self, arguments: &str) -> Run {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Run { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs and expects an exit code.
    #[track_caller]
    pub fn ends(&self, arguments: &str, code: i32) -> Run {
        let run = self.run(arguments);
        assert_eq!(run.code, code, "{arguments}: {}{}", run.out, run.err);
        run
    }

    #[track_caller]
    pub fn succeeds(&self, arguments: &str) -> Run {
        self.ends(arguments, 0)
    }

    /// What it says on stderr.
    #[track_caller]
    pub fn fails(&self, arguments: &str, code: i32) -> String {
        self.ends(arguments, code).err
    }
}
