//! Stands in for llama.cpp in a build without it.

use std::path::Path;

use anyhow::{Result, bail};

use crate::config::EngineSettings;
use crate::generator::{Answer, Generator, Job, Workload};
use crate::gguf::Gguf;
use crate::prompt::{ChatFormat, Tokenizer};

/// Not known in this build.
pub fn memory_bytes(_gguf: &Gguf, _settings: &EngineSettings, _workload: &Workload) -> Option<u64> {
    None
}

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
    pub fn load(&self, _settings: &EngineSettings, _workload: &Workload) -> Result<Engine> {
        match *self {}
    }
}

impl Tokenizer for Model {
    fn encode(&self, _text: &str) -> Result<Vec<u32>> {
        match *self {}
    }
}

/// Can't be made in this build.
pub enum Engine {}

impl Generator for Engine {
    fn run(
        &mut self,
        _jobs: &mut dyn Iterator<Item = Result<Job>>,
        _done: &mut dyn FnMut(Answer) -> Result<()>,
    ) -> Result<()> {
        match *self {}
    }
}
