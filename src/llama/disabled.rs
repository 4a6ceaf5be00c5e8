//! Stands in for llama.cpp in a build without it.

use std::path::Path;

use anyhow::{Result, anyhow};

use crate::config::EngineSettings;
use crate::error::Hint;
use crate::generator::{Bounds, Capabilities, Generator, Session};
use crate::gguf::Gguf;
use crate::prompt::{ChatFormat, Tokenizer};

/// What no model can do in this build.
pub const CAPABILITIES: Capabilities =
    Capabilities { tokens: true, label_scores: false, most_labels: 0, seed: false, logprobs: false };

/// There is nothing to tell.
pub fn described() -> Option<String> {
    None
}

/// Not known in this build.
pub fn memory_bytes(_gguf: &Gguf, _settings: &EngineSettings, _bounds: &Bounds) -> Option<u64> {
    None
}

/// Of no account in this build.
pub fn slides(_gguf: &Gguf) -> bool {
    false
}

/// Can't be made in this build.
pub enum Model {}

impl Model {
    /// # Errors
    /// Always: names the build that can.
    pub fn open(path: &Path, _adapter: Option<&Path>) -> Result<Model> {
        Err(anyhow!("{}: this build has no llama.cpp", path.display())
            .hint("build with the feature `infer`, which is on by default"))
    }

    /// Never called.
    pub fn gguf(&self) -> &Gguf {
        match *self {}
    }

    /// Never called.
    pub fn chat(&self) -> &ChatFormat {
        match *self {}
    }

    /// Never called.
    pub fn context_length(&self) -> usize {
        match *self {}
    }

    /// Never called.
    pub fn vocabulary(&self) -> &Vocabulary {
        match *self {}
    }

    /// Never called.
    pub fn load(&self, _settings: &EngineSettings, _bounds: &Bounds) -> Result<Engine> {
        match *self {}
    }
}

/// Can't be made in this build.
pub enum Vocabulary {}

impl Tokenizer for Vocabulary {
    fn encode(&self, _text: &str) -> Result<Vec<u32>> {
        match *self {}
    }
}

/// Can't be made in this build.
pub enum Engine {}

impl Generator for Engine {
    fn capabilities(&self) -> Capabilities {
        match *self {}
    }

    fn session(&mut self, _bounds: &Bounds) -> Result<Box<dyn Session + '_>> {
        match *self {}
    }
}
