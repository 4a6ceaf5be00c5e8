//! Proving an export: what was written against what it was made from.

use std::path::Path;

use anyhow::{Result, anyhow, ensure};

use super::source::Source;
use super::{Export, spinner};
use crate::ask::Records;
use crate::commands::Code;
use crate::config::{EngineSettings, KvType, MergeBase, Quant};
use crate::error::Hint;
use crate::export::proof::{
    LabelProbes, Probes, Proof, compare, float_limit, quantised_limits, rounding_limit, same_tokens,
};
use crate::export::write::Changes;
use crate::gguf::FloatType;
use crate::llama;
use crate::qlora::stream::{Rounded, Streamed};

impl Export<'_> {
    /// Refuses an adapter that changes nothing: it was lost on the way, or never trained.
    pub(super) fn check_changes(&self, changes: &Changes) -> Result<()> {
        let Some(adapter) = &self.source.adapter else { return Ok(()) };
        let moved: Vec<f64> = changes.values().map(|change| change.norm / change.of.max(f64::MIN_POSITIVE)).collect();
        let none = moved.iter().filter(|share| **share == 0.0).count();
        ensure!(
            none < moved.len(),
            anyhow!(
                "the adapter changes nothing: {}",
                if adapter.of.values().all(|adapter| adapter.scale == 0.0) {
                    "alpha is 0"
                } else {
                    "every merged weight is the base's"
                }
            )
            .hint("was it trained? its second halves (lora_B) start at zero")
        );
        if none > 0 {
            errln!("warning: {none} of {} matrices with an adapter are as in the base", moved.len());
        }
        let mut sorted = moved;
        sorted.sort_by(f64::total_cmp);
        errln!(
            "merged   {} matrices, changed by {:.2} % of their norm ({:.2} to {:.2} %)",
            sorted.len(),
            100.0 * sorted[sorted.len() / 2],
            100.0 * sorted[0],
            100.0 * sorted[sorted.len() - 1]
        );
        Ok(())
    }

    pub(super) fn check_tokens(&self, file: &Path, probes: &Probes) -> Result<()> {
        let Source { tokenizer, chat, .. } = self.source;
        let mut texts =
            probes.prompts.iter().map(|tokens| tokenizer.decode(tokens)).collect::<Result<Vec<String>>>()?;
        let reels = Records::open(None)?.read()?;
        texts.extend(reels.into_iter().filter_map(|reel| reel.transcript));
        same_tokens(file, &texts, chat, tokenizer)
    }

    fn forward(&self, streamed: Streamed, probes: &Probes) -> Result<Vec<Vec<f32>>> {
        let bar = spinner(format!("forward pass of {} prompts", probes.prompts.len()));
        let logits = self.timed("forward", || streamed.logits(&probes.prompts, &probes.positions, self.stop));
        bar.finish_and_clear();
        logits
    }

    fn llama_logits(&self, file: &Path, adapter: Option<&Path>, probes: &Probes) -> Result<Vec<Vec<f32>>> {
        let bar = spinner("the same by llama.cpp".into());
        let Probes { prompts, positions, .. } = probes;
        let logits = self
            .timed("llama_cpp", || llama::logits(file, adapter, prompts, positions, self.settings.threads, self.stop));
        bar.finish_and_clear();
        logits
    }

    /// Compares the file in floats with the forward pass of base and adapter, and with what training saw.
    pub(super) fn prove_float(
        &self,
        file: &Path,
        adapter: Option<&Path>,
        probes: &Probes,
        stored: FloatType,
        proof: &mut Proof,
    ) -> Result<Vec<Vec<f32>>> {
        let dequantised = self.settings.merge_base == MergeBase::Dequantised;
        let found = self.llama_logits(file, adapter, probes)?;
        let rounded = if adapter.is_some() { Rounded::Beside } else { Rounded::Merged };
        self.compare_float(&found, probes, rounded(stored), stored, proof)?;
        if self.source.is_qlora() && !dequantised && self.source.stored()?.is_some() {
            proof.trainer = Some(compare(&found, &self.forward(self.source.streamed(true)?, probes)?)?);
        }
        Ok(found)
    }

    /// Compares logits of what was written with those of base and adapter.
    pub(super) fn compare_float(
        &self,
        found: &[Vec<f32>],
        probes: &Probes,
        rounded: Rounded,
        stored: FloatType,
        proof: &mut Proof,
    ) -> Result<()> {
        let streamed = self.source.streamed(self.settings.merge_base == MergeBase::Dequantised)?;
        let ours = self.forward(streamed, probes)?;
        let difference = compare(&ours, found)?;
        let mut limit = float_limit(stored);
        if difference.relative > limit && stored != FloatType::F32 {
            let rounded = self.forward(Streamed { rounded: Some(rounded), ..streamed }, probes)?;
            let rounding = compare(&ours, &rounded)?;
            limit = rounding_limit(stored, &rounding);
            proof.rounding = Some(rounding);
        }
        proof.float = Some((difference, limit));
        Ok(())
    }

    pub(super) fn prove_quantised(
        &self,
        float: &Path,
        file: &Path,
        float_logits: &[Vec<f32>],
        probes: &Probes,
        quant: Quant,
        proof: &mut Proof,
    ) -> Result<()> {
        let found = self.llama_logits(file, None, probes)?;
        proof.quantised = Some((compare(float_logits, &found)?, quantised_limits(quant)));
        let labels = LabelProbes::new(probes, &self.source.prompts.tasks, &self.source.chat, &self.source.tokenizer)?;
        let engine = EngineSettings {
            width: Some(1),
            ubatch: EngineSettings::UBATCH,
            kv_type: KvType::F32,
            threads: self.settings.threads,
            reproducible: true,
        };
        let (before, after) = (labels.labels(float, &engine, self.stop)?, labels.labels(file, &engine, self.stop)?);
        proof.labels = (before.iter().zip(&after).filter(|(before, after)| before != after).count(), before.len());
        Ok(())
    }

    /// Shows what was compared, and gives an exit code where a limit is missed.
    pub(super) fn verdict(&self, proof: &Proof) -> Result<Option<Code>> {
        proof.lines().iter().for_each(|line| errln!("{line}"));
        let Some(failure) = proof.failure() else { return Ok(None) };
        errln!("error: {}: {failure}", self.settings.output.display());
        errln!(
            "hint: {}; --no-verify writes it anyway",
            if proof.float.is_some_and(|(found, limit)| found.relative > limit) {
                "please report this with the lines above"
            } else {
                "use a larger --quant, or --imatrix with records of yours"
            }
        );
        Ok(Some(Code::Missed))
    }
}
