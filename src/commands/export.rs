//! `reels export`: a run or a base → a file that answers the same.

mod prove;
mod source;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use self::source::Source;
use super::Code;
use crate::ask::Records;
use crate::config::{ExportFormat, ExportSettings, Quant};
use crate::error::{Hint, environment};
use crate::export::imatrix;
use crate::export::metadata::{Provenance, float_type};
use crate::export::mixture::{Mixture, quantised_bytes};
use crate::export::proof::Proof;
use crate::export::write::{self, Changes};
use crate::gguf::{FloatType, read_header, sidecar};
use crate::llama;
use crate::publish::{Draft, write_json};
use crate::qlora::checkpoint::Checkpoint;
use crate::qlora::config::Config;
use crate::qlora::directory::{copy_texts, write_config};
use crate::qlora::merge::Merge;
use crate::qlora::stream::{Rounded, Streamed};
use crate::run::{free_bytes, machine, sha256_file, size, timestamp};
use crate::stop::Stop;

pub(super) fn run(settings: ExportSettings, stop: &Stop) -> Result<Code> {
    let source = Source::open(&settings)?;
    let export =
        Export { settings: &settings, source: &source, stop, started: Instant::now(), seconds: RefCell::default() };
    export.announce()?;
    let written = match settings.to {
        ExportFormat::Safetensors => export.safetensors(),
        ExportFormat::Gguf if settings.adapter_only => export.adapter(),
        ExportFormat::Gguf => export.model(),
    };
    match written {
        Err(_) if stop.wished() => {
            errln!("interrupted: nothing was written; the same command starts again");
            Ok(Code::Interrupted)
        }
        written => written,
    }
}

struct Export<'a> {
    settings: &'a ExportSettings,
    source: &'a Source,
    stop: &'a Stop,
    started: Instant,
    /// Seconds that each part of the export took.
    seconds: RefCell<BTreeMap<&'static str, f64>>,
}

impl Export<'_> {
    fn announce(&self) -> Result<()> {
        let Export { settings, source, .. } = self;
        let provenance = source.provenance();
        errln!("base     {}, SHA-256 {}", provenance.base, &provenance.base_sha256[..12]);
        if let Some(run) = &provenance.run {
            let adapter = source.adapter.as_ref().map_or_else(
                || "all weights were trained".to_owned(),
                |adapter| format!("adapter of {}", adapter.describe()),
            );
            errln!("run      {run}: {adapter}");
        }
        if let Some(prompts) = provenance.prompts {
            let budget = provenance.max_prompt_tokens.map(|tokens| format!(", {tokens} tokens at most"));
            errln!("prompts  {}{}", prompts.source, budget.unwrap_or_default());
        }
        let folder = settings.output.parent().filter(|folder| !folder.as_os_str().is_empty());
        std::fs::create_dir_all(folder.unwrap_or(Path::new("."))).map_err(|error| {
            environment(format!("cannot make the folder of {}: {error}", settings.output.display()))
        })?;
        let needed = self.disk_bytes()?;
        let free = free_bytes(folder.unwrap_or(Path::new(".")));
        if let Some(free) = free.filter(|free| *free < needed) {
            return Err(environment(format!(
                "writing {} takes {} of disk, and {} is free there",
                settings.output.display(),
                size(needed),
                size(free)
            ))
            .hint("free some space, or name another --output"));
        }
        Ok(())
    }

    /// Bytes of disk for all files that exist at once.
    fn disk_bytes(&self) -> Result<u64> {
        let stored = self.stored()?;
        let float = self.float_bytes(stored);
        Ok(match self.settings.quant {
            _ if self.settings.adapter_only => {
                if self.settings.verify {
                    float
                } else {
                    0
                }
            }
            Some(quant) if !quant.is_float() => float + quantised_bytes(&self.source.config, quant),
            _ => float,
        })
    }

    fn float_bytes(&self, stored: FloatType) -> u64 {
        (self.source.config.parameters() * stored.bytes()) as u64
    }

    /// How matrices are written before they are quantised.
    fn stored(&self) -> Result<FloatType> {
        let own = self.source.stored()?.unwrap_or(FloatType::Bf16);
        Ok(self.settings.quant.and_then(float_type).unwrap_or(own))
    }

    fn timed<R>(&self, part: &'static str, work: impl FnOnce() -> R) -> R {
        let started = Instant::now();
        let result = work();
        *self.seconds.borrow_mut().entry(part).or_default() += started.elapsed().as_secs_f64();
        result
    }

    fn model(&self) -> Result<Code> {
        let Export { settings, source, .. } = self;
        let output = &settings.output;
        let quant = settings.quant.unwrap_or(Quant::Q8_0);
        let stored = self.stored()?;
        let probes = settings.verify.then(|| source.probes()).transpose()?;
        let importance = settings.imatrix.as_ref().map(|path| self.importance(path)).transpose()?;
        let float = Draft::of(output);
        let changes =
            self.write_model(float.path(), source.merge(settings.merge_base), &source.provenance(), stored)?;
        self.check_changes(&changes)?;
        let mut proof = Proof::default();
        let mut float_logits = vec![];
        if let Some(probes) = &probes {
            self.check_tokens(float.path(), probes)?;
            float_logits = self.prove_float(float.path(), None, probes, stored, &mut proof)?;
        }
        let written = if quant.is_float() {
            float
        } else {
            let quantised = Draft::of(output);
            let bar = spinner(format!("quantising to {}", quant.name()));
            self.timed("quantise", || {
                llama::quantise(float.path(), quantised.path(), quant, importance.as_ref(), settings.threads)
            })?;
            bar.finish_and_clear();
            let mixture = Mixture::of(&read_header(quantised.path())?);
            errln!("types    {}", mixture.line());
            if let Some(fallback) = mixture.fallback(quant) {
                errln!("warning: {fallback}");
            }
            if let Some(probes) = &probes {
                self.prove_quantised(float.path(), quantised.path(), &float_logits, probes, quant, &mut proof)?;
            }
            quantised
        };
        if let Some(code) = self.verdict(&proof)? {
            return Ok(code);
        }
        self.finish(written, quant.name(), &changes, &proof)
    }

    fn adapter(&self) -> Result<Code> {
        let Export { settings, source, .. } = self;
        let weights = source.adapter.as_ref().context("there is no adapter")?;
        let written = Draft::of(&settings.output);
        write::adapter(written.path(), weights, &source.config, &source.provenance())?;
        let mut proof = Proof::default();
        if settings.verify {
            let probes = source.probes()?;
            let stored = self.stored()?;
            let base = Draft::of(&settings.output);
            self.write_model(base.path(), source.base_alone(), &source.provenance().of_base(), stored)?;
            self.check_tokens(base.path(), &probes)?;
            self.prove_float(base.path(), Some(written.path()), &probes, stored, &mut proof)?;
        }
        if let Some(code) = self.verdict(&proof)? {
            return Ok(code);
        }
        self.finish(written, "f32", &Changes::new(), &proof)
    }

    fn safetensors(&self) -> Result<Code> {
        let Export { settings, source, .. } = self;
        let output = &settings.output;
        ensure!(
            !output.exists(),
            anyhow!("{} is there already", output.display()).hint("name another --output, or delete it")
        );
        let stored = self.stored()?;
        let folder = Draft::of(output);
        std::fs::create_dir_all(folder.path()).map_err(|error| {
            environment(format!("cannot make {}: {error}", folder.path().display())).hint("name another --output")
        })?;
        let bar = bytes_bar("writing", self.float_bytes(stored));
        let merge = source.merge(settings.merge_base);
        let weights = folder.path().join("model.safetensors");
        let changes = self.timed("write", || {
            write::safetensors(&weights, &merge, &source.config, stored, &|bytes| bar.inc(bytes), self.stop)
        })?;
        bar.finish_and_clear();
        self.check_changes(&changes)?;
        copy_texts(&source.texts, folder.path())?;
        write_config(&source.texts, folder.path(), stored, source.config.tied)?;
        let mut proof = Proof::default();
        if settings.verify {
            let probes = source.probes()?;
            let mut config = Config::read(folder.path())?;
            let checkpoint = Checkpoint::open(folder.path(), &mut config)?;
            let written =
                Streamed { checkpoint: &checkpoint, config: &config, adapter: None, nf4: false, rounded: None };
            let found = written.logits(&probes.prompts, &probes.positions, self.stop)?;
            self.compare_float(&found, &probes, Rounded::Merged(stored), stored, &mut proof)?;
        }
        if let Some(code) = self.verdict(&proof)? {
            return Ok(code);
        }
        write_json(&folder.path().join("manifest.json"), &self.manifest(quant_name(stored), &changes, &proof))?;
        folder.publish()?;
        outln!("{}", output.display());
        Ok(Code::Done)
    }

    fn write_model(&self, path: &Path, merge: Merge, provenance: &Provenance, stored: FloatType) -> Result<Changes> {
        let bar = bytes_bar("writing", self.float_bytes(stored));
        let parts = self.source.parts();
        let changes = self.timed("write", || {
            write::model(path, &merge, &parts, provenance, stored, &|bytes| bar.inc(bytes), self.stop)
        });
        bar.finish_and_clear();
        changes
    }

    fn importance(&self, path: &Path) -> Result<llama::ImportanceMatrix> {
        let source = self.source;
        let reels = Records::open(Some(path))?.read()?;
        let budget = source.provenance().max_prompt_tokens.unwrap_or(source.config.max_positions).min(2048);
        let texts = imatrix::texts(&reels, &source.prompts, &source.chat, &source.tokenizer, budget)
            .with_context(|| format!("{}", path.display()))?;
        let bar = spinner(format!("calibrating on {} prompts", texts.len()));
        let squares = source.streamed(false)?.squares(&texts, self.stop);
        bar.finish_and_clear();
        Ok(imatrix::matrix(&squares?, &source.config))
    }

    fn manifest(&self, quant: &str, changes: &Changes, proof: &Proof) -> Value {
        let changes: serde_json::Map<String, Value> = changes
            .iter()
            .map(|(name, change)| (name.clone(), json!({"norm": change.norm, "of": change.of})))
            .collect();
        let mut manifest = json!({
            "v": 1,
            "command": "export",
            "crate_version": env!("CARGO_PKG_VERSION"),
            "finished_at": timestamp(),
            "seconds": self.started.elapsed().as_secs_f64(),
            "seconds_by_part": *self.seconds.borrow(),
            "machine": machine(),
            "quantisation": quant,
            "merge_base": self.source.adapter.as_ref().map(|_| self.settings.merge_base),
            "imatrix": self.settings.imatrix.as_ref().map(|path| path.file_name().unwrap_or_default().to_string_lossy()),
            "changes": changes,
            "verified": self.settings.verify,
            "proof": proof.json(),
        });
        let provenance = self.source.provenance().json();
        if let (Value::Object(manifest), Value::Object(provenance)) = (&mut manifest, provenance) {
            manifest.extend(provenance);
        }
        manifest
    }

    /// Gives the file its name, with its manifest beside it.
    fn finish(&self, written: Draft, quant: &str, changes: &Changes, proof: &Proof) -> Result<Code> {
        let output = &self.settings.output;
        let mut manifest = self.manifest(quant, changes, proof);
        manifest["sha256"] = self.timed("hash", || sha256_file(written.path()))?.into();
        let bytes = written.path().metadata().map_or(0, |meta| meta.len());
        manifest["bytes"] = bytes.into();
        let mixture = Mixture::of(&read_header(written.path())?);
        manifest["types"] = mixture.json();
        manifest["bits_per_weight"] = mixture.bits_per_weight().into();
        written.publish()?;
        write_json(&sidecar(output), &manifest)?;
        let unverified = if self.settings.verify { "" } else { ", not compared with what it was made from" };
        errln!(
            "wrote    {}, {quant}, {:.2} bits a weight, in {:.0} s{unverified}",
            size(bytes),
            mixture.bits_per_weight(),
            self.started.elapsed().as_secs_f64()
        );
        outln!("{}", output.display());
        Ok(Code::Done)
    }
}

fn quant_name(stored: FloatType) -> &'static str {
    match stored {
        FloatType::F32 => "f32",
        FloatType::F16 => "f16",
        FloatType::Bf16 => "bf16",
    }
}

fn bytes_bar(what: &'static str, bytes: u64) -> ProgressBar {
    let bar = ProgressBar::new(bytes).with_message(what);
    let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn spinner(what: String) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(what);
    let style = ProgressStyle::with_template("{spinner} {msg}, {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    bar
}
