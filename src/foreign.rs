//! What a file is that ought to hold weights or JSON and doesn't, by its first bytes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Error, Result, anyhow};
use serde::de::DeserializeOwned;

use crate::error::Hint;

/// As many first bytes as it takes to tell.
const BYTES: u64 = 64;

/// What a file is, and what to do about it.
struct Foreign {
    what: &'static str,
    hint: &'static str,
}

const DOWNLOAD: &str =
    "download the file itself; models behind a licence want a login: hf auth login, then hf download";
const CONVERT: &str = "convert the original model with llama.cpp's convert_hf_to_gguf.py";
const PICKLE: &str = "save it as safetensors: AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(NEW), or for an \
                      adapter PeftModel.from_pretrained(BASE, DIR).save_pretrained(NEW)";

const KNOWN: [(&[u8], Foreign); 15] = [
    (
        b"GGUF",
        Foreign { what: "a GGUF file", hint: "name it with --model; weights to train or export are in safetensors" },
    ),
    (
        b"version https://git-lfs",
        Foreign { what: "a Git LFS pointer, not the file itself", hint: "git lfs pull, or download it" },
    ),
    (b"<!DOCTYPE", Foreign { what: "a web page", hint: DOWNLOAD }),
    (b"<!doctype", Foreign { what: "a web page", hint: DOWNLOAD }),
    (b"<html", Foreign { what: "a web page", hint: DOWNLOAD }),
    (b"<?xml", Foreign { what: "a server's answer in XML", hint: DOWNLOAD }),
    (b"{", Foreign { what: "JSON text", hint: DOWNLOAD }),
    (b"\xEF\xBB\xBF", Foreign { what: "text with a byte order mark in front", hint: "save it as UTF-8 without one" }),
    (b"PK\x03\x04", Foreign { what: "a pickle of PyTorch or another zip archive", hint: PICKLE }),
    (b"\x80\x02", Foreign { what: "a pickle of an old PyTorch", hint: PICKLE }),
    (b"\x1f\x8b", Foreign { what: "compressed with gzip", hint: "unpack it with gunzip" }),
    (b"tjgg", Foreign { what: "of a format that llama.cpp had before GGUF (ggjt)", hint: CONVERT }),
    (b"fmgg", Foreign { what: "of a format that llama.cpp had before GGUF (ggmf)", hint: CONVERT }),
    (b"lmgg", Foreign { what: "of a format that llama.cpp had before GGUF (ggml)", hint: CONVERT }),
    (b"algg", Foreign { what: "of a format that llama.cpp had before GGUF (ggla)", hint: CONVERT }),
];

const SAFETENSORS: Foreign =
    Foreign { what: "a safetensors file", hint: "`reels export DIRECTORY` makes a GGUF of the model it belongs to" };

fn what(start: &[u8]) -> Option<&'static Foreign> {
    if start.is_empty() {
        return Some(&Foreign { what: "empty", hint: "copy or download it again" });
    }
    let header = start
        .split_first_chunk::<8>()
        .is_some_and(|(length, behind)| behind.first() == Some(&b'{') && u64::from_le_bytes(*length) < 1 << 32);
    if header {
        return Some(&SAFETENSORS);
    }
    let start = start.trim_ascii_start();
    KNOWN.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, foreign)| foreign)
}

/// An error that says what a file is instead of what it ought to be, such as `a GGUF file`, and what to do; where that isn't
/// known, that it is damaged in some way, with `hint`.
pub fn error(path: &Path, expected: &str, damage: &str, hint: &str) -> Error {
    let mut start = Vec::new();
    if let Err(error) = File::open(path).and_then(|file| file.take(BYTES).read_to_end(&mut start)) {
        return Error::from(error).context(format!("cannot read {}", path.display()));
    }
    match what(&start).filter(|foreign| !expected.ends_with(foreign.what.trim_start_matches("a "))) {
        Some(foreign) => anyhow!("{} is not {expected}: it is {}", path.display(), foreign.what).hint(foreign.hint),
        None => anyhow!("{} is not {expected}: {damage}", path.display()).hint(hint),
    }
}

/// Reads a JSON file of a model.
///
/// # Errors
/// Names the file, and where it ends being JSON, or what it is.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text)
        .map_err(|failure| error(path, "JSON text", &failure.to_string(), "correct it, or download it again"))
}
