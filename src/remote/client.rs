//! One host, asked over HTTP.

use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use http::HeaderMap;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde_json::Value;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body, Proxy, ProxyProtocol, Timeout};

use super::MOST_AT_ONCE;
use super::failure::{Charge, Failure, Meaning, shortened};
use super::reply::{Complaint, Reply, Usage};
use crate::config::{HostedName, HostedSettings, Key, ProxySettings};
use crate::error::{Hint, blame_environment};

/// Bytes of a response. Five hundred tokens with twenty log-probabilities each are a fifth of it.
const MOST_BYTES: u64 = 4 << 20;
const CONNECTING: Duration = Duration::from_secs(20);
/// What is asked before any text is sent has to be answered in so long.
const LOOKING: Duration = Duration::from_secs(15);
/// A host can't ask to be left alone for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);
/// A shorter key may well be a word of an answer.
const LEAST_SECRET: usize = 8;

/// Asks one host, by as many threads as like.
#[derive(Debug)]
pub(super) struct Client {
    agent: Agent,
    url: String,
    key: Option<Key>,
    proxy: Option<ProxySettings>,
}

impl Client {
    /// # Errors
    /// Names the variable whose proxy or certificates can't be used.
    pub(super) fn new(name: &HostedName, settings: &HostedSettings) -> Result<Client> {
        let tls =
            TlsConfig::builder().root_certs(if name.encrypted { root_certificates()? } else { RootCerts::WebPki });
        let config = Agent::config_builder()
            .timeout_global(Some(settings.timeout))
            .timeout_connect(Some(CONNECTING.min(settings.timeout)))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(MOST_AT_ONCE)
            .max_idle_connections_per_host(MOST_AT_ONCE)
            .user_agent(concat!("reels/", env!("CARGO_PKG_VERSION")))
            .proxy(settings.proxy.as_ref().map(proxy).transpose()?)
            .tls_config(tls.build())
            .build();
        let (key, proxy) = (settings.key.clone(), settings.proxy.clone());
        Ok(Client { agent: config.into(), url: name.url.clone(), key, proxy })
    }

    /// The names of the host's models; `None` where it keeps no list.
    pub(super) fn models(&self) -> Result<Option<Vec<String>>, Failure> {
        let request = self.agent.get(format!("{}/models", self.url)).config().timeout_global(Some(LOOKING)).build();
        let (status, headers, body) = self.received(match &self.key {
            Some(key) => request.header("authorization", bearer(key)).call(),
            None => request.call(),
        })?;
        let told = || Failure::told(status, &body, None, self.key.is_some());
        match status {
            // One page of several says nothing of what it leaves out.
            200..=299 if body["has_more"] == true => return Ok(None),
            200..=299 => {}
            300..=399 => return Err(self.redirected(status, &headers)),
            401 | 402 => return Err(told()),
            503 => {
                let hint = "the same command goes on once the host answers";
                return Err(Failure::new(Meaning::Host, told().reason.text, Some(hint)));
            }
            _ => return Ok(None),
        }
        let names = |model: &Value| {
            let aliases = model["aliases"].as_array().into_iter().flatten().filter_map(Value::as_str);
            model["id"].as_str().into_iter().chain(aliases).map(str::to_owned).collect::<Vec<_>>()
        };
        let names: Vec<String> = body["data"].as_array().into_iter().flatten().flat_map(names).collect();
        Ok((!names.is_empty()).then_some(names))
    }

    /// The answer to the body of a request.
    pub(super) fn ask(&self, body: &str) -> Result<Reply, Failure> {
        let request = self.agent.post(format!("{}/chat/completions", self.url)).content_type("application/json");
        let (status, headers, body) = self.received(match &self.key {
            Some(key) => request.header("authorization", bearer(key)).send(body),
            None => request.send(body),
        })?;
        match status {
            200..=299 => self.answer(&body),
            300..=399 => Err(self.redirected(status, &headers)),
            _ => Err(Failure::told(status, &body, retry_after(&headers), self.key.is_some())),
        }
    }

    fn answer(&self, body: &Value) -> Result<Reply, Failure> {
        if let Value::String(text) = body {
            return Err(Failure::broken(format!("the host's answer is no JSON: {:?}", shortened(text))));
        }
        let charge = Usage::of(&body["usage"]).map_or(Charge::Unknown, Charge::Told);
        if let Some(complaint) = Complaint::of(body) {
            return Err(Failure::in_answer(&complaint, charge, self.key.is_some()));
        }
        Reply::of(body).map_err(|what| Failure {
            charge,
            ..Failure::broken(format!("the host's answer is no chat completion: {what}"))
        })
    }

    /// Status, headers and body of a response; a body that is no JSON as text.
    fn received(
        &self,
        response: Result<http::Response<Body>, ureq::Error>,
    ) -> Result<(u16, HeaderMap, Value), Failure> {
        let mut response = response.map_err(|error| self.failed(error))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.body_mut().with_config().limit(MOST_BYTES).read_to_vec();
        let body = body.map_err(|error| self.failed(error))?;
        let parsed = serde_json::from_slice(&body);
        let mut body = parsed.unwrap_or_else(|_| String::from_utf8_lossy(&body).into_owned().into());
        self.take_out_key(&mut body);
        Ok((status, headers, body))
    }

    /// Whoever repeats the key: it is written nowhere.
    fn take_out_key(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                let secret = self.key.as_ref().map(Key::secret).filter(|secret| secret.len() >= LEAST_SECRET);
                if let Some(secret) = secret.filter(|secret| text.contains(secret)) {
                    *text = text.replace(secret, "[key]");
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.take_out_key(value)),
            Value::Object(fields) => fields.values_mut().for_each(|value| self.take_out_key(value)),
            _ => {}
        }
    }

    fn redirected(&self, status: u16, headers: &HeaderMap) -> Failure {
        let to = headers.get("location").map(|to| String::from_utf8_lossy(to.as_bytes()).into_owned());
        let mut to = Value::from(to.unwrap_or_default());
        self.take_out_key(&mut to);
        Failure::redirect(status, to.as_str().unwrap_or_default())
    }

    /// What a broken connection means.
    fn failed(&self, error: ureq::Error) -> Failure {
        let through = self.proxy.as_ref().map(|proxy| format!(" through the proxy that {} names", proxy.variable));
        let through = through.unwrap_or_default();
        let text = error.to_string();
        let said = shortened(&text);
        let host = |text: String, hint| Failure::new(Meaning::Host, text, Some(hint));
        // The request has not gone.
        let unsent = |text: String, hint| Failure::new(Meaning::Passing, text, Some(hint));
        match error {
            _ if matches!(error, ureq::Error::HostNotFound) || text.contains("failed to lookup") => host(
                format!("there is no such host{through}"),
                "see the address; behind a proxy, the variable https_proxy names it",
            ),
            ureq::Error::ConnectProxyFailed(reason) => host(
                format!("no way{through}: {}", shortened(&reason)),
                "see that variable and what the proxy allows; NO_PROXY lists hosts to reach without it",
            ),
            _ if text.contains("certificate") => host(
                format!("who answers there can't prove to be the host: {said}"),
                "SSL_CERT_FILE names a file with the certificate of your own authority (PEM)",
            ),
            ureq::Error::Rustls(_) | ureq::Error::Tls(_) => host(
                format!("no encrypted connection{through}: {said}"),
                "see that the address is right: https:// or http://",
            ),
            ureq::Error::BodyExceedsLimit(_) => {
                let text = format!("the host's answer is longer than {} MiB", MOST_BYTES >> 20);
                let hint = "lower max_tokens in tasks.toml; an honest answer isn't that long";
                Failure { charge: Charge::Unknown, ..Failure::new(Meaning::Own, text, Some(hint)) }
            }
            ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => {
                unsent(format!("no connection in time{through}"), "see that there is a network")
            }
            ureq::Error::Timeout(_) => {
                let hint = "raise --timeout, or lower --width";
                Failure { charge: Charge::Unknown, ..Failure::new(Meaning::Passing, "no answer in time", Some(hint)) }
            }
            ureq::Error::Io(error) => match error.kind() {
                ErrorKind::ConnectionRefused => {
                    unsent(format!("nobody answers there{through}"), "see that the server runs")
                }
                ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
                    unsent(format!("no way there{through}: {error}"), "see that there is a network")
                }
                _ => Failure::broken(format!("the connection broke{through}: {said}")),
            },
            _ => Failure::broken(format!("the connection broke{through}: {said}")),
        }
    }
}

fn bearer(key: &Key) -> String {
    format!("Bearer {}", key.secret())
}

/// How long a response says to wait: in seconds, or until a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let number = |name: &str| text(name)?.trim().parse::<f64>().ok().filter(|number| *number >= 0.0);
    let seconds = number("retry-after-ms").map(|milliseconds| milliseconds / 1e3).or_else(|| number("retry-after"));
    let date = || {
        let date = rfc2822::parse(text("retry-after")?).ok()?;
        Duration::try_from(date.timestamp().duration_since(Timestamp::now())).ok()
    };
    let wait = match seconds {
        Some(seconds) => Some(Duration::from_secs_f64(seconds.min(LONGEST_WAIT.as_secs_f64()))),
        None => date(),
    };
    wait.map(|wait| wait.min(LONGEST_WAIT))
}

fn proxy(settings: &ProxySettings) -> Result<Proxy> {
    let ProxySettings { variable, url } = settings;
    let proxy = Proxy::new(url).ok();
    // The message may not repeat what could be a password.
    proxy
        .filter(|proxy| matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https))
        .with_context(|| format!("{variable} names no proxy that can be used"))
        .hint("an HTTP proxy is written http://host:port")
}

/// Those that SSL_CERT_FILE and SSL_CERT_DIR name, else the system's, else Mozilla's.
fn root_certificates() -> Result<RootCerts> {
    let found = rustls_native_certs::load_native_certs();
    let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().find(|name| std::env::var_os(name).is_some());
    if let Some(variable) = named {
        let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        ensure!(
            !found.certs.is_empty(),
            blame_environment(anyhow!("{variable} names no certificate{why}")).hint("it names certificates as PEM")
        );
    }
    if found.certs.is_empty() {
        return Ok(RootCerts::WebPki);
    }
    let certificates: Vec<Certificate<'static>> =
        found.certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
    Ok(RootCerts::new_with_certs(&certificates))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn how_long_to_wait_is_read_in_all_its_forms() {
        let read = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_str(value).unwrap());
            retry_after(&headers)
        };
        assert_eq!(read("retry-after", "2"), Some(Duration::from_secs(2)));
        assert_eq!(read("retry-after", "0.5"), Some(Duration::from_millis(500)));
        assert_eq!(read("retry-after-ms", "250"), Some(Duration::from_millis(250)));
        assert_eq!(read("retry-after", "1e300"), Some(LONGEST_WAIT));
        for nonsense in ["-1", "soon", "Wed, 21 Oct 2015 07:28:00 GMT"] {
            assert_eq!(read("retry-after", nonsense), None, "{nonsense}");
        }
        let later = Timestamp::now() + jiff::SignedDuration::from_secs(90);
        let later = later.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let seconds = read("retry-after", &later).unwrap().as_secs();
        assert!((87..=90).contains(&seconds), "{later}: {seconds}");
    }

    #[test]
    fn a_proxy_keeps_its_password() {
        let named = |url: &str| ProxySettings { variable: "https_proxy", url: url.into() };
        let built = proxy(&named("http://me:s3cret@127.0.0.1:3128")).unwrap();
        assert_eq!((built.host(), built.port(), built.password()), ("127.0.0.1", 3128, Some("s3cret")));
        for url in ["gopher://s3cret@x", "socks5://s3cret@x:1", "socks5h://s3cret@x:1"] {
            let message = proxy(&named(url)).unwrap_err().to_string();
            assert_eq!(message, "https_proxy names no proxy that can be used");
        }
    }
}
