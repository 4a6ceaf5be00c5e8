//! Settings of models that somebody else runs.

use std::fmt::{Debug, Display, Formatter};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use clap::Args;
use http::Uri;
use serde::{Deserialize, Serialize};

use super::ModelName;
use crate::error::Hint;

/// The variable that holds the key.
const KEY: &str = "REELS_API_KEY";
const EXAMPLE: &str = "an address and a name, as in https://api.example.com/v1#name";

/// Overrides for [`HostedSettings`].
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default)]
pub struct HostedOverrides {
    /// File with the key of a hosted model [default: the variable REELS_API_KEY]
    #[arg(long, env = "REELS_API_KEY_FILE", value_name = "F", help_heading = "Hosted model")]
    pub api_key_file: Option<PathBuf>,
    /// Stop before all that is asked for this result costs more, by the prices in the settings file
    #[arg(long, env = "REELS_MAX_COST", value_name = "AMOUNT", help_heading = "Hosted model")]
    pub max_cost: Option<f64>,
    /// Stop before all that is asked for this result takes more tokens, read and written
    #[arg(long, env = "REELS_MAX_TOKENS", value_name = "N", help_heading = "Hosted model")]
    pub max_tokens: Option<u64>,
    /// Wait so long for an answer, in seconds [default: 300]
    #[arg(long, env = "REELS_TIMEOUT", value_name = "SECONDS", help_heading = "Hosted model")]
    pub timeout: Option<f64>,
    /// Send texts and key unencrypted to another machine
    #[arg(long, env = "REELS_INSECURE_HTTP", num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", help_heading = "Hosted model")]
    pub insecure_http: Option<bool>,
}

/// How a hosted model is asked.
#[derive(Debug, Clone, Default)]
pub struct HostedSettings {
    /// Goes along with every request.
    pub key: Option<Key>,
    /// What stands between this machine and the host.
    pub proxy: Option<ProxySettings>,
    /// What tokens cost; `None` where it isn't known.
    pub price: Option<Price>,
    /// In the currency of [`Price`]; `None` has no end.
    pub max_cost: Option<f64>,
    /// Tokens read and written; `None` has no end.
    pub max_tokens: Option<u64>,
    /// For a whole answer.
    pub timeout: Duration,
}

/// What tokens cost, each a million of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Tokens read.
    pub input: f64,
    /// Tokens read from the host's cache; `None` costs what [`Price::input`] does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<f64>,
    /// Tokens written.
    pub output: f64,
}

/// A secret: it is shown nowhere.
#[derive(Clone)]
pub struct Key(String);

/// A proxy, as a variable names it.
#[derive(Clone)]
pub struct ProxySettings {
    /// The variable.
    pub variable: &'static str,
    /// May hold a password.
    pub url: String,
}

/// A model that somebody else runs: the address of an API like OpenAI's, and the model's name there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostedName {
    /// Up to where `/chat/completions` follows.
    pub url: String,
    #[expect(missing_docs, reason = "the name says it")]
    pub name: String,
    /// With its port where the address has one.
    pub host: String,
    /// By TLS.
    pub encrypted: bool,
    /// The host is this machine.
    pub is_here: bool,
}

impl FromStr for HostedName {
    type Err = Error;

    fn from_str(text: &str) -> Result<HostedName> {
        // What could be a password or a key isn't repeated.
        let before_name = text.split_once('#').map_or(text, |(url, _)| url);
        ensure!(
            !before_name.contains('@'),
            anyhow!("--model: the address holds a user or a password")
                .hint(format!("give the key by {KEY} or --api-key-file"))
        );
        ensure!(
            !before_name.contains('?'),
            anyhow!("--model: the address has a query").hint("name the address without ? and what follows")
        );
        let (url, name) = text
            .split_once('#')
            .filter(|(_, name)| !name.is_empty())
            .with_context(|| format!("--model {text} names no model"))
            .hint(EXAMPLE)?;
        let url = url.trim_end_matches('/');
        let wrong = |what: &str, hint: &str| anyhow!("--model {text}: {what}").hint(hint.to_owned());
        let uri: Uri = url.parse().map_err(|error| wrong(&format!("no address ({error})"), EXAMPLE))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            bail!(wrong("no address with a host", EXAMPLE));
        };
        ensure!(["http", "https"].contains(&scheme), wrong(&format!("{scheme} is no way to ask a model"), EXAMPLE));
        let endpoint =
            ["/chat/completions", "/completions", "/models"].into_iter().find(|end| uri.path().ends_with(end));
        if let Some(endpoint) = endpoint {
            bail!(wrong(&format!("the address goes on after what is asked for ({endpoint})"), "leave that out"));
        }
        let host = authority.host().trim_matches(['[', ']']);
        let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        Ok(HostedName {
            url: url.to_owned(),
            name: name.to_owned(),
            host: authority.as_str().to_owned(),
            encrypted: scheme == "https",
            is_here,
        })
    }
}

impl Display for HostedName {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}#{}", self.url, self.name)
    }
}

impl Debug for Key {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Key")
    }
}

impl Debug for ProxySettings {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "ProxySettings({})", self.variable)
    }
}

impl Key {
    /// For the header that carries it, and for nothing else.
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// That of the file, else of the variable.
    fn find(file: Option<&Path>) -> Result<Option<Key>> {
        let (text, place) = match file {
            Some(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.with_context(|| format!("cannot read the key in {}", path.display()));
                (text.hint("a key file holds the key alone")?, path.display().to_string())
            }
            None => match std::env::var(KEY) {
                Ok(text) => (text, KEY.to_owned()),
                Err(std::env::VarError::NotPresent) => return Ok(None),
                Err(std::env::VarError::NotUnicode(_)) => bail!("{KEY} is not text"),
            },
        };
        let key = text.trim();
        ensure!(!key.is_empty(), anyhow!("{place} holds no key").hint("leave it out where the host asks for none"));
        ensure!(
            key.bytes().all(|byte| byte.is_ascii_graphic()),
            anyhow!("{place} holds characters that no key has").hint("it is the key alone, on one line")
        );
        Ok(Some(Key(key.to_owned())))
    }
}

impl ProxySettings {
    /// The proxy that the environment names for a host, by the variables that curl reads; none stands before this machine.
    fn find(name: &HostedName) -> Option<ProxySettings> {
        if name.is_here {
            return None;
        }
        // Not HTTP_PROXY: a web server's children have it from whoever calls them.
        let variables: &[&'static str] = match name.encrypted {
            true => &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
            false => &["http_proxy", "all_proxy", "ALL_PROXY"],
        };
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let (variable, url) = variables.iter().find_map(|variable| Some((*variable, set(variable)?)))?;
        let exceptions = set("no_proxy").or_else(|| set("NO_PROXY")).unwrap_or_default();
        (!is_excepted(&name.host, &exceptions)).then_some(ProxySettings { variable, url })
    }
}

/// Whether a list as in `NO_PROXY` has a host: by its name, a domain above it, or `*`.
fn is_excepted(host: &str, list: &str) -> bool {
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host).to_lowercase();
    list.split(',').map(str::trim).any(|entry| {
        let domain = entry.trim_start_matches('*').trim_start_matches('.').to_lowercase();
        let is_below = host.strip_suffix(&*domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        entry == "*" || !domain.is_empty() && is_below
    })
}

impl HostedOverrides {
    /// Fills in defaults, checks ranges, and takes key and proxy from where they are.
    ///
    /// # Errors
    /// Names the flag and the value, or where the key should have been; never the key.
    pub fn resolve(self, model: &ModelName) -> Result<HostedSettings> {
        let timeout = self.timeout.unwrap_or(HostedSettings::TIMEOUT_SECONDS);
        ensure!((0.1..=86_400.0).contains(&timeout), "--timeout {timeout} is not between 0.1 and 86400 seconds");
        ensure!(
            self.max_cost.is_none_or(|cost| cost > 0.0),
            "--max-cost {} is not above 0",
            self.max_cost.unwrap_or_default()
        );
        ensure!(self.max_tokens != Some(0), "--max-tokens 0 is not above 0");
        let mut settings = HostedSettings {
            max_cost: self.max_cost,
            max_tokens: self.max_tokens,
            timeout: Duration::from_secs_f64(timeout),
            ..HostedSettings::default()
        };
        if let ModelName::Hosted(name) = model {
            ensure!(
                name.encrypted || name.is_here || self.insecure_http.unwrap_or(false),
                anyhow!("--model {name}: everybody between here and {} could read texts and key", name.host)
                    .hint("use https://, or --insecure-http where the network is your own")
            );
            settings.key = Key::find(self.api_key_file.as_deref())?;
            settings.proxy = ProxySettings::find(name);
        }
        Ok(settings)
    }
}

impl HostedSettings {
    /// Where nothing else is asked for.
    pub const TIMEOUT_SECONDS: f64 = 300.0;
}

impl Price {
    /// Refuses what is no price.
    ///
    /// # Errors
    /// Names the value.
    pub fn check(&self) -> Result<()> {
        let all = [("input", Some(self.input)), ("cached_input", self.cached_input), ("output", Some(self.output))];
        for (name, value) in all {
            let value = value.unwrap_or_default();
            ensure!(value.is_finite() && value >= 0.0, "{name} = {value} is no price");
        }
        Ok(())
    }

    /// What so many tokens cost; the cached ones are some of those read.
    pub fn of(&self, read: u64, cached: u64, written: u64) -> f64 {
        let cached = cached.min(read);
        let cached_input = self.cached_input.unwrap_or(self.input);
        ((read - cached) as f64 * self.input + cached as f64 * cached_input + written as f64 * self.output) / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Shown;

    #[test]
    fn an_address_and_a_name() {
        let name: HostedName = "https://api.example.com/v1/#org/name:7b".parse().unwrap();
        assert_eq!(
            (&*name.url, &*name.name, &*name.host),
            ("https://api.example.com/v1", "org/name:7b", "api.example.com")
        );
        assert_eq!(name.to_string(), "https://api.example.com/v1#org/name:7b");
        for here in ["http://localhost:1/v1#a", "http://127.0.0.2#a", "http://[::1]:8080/v1#a"] {
            assert!(here.parse::<HostedName>().unwrap().is_here, "{here}");
        }
        for elsewhere in ["http://localhost.example.com#a", "http://127.0.0.1.example.com#a", "http://10.0.0.1#a"] {
            assert!(!elsewhere.parse::<HostedName>().unwrap().is_here, "{elsewhere}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_address_is_named() {
        for (text, expected) in [
            ("https://api.example.com/v1", "names no model"),
            ("https://api.example.com/v1#", "names no model"),
            ("ftp://api.example.com/v1#a", "ftp is no way to ask a model"),
            ("https://#a", "no address with a host"),
            ("https://api.example.com/v1/chat/completions#a", "goes on after what is asked for (/chat/completions)"),
            ("https://api.example.com/v1?key=s3cret#a", "the address has a query"),
        ] {
            let message = Shown::of(&text.parse::<HostedName>().unwrap_err()).to_string();
            assert!(
                message.contains(expected) && message.contains("\nhint: ") && !message.contains("s3cret"),
                "{message}"
            );
        }
        let message = Shown::of(&"https://me:s3cret@api.example.com#a".parse::<HostedName>().unwrap_err()).to_string();
        assert!(message.contains("a user or a password") && !message.contains("s3cret"), "{message}");
    }

    #[test]
    fn unencrypted_only_here_or_when_asked_for() {
        let resolve = |model: &str, insecure_http| {
            HostedOverrides { insecure_http, ..HostedOverrides::default() }
                .resolve(&ModelName::Hosted(model.parse().unwrap()))
        };
        assert!(resolve("http://127.0.0.1:8080/v1#a", None).is_ok());
        assert!(resolve("http://10.0.0.1/v1#a", Some(true)).is_ok());
        let message = Shown::of(&resolve("http://10.0.0.1/v1#a", None).unwrap_err()).to_string();
        assert!(message.contains("10.0.0.1 could read texts and key\nhint: use https://"), "{message}");
    }

    #[test]
    fn hosts_are_reached_without_a_proxy_as_the_variable_lists_them() {
        for (list, excepted) in [
            ("localhost, .corp", true),
            ("a.corp", true),
            ("corp", true),
            ("*.corp,x", true),
            ("*", true),
            ("", false),
            ("orp", false),
            ("b.a.corp", false),
            ("x, y", false),
        ] {
            assert_eq!(is_excepted("a.corp:8443", list), excepted, "{list:?}");
        }
    }

    #[test]
    fn a_key_is_shown_nowhere() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3cret\n").unwrap();
        let key = Key::find(Some(file.path())).unwrap().unwrap();
        assert_eq!(key.secret(), "s3cret");
        assert!(!format!("{:?}", HostedSettings { key: Some(key), ..HostedSettings::default() }).contains("s3cret"));
        for (text, expected) in [("\n", "holds no key"), ("s3cret\ns3cret", "no key has"), ("s3crét", "no key has")] {
            std::fs::write(file.path(), text).unwrap();
            let message = Shown::of(&Key::find(Some(file.path())).unwrap_err()).to_string();
            assert!(message.contains(expected) && !message.contains("s3c"), "{message}");
        }
    }

    #[test]
    fn cached_tokens_have_a_price_of_their_own() {
        let price = Price { input: 2.0, cached_input: Some(0.5), output: 8.0 };
        assert_eq!(price.of(1_000_000, 400_000, 250_000), 1.2 + 0.2 + 2.0);
        assert_eq!(Price { cached_input: None, ..price }.of(1_000_000, 400_000, 0), 2.0);
    }
}
