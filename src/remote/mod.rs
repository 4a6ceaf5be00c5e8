//! Models that somebody else runs, asked by OpenAI's chat completions: whatever speaks that answers like any other engine.
//!
//! ```text
//!     Endpoint ── Session: a job ─► Pace: when ─► Spending: noted ─► Client: a request, by a thread of its own
//!                                                                      │ Reply or Failure
//!                    Event ◄── labels from log-probabilities, or text ◄┘
//! ```
//!
//! A request is noted before it goes (`Spending`), so that no end of the program loses count of what was paid for.

mod client;
mod failure;
mod labels;
mod outcome;
mod pace;
mod reply;
mod request;
mod session;
mod spending;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow, ensure};

use self::client::Client;
use self::reply::is_model;
use self::session::RemoteSession;
use self::spending::Spending;
pub use self::spending::{Spent, Tokens};
use crate::config::{HostedName, HostedSettings, Price};
use crate::error::{Hint, did_you_mean};
use crate::generator::{Bounds, Capabilities, Generator, Session};
use crate::run::sha256;

/// What every hosted model can do; one that lists log-probabilities gives those of labels unasked.
pub const CAPABILITIES: Capabilities =
    Capabilities { tokens: false, label_scores: false, most_labels: usize::MAX, seed: false, logprobs: false };

/// Requests at once, at most, where nothing else is asked for.
const MOST_AT_ONCE: usize = 64;
/// Names that are listed.
const LISTED: usize = 8;

/// A hosted model, before anything is sent.
#[derive(Debug)]
pub struct Endpoint {
    name: HostedName,
    settings: HostedSettings,
    client: Arc<Client>,
}

impl Endpoint {
    /// # Errors
    /// Names the budget that needs a price, or the variable whose proxy or certificates can't be used.
    pub fn open(name: &HostedName, settings: &HostedSettings) -> Result<Endpoint> {
        if let Some(most) = settings.max_cost {
            ensure!(
                settings.price.is_some(),
                anyhow!("--max-cost {most}: the settings file has no price for {}", name.name)
                    .hint(format!("add [prices.{:?}] with input and output, what a million tokens cost", name.name))
            );
        }
        Ok(Endpoint { name: name.clone(), settings: settings.clone(), client: Arc::new(Client::new(name, settings)?) })
    }

    #[expect(missing_docs, reason = "the type says it")]
    pub fn name(&self) -> &HostedName {
        &self.name
    }

    /// Takes the place of a model file's hash: SHA-256 over address and name. What the host runs under that name may change.
    pub fn sha256(&self) -> String {
        sha256(self.name.to_string().as_bytes())
    }

    /// Sees that the host can be reached, takes the key and has the model, before any text is sent.
    ///
    /// # Errors
    /// Says which of these isn't so, as far as it can be known without asking anything.
    pub fn check(&self) -> Result<()> {
        let HostedName { name, host, .. } = &self.name;
        let listed = self.client.models().map_err(|failure| failure.into_error(host))?;
        let Some(listed) = listed else { return Ok(()) };
        ensure!(
            listed.iter().any(|listed| is_model(name, listed)),
            anyhow!("{host}: there is no model {name:?}").hint(format!(
                "{}the host lists {}{}",
                did_you_mean(name, &listed),
                listed.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", "),
                if listed.len() > LISTED { " …" } else { "" }
            ))
        );
        Ok(())
    }

    /// Ready to answer, with the log of requests of a result directory; `at_once` requests at most.
    ///
    /// # Errors
    /// Names the log that can't be read or written.
    pub fn load(self: &Arc<Self>, folder: &Path, at_once: Option<usize>) -> Result<Remote> {
        Ok(Remote { endpoint: Arc::clone(self), spending: Spending::open(folder)?, at_once })
    }

    /// What tokens cost; `None` where it isn't known.
    pub fn price(&self) -> Option<Price> {
        self.settings.price
    }

    /// What so many tokens cost; `None` where the price isn't known.
    pub fn cost(&self, tokens: &Tokens) -> Option<f64> {
        Some(self.settings.price?.of(tokens.prompt_tokens, tokens.cached_tokens, tokens.completion_tokens))
    }
}

/// A hosted model that can be asked.
pub struct Remote {
    endpoint: Arc<Endpoint>,
    spending: Spending,
    at_once: Option<usize>,
}

impl Generator for Remote {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn session(&mut self, _bounds: &Bounds) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(RemoteSession::new(&self.endpoint, &mut self.spending, self.at_once)))
    }
}
