//! Stands in for llama.cpp in a build without it.

use std::path::Path;

use anyhow::{Result, bail};

use crate::baseline::Baseline;
use crate::config::EngineSettings;
use crate::generator::Workload;
use crate::gguf::Gguf;
use crate::prompt::{ChatFormat, Tokenizer};

/// Can't be made in this build.
pub enum Model {}

impl Model {
    /// # Errors
    /// Always: names the build that can.
    pub fn open(path: &Path, _adapter: Option<&Path>) -> Result<Model> {
        bail!(
            "{}: this build has no llama.cpp\nhint: build with the feature `infer`, which is on by default",
            path.display()
        )
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
    pub fn load(&self, _settings: &EngineSettings, _workload: &Workload) -> Result<Baseline> {
        match *self {}
    }
}

impl Tokenizer for Model {
    fn encode(&self, _text: &str) -> Result<Vec<u32>> {
        match *self {}
    }
}
