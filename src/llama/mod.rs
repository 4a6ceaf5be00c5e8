//! llama.cpp: the only place that knows it.
//!
//! [`Model::open`] reads header and vocabulary, enough to render prompts; [`Model::load`] plans memory and loads the
//! weights; the sessions of an [`Engine`] then answer jobs, one prefill a Reel.

mod decode;
mod engine;
#[cfg(test)]
mod finite_tests;
#[cfg(target_arch = "x86_64")]
mod kernels;
mod log;
mod logits;
mod member;
mod plan;
mod prefill;
mod quantise;
mod repetition;
mod sample;
mod session;
mod text;
mod transfer;
mod tree;
mod trunk;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;

pub use engine::Engine;
pub use logits::logits;
pub use plan::{memory_bytes, slides};
pub use quantise::{ImportanceMatrix, quantise};

use self::plan::Planner;
use crate::config::{EngineSettings, KvType};
use crate::error::{Hint, environment};
use crate::generator::{Bounds, Capabilities};
use crate::gguf::{self, Gguf};
use crate::prompt::{ChatFormat, Tokenizer, chat_of, chat_problems};

const DETAILS: &str = "RUST_LOG=llama_cpp=debug shows all that llama.cpp says";
/// llama.cpp keeps sequence sets as bit sets of this size (LLAMA_MAX_SEQ).
const MAX_SEQUENCES: usize = 256;

/// What every model file can do.
pub const CAPABILITIES: Capabilities =
    // The path that prompts share takes a sequence.
    Capabilities { tokens: true, label_scores: true, most_labels: MAX_SEQUENCES - 1, seed: true, logprobs: true };

/// What computes, for `reels --version`.
pub fn described() -> Option<String> {
    #[cfg(target_arch = "x86_64")]
    let ours = if kernels::available() { "with our products for AVX-512 VNNI" } else { "with its own products" };
    #[cfg(not(target_arch = "x86_64"))]
    let ours = "with its own products";
    Some(format!("llama.cpp, as llama-cpp-sys-2 0.1.161 brings it, {ours}"))
}

/// A model file whose header is checked and whose vocabulary is read; no weights yet.
pub struct Model {
    path: PathBuf,
    adapter: Option<PathBuf>,
    gguf: Gguf,
    vocabulary: Vocabulary,
    chat: ChatFormat,
}

/// A model's tokenizer, for any thread.
#[derive(Clone)]
pub struct Vocabulary {
    /// Only the vocabulary until the weights are loaded, then all of the model: a second copy would take tens of megabytes.
    model: Arc<RwLock<Arc<LlamaModel>>>,
}

impl Model {
    /// Opens a model, and an adapter for it.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn open(path: &Path, adapter: Option<&Path>) -> Result<Model> {
        let mut gguf = gguf::read_header(path)?;
        gguf::check_language_model(&gguf)?;
        if let Some(problem) = chat_problems(&gguf).into_iter().next() {
            bail!(anyhow!("{}: {}: {}", path.display(), problem.what, problem.why).hint(problem.hint));
        }
        if let Some(adapter) = adapter {
            gguf::check_adapter(&gguf::read_header(adapter)?, &gguf)?;
        }
        // All but the weights: llama.cpp looks for every tensor, too.
        let params = LlamaModelParams::default().with_n_gpu_layers(0).with_no_alloc(true);
        let model = load_file(path, &params)
            .map_err(|reason| anyhow!("{}: llama.cpp can't load it: {reason}", path.display()).hint(DETAILS))?;
        let chat = chat_of(&gguf, model.vocab().should_add_bos()).with_context(|| format!("{}", path.display()))?;
        // The vocabulary has these; a copy would take tens of megabytes.
        gguf.metadata.retain(|_, value| value.as_array().is_none());
        let vocabulary = Vocabulary { model: Arc::new(RwLock::new(Arc::new(model))) };
        let end = chat.end_token(&vocabulary)?;
        ensure!(
            vocabulary.now().vocab().is_eog(LlamaToken(end as i32)),
            anyhow!("{}: the template ends answers with token {end}, and llama.cpp wouldn't", path.display()).hint(
                format!(
                    "`gguf-set-metadata {} tokenizer.ggml.eos_token_id {end}` (pip install gguf) corrects it",
                    path.display()
                )
            )
        );
        Ok(Model { path: path.to_owned(), adapter: adapter.map(Path::to_owned), gguf, vocabulary, chat })
    }

    /// What the file says about itself, but for arrays.
    pub fn gguf(&self) -> &Gguf {
        &self.gguf
    }

    /// How a conversation looks to this model.
    pub fn chat(&self) -> &ChatFormat {
        &self.chat
    }

    /// Positions the model was trained for.
    pub fn context_length(&self) -> usize {
        self.gguf.hyperparameter("context_length").unwrap_or_default() as usize
    }

    /// Its tokenizer.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Plans memory for a session, then loads the weights.
    ///
    /// # Errors
    /// Of the environment, with the numbers when it doesn't fit, or with llama.cpp's reason.
    pub fn load(&self, settings: &EngineSettings, bounds: &Bounds) -> Result<Engine> {
        let heads = self.gguf.head_sizes();
        ensure!(
            settings.kv_type != KvType::Q8_0 || heads.iter().all(|size| size.is_multiple_of(32)),
            anyhow!(
                "--kv-type q8_0 takes heads of 32 values or a multiple, and those of {} have {}",
                self.path.display(),
                heads[0]
            )
            .hint("leave it out: f16 is the default")
        );
        let adapter_bytes = self.adapter.as_ref().and_then(|path| path.metadata().ok()).map_or(0, |meta| meta.len());
        let planner = Planner::new(&self.gguf, adapter_bytes, settings, crate::run::available_memory());
        planner.plan(bounds)?;
        if planner.alone && !settings.reproducible {
            tracing::warn!(
                "{}: its attention slides over the text, so texts are written one at a time",
                self.path.display()
            );
        }
        let mut model = load_file(&self.path, &LlamaModelParams::default().with_n_gpu_layers(0))
            .map_err(|reason| failed(&format!("{}: llama.cpp can't load it", self.path.display()), &reason))?;
        let adapter = self.adapter.as_ref().map(|path| {
            model
                .lora_adapter_init(path)
                .map_err(|error| failed(&format!("{}: llama.cpp can't load this adapter", path.display()), &error))
        });
        let adapter = adapter.transpose()?;
        let model = Arc::new(model);
        *self.vocabulary.model.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&model);
        Ok(Engine::new(model, adapter, planner))
    }
}

impl Vocabulary {
    fn now(&self) -> Arc<LlamaModel> {
        Arc::clone(&self.model.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Tokenizer for Vocabulary {
    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        ensure!(i32::try_from(text.len()).is_ok(), "a text of {} bytes is too long to tokenise", text.len());
        let tokens = self.now().vocab().tokenize(text.as_bytes(), false, true);
        Ok(tokens.into_iter().map(|token| token.0 as u32).collect())
    }
}

/// Loads a file, or gives llama.cpp's reason why it can't be.
fn load_file(path: &Path, params: &LlamaModelParams) -> Result<LlamaModel, String> {
    let backend = backend().map_err(|error| error.to_string())?;
    log::take_error();
    LlamaModel::load_from_file(backend, path, params).map_err(|error| reason(&error))
}

/// Why llama.cpp failed; the bindings know that it did, and seldom why.
fn reason(error: &dyn Display) -> String {
    log::take_error().unwrap_or_else(|| error.to_string())
}

/// A failure of the environment with llama.cpp's reason.
fn failed(what: &str, error: &dyn Display) -> Error {
    environment(format!("{what}: {}", reason(error))).hint(DETAILS)
}

/// llama.cpp's process-wide state with our kernels, made on first use; its messages go to `tracing`.
///
/// # Errors
/// When llama.cpp doesn't start.
pub fn backend() -> Result<&'static LlamaBackend> {
    static BACKEND: OnceLock<Result<LlamaBackend, String>> = OnceLock::new();
    let backend = BACKEND.get_or_init(|| {
        log::install();
        let backend = LlamaBackend::init().map_err(|error| error.to_string())?;
        #[cfg(target_arch = "x86_64")]
        kernels::install();
        Ok(backend)
    });
    backend.as_ref().map_err(|error| environment(format!("llama.cpp doesn't start: {error}")))
}
