//! Settings of `reels export`.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, ensure};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::cores;
use crate::error::Hint;

/// Overrides for [`ExportSettings`].
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default)]
pub struct ExportOverrides {
    /// File to write; with --to safetensors the directory
    #[arg(short, long, env = "REELS_OUTPUT", value_name = "F.gguf")]
    pub output: Option<PathBuf>,
    /// Base of the adapter [default: the one it was trained on]
    #[arg(long, env = "REELS_BASE", value_name = "DIR", help_heading = "What")]
    pub base: Option<PathBuf>,
    /// Merge into the base as it is stored, or as it was in training, in four bits [default: original]
    #[arg(long, env = "REELS_MERGE_BASE", help_heading = "What")]
    pub merge_base: Option<MergeBase>,
    /// Format of the output [default: gguf]
    #[arg(long, env = "REELS_TO", help_heading = "How")]
    pub to: Option<ExportFormat>,
    /// How weights are stored; f32, f16 and bf16 are not quantised [default: q8_0, and with --to safetensors as the base]
    #[arg(long, env = "REELS_QUANT", help_heading = "How")]
    pub quant: Option<Quant>,
    /// Records to weigh the columns of each matrix by while quantising; the first 32 count
    #[arg(long, env = "REELS_IMATRIX", value_name = "F.jsonl", help_heading = "How")]
    pub imatrix: Option<PathBuf>,
    /// Don't compare what was written with what it was made from
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", help_heading = "How")]
    pub no_verify: Option<bool>,
    /// Threads of llama.cpp [default: the cores that affinity and control group allow]
    #[arg(long, env = "REELS_THREADS", value_name = "N", help_heading = "How")]
    pub threads: Option<usize>,
}

/// What an adapter is merged into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MergeBase {
    /// The weights as they are stored
    Original,
    /// The weights as training saw them: quantised to four bits and back
    Dequantised,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// One file for llama.cpp and everything built on it
    Gguf,
    /// A Hugging Face directory
    Safetensors,
}

/// How weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[value(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Quant {
    F32,
    F16,
    Bf16,
    #[value(name = "q8_0")]
    #[serde(rename = "q8_0")]
    Q8_0,
    #[value(name = "q6_k")]
    #[serde(rename = "q6_k")]
    Q6K,
    #[value(name = "q5_k_m")]
    #[serde(rename = "q5_k_m")]
    Q5KM,
    #[value(name = "q4_k_m")]
    #[serde(rename = "q4_k_m")]
    Q4KM,
    #[value(name = "q4_0")]
    #[serde(rename = "q4_0")]
    Q4_0,
}

impl Quant {
    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Quant::F32 => "f32",
            Quant::F16 => "f16",
            Quant::Bf16 => "bf16",
            Quant::Q8_0 => "q8_0",
            Quant::Q6K => "q6_k",
            Quant::Q5KM => "q5_k_m",
            Quant::Q4KM => "q4_k_m",
            Quant::Q4_0 => "q4_0",
        }
    }

    /// Whether it is a float of 16 or 32 bits.
    pub fn is_float(self) -> bool {
        matches!(self, Quant::F32 | Quant::F16 | Quant::Bf16)
    }
}

/// Settings of `reels export`.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportSettings {
    /// Run, adapter or model.
    pub directory: PathBuf,
    /// Only the adapter.
    pub adapter_only: bool,
    /// File or directory to write.
    pub output: PathBuf,
    /// Base of the adapter; `None` is the one it was trained on.
    pub base: Option<PathBuf>,
    #[expect(missing_docs, reason = "the type says it")]
    pub merge_base: MergeBase,
    #[expect(missing_docs, reason = "the type says it")]
    pub to: ExportFormat,
    /// `None` is as the base is stored.
    pub quant: Option<Quant>,
    /// Records that calibrate quantising.
    pub imatrix: Option<PathBuf>,
    /// Compare what was written with what it was made from.
    pub verify: bool,
    /// Of llama.cpp.
    pub threads: usize,
}

impl ExportOverrides {
    /// Fills in defaults and checks what goes together, for a run, adapter or model.
    ///
    /// # Errors
    /// Names the flag and the value.
    pub fn resolve(self, directory: PathBuf, adapter_only: bool) -> Result<ExportSettings> {
        let to = self.to.unwrap_or(ExportFormat::Gguf);
        let output =
            self.output.context("--output is missing").hint("name the file to write, e.g. --output gguf/my.gguf")?;
        let quant = match (to, adapter_only) {
            (ExportFormat::Gguf, false) => Some(self.quant.unwrap_or(Quant::Q8_0)),
            _ => self.quant,
        };
        if to == ExportFormat::Gguf {
            ensure!(
                output.extension().is_some_and(|extension| extension == "gguf"),
                anyhow!("--output {} doesn't end in .gguf", output.display())
                    .hint("name a file; or use --to safetensors for a directory")
            );
        }
        if adapter_only {
            ensure!(
                to == ExportFormat::Gguf && self.quant.is_none() && self.merge_base.is_none() && self.imatrix.is_none(),
                anyhow!(
                    "--adapter goes with none of --to, --quant, --merge-base and --imatrix: adapters are stored in 32 bits"
                ).hint("leave them out, or merge")
            );
        }
        if let (ExportFormat::Safetensors, Some(quant)) = (to, quant) {
            ensure!(
                quant.is_float(),
                anyhow!("--quant {} is not for safetensors", quant.name()).hint("f32, f16 or bf16")
            );
        }
        ensure!(
            self.imatrix.is_none() || quant.is_some_and(|quant| !quant.is_float()),
            anyhow!("--imatrix is for quantising").hint("leave it out, or add --quant q4_k_m")
        );
        let threads = self.threads.unwrap_or_else(cores);
        ensure!((1..=1024).contains(&threads), "--threads {threads} is not between 1 and 1024");
        Ok(ExportSettings {
            directory,
            adapter_only,
            output,
            base: self.base,
            merge_base: self.merge_base.unwrap_or(MergeBase::Original),
            to,
            quant,
            imatrix: self.imatrix,
            verify: self.no_verify != Some(true),
            threads,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Shown;

    #[test]
    fn what_does_not_go_together_is_named() {
        let given = ExportOverrides { output: Some("a.gguf".into()), ..Default::default() };
        assert_eq!(given.clone().resolve("run".into(), false).unwrap().quant, Some(Quant::Q8_0));
        let refused = |adapter_only: bool, change: &dyn Fn(&mut ExportOverrides), expected: &str| {
            let mut overrides = given.clone();
            change(&mut overrides);
            let message = Shown::of(&overrides.resolve("run".into(), adapter_only).unwrap_err()).to_string();
            assert!(message.contains(expected) && message.contains("\nhint: "), "{message}");
        };
        refused(false, &|given| given.output = None, "--output is missing");
        refused(false, &|given| given.output = Some("a".into()), "--output a doesn't end in .gguf");
        refused(true, &|given| given.quant = Some(Quant::Q4_0), "--adapter goes with none of");
        refused(
            false,
            &|given| (given.to, given.quant) = (Some(ExportFormat::Safetensors), Some(Quant::Q6K)),
            "--quant q6_k is not for safetensors",
        );
        refused(
            false,
            &|given| (given.imatrix, given.quant) = (Some("a.jsonl".into()), Some(Quant::F16)),
            "--imatrix is for quantising",
        );
    }
}
