//! A host of models in the test's own process, which answers as it is told, or misbehaves.
#![allow(dead_code, reason = "not every test that shares this uses all of it")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

/// The name of its model.
pub const MODEL: &str = "m-1";

/// A request for a completion.
#[derive(Debug, Clone)]
pub struct Request {
    pub body: Value,
    pub authorization: Option<String>,
    /// Times that this prompt was asked before.
    pub before: usize,
    pub at: Instant,
}

impl Request {
    /// What tells prompts apart.
    pub fn prompt(&self) -> String {
        self.body["messages"].to_string()
    }

    /// The last turn.
    pub fn text(&self) -> &str {
        self.body["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap()
    }
}

/// How a request is answered.
pub enum Answer {
    /// Status, headers and body.
    Whole(u16, Vec<String>, String),
    /// So many bytes of the body, then the connection closes.
    Half(String, usize),
    /// A byte at a time, with so long between them.
    Drip(String, Duration),
    /// Nothing for so long, then the connection closes.
    Hang(Duration),
}

impl Answer {
    pub fn status(status: u16, body: &Value) -> Answer {
        Answer::Whole(status, vec![], body.to_string())
    }

    pub fn ok(body: &Value) -> Answer {
        Answer::status(200, body)
    }
}

/// A completion as OpenAI writes it.
pub fn completion(text: &str, read: usize, written: usize) -> Value {
    json!({"id": "c", "object": "chat.completion", "model": MODEL, "system_fingerprint": "f-1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}})
}

/// What an honest model says: of label tasks one of the labels that the prompt lists, of others a sentence; always the same to
/// the same prompt, and another one of another Reel.
pub fn said(request: &Request) -> String {
    let text = request.text();
    let sum = text.bytes().fold(7usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let task = text.rsplit("Tugas").next().unwrap();
    if task.contains("ini iklan") {
        ["iklan", "bukan iklan"][sum % 2].to_owned()
    } else if task.contains("satu kategori") {
        ["kuliner", "musik", "hiburan", "agama"][sum % 4].to_owned()
    } else {
        format!("Ringkasan nomor {sum}.")
    }
}

/// What an honest host answers and what it takes.
pub fn honest(request: &Request) -> Answer {
    let said = said(request);
    Answer::ok(&completion(&said, request.prompt().len() / 4, said.len() / 3 + 1))
}

/// The server; it ends with the test.
pub struct Host {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Host {
    pub fn start(script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Host {
        Host::with_models(&[MODEL], script)
    }

    /// That lists these models, and none where there is none.
    pub fn with_models(models: &[&str], script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Host {
        let listed: Vec<Value> = models.iter().map(|name| json!({"id": name, "object": "model"})).collect();
        let answer = move |_: Option<&str>| match listed.is_empty() {
            true => Answer::status(404, &json!({"detail": "Not Found"})),
            false => Answer::ok(&json!({"object": "list", "data": listed})),
        };
        Host::with(answer, script)
    }

    /// That answers who asks for its models with a key or without as it is told.
    pub fn with(
        models: impl Fn(Option<&str>) -> Answer + Send + Sync + 'static,
        script: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Host {
        Host::over(|stream| stream, models, script)
    }

    /// That speaks TLS, with a certificate for these names; gives that of the authority that signed it, too.
    pub fn encrypted(names: &[&str], script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> (Host, String) {
        let mut authority = CertificateParams::new(vec![]).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = authority.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(authority, key);
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let signed = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![signed.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
            .unwrap();
        let config = Arc::new(config);
        let encrypt = move |stream| StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream);
        let models = |_: Option<&str>| Answer::ok(&json!({"data": [{"id": MODEL}]}));
        (Host::over(encrypt, models, script), certificate)
    }

    fn over<S: ReadWrite + 'static>(
        wrap: impl Fn(TcpStream) -> S + Send + Sync + 'static,
        models: impl Fn(Option<&str>) -> Answer + Send + Sync + 'static,
        script: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Host {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (seen, scripts) = (requests.clone(), Arc::new((wrap, models, script)));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, scripts) = (seen.clone(), scripts.clone());
                std::thread::spawn(move || serve(scripts.0(stream), &seen, &scripts.1, &scripts.2));
            }
        });
        Host { address, requests }
    }

    /// As `--model` takes it.
    pub fn model(&self) -> String {
        format!("http://{}/v1#{MODEL}", self.address)
    }

    /// All that has come for completions so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// How often each prompt has come.
    pub fn times(&self) -> HashMap<String, usize> {
        let mut times = HashMap::new();
        self.requests().iter().for_each(|request| *times.entry(request.prompt()).or_default() += 1);
        times
    }
}

fn serve(
    mut stream: impl ReadWrite,
    seen: &Mutex<Vec<Request>>,
    models: &impl Fn(Option<&str>) -> Answer,
    script: &impl Fn(&Request) -> Answer,
) {
    while let Some((line, authorization, body)) = receive(&mut stream) {
        let answer = if line.contains("/models") {
            models(authorization.as_deref())
        } else {
            let mut seen = seen.lock().unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            let before = seen.iter().filter(|earlier| earlier.body["messages"] == body["messages"]).count();
            let request = Request { body, authorization, before, at: Instant::now() };
            seen.push(request.clone());
            drop(seen);
            script(&request)
        };
        if send(&mut stream, answer).is_none() {
            return;
        }
    }
}

/// A connection, encrypted or not.
pub trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

/// First line, authorization and body of the next request; `None` where the connection is closed.
fn receive(stream: &mut impl ReadWrite) -> Option<(String, Option<String>, Vec<u8>)> {
    let mut head = vec![];
    // Byte by byte, so that nothing of the body is read with it.
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_lowercase().starts_with(name))?;
        Some(line[name.len()..].trim().to_owned())
    };
    let mut body = vec![0; header("content-length:").map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).ok()?;
    Some((head.lines().next().unwrap().to_owned(), header("authorization:"), body))
}

/// `None` where the connection ends with it.
fn send(stream: &mut impl ReadWrite, answer: Answer) -> Option<()> {
    let head = |status: u16, headers: &[String], length: usize| {
        let more: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{more}\r\n")
    };
    match answer {
        Answer::Whole(status, headers, body) => {
            stream.write_all((head(status, &headers, body.len()) + &body).as_bytes()).ok()?;
            Some(())
        }
        Answer::Half(body, bytes) => {
            stream.write_all((head(200, &[], body.len()) + &body[..bytes]).as_bytes()).ok()?;
            None
        }
        Answer::Drip(body, pause) => {
            stream.write_all(head(200, &[], body.len()).as_bytes()).ok()?;
            for byte in body.bytes() {
                std::thread::sleep(pause);
                stream.write_all(&[byte]).ok()?;
            }
            Some(())
        }
        Answer::Hang(time) => {
            std::thread::sleep(time);
            None
        }
    }
}

/// A port on which nobody listens.
pub fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A proxy that answers whoever connects with one line.
pub fn proxy(line: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
            let _ = stream.write_all(format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n").as_bytes());
        }
    });
    address
}

/// A proxy that lets everything through to one place, whatever it is asked for; gives what it was asked for.
pub fn tunnel(to: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = asked.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (head, _, _) = receive(&mut stream).unwrap();
            seen.lock().unwrap().push(head);
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let onward = TcpStream::connect(to).unwrap();
            let (mut a, mut b) = (stream.try_clone().unwrap(), onward.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut a, &mut b));
            let (mut a, mut b) = (onward, stream);
            std::thread::spawn(move || std::io::copy(&mut a, &mut b));
        }
    });
    (address, asked)
}
