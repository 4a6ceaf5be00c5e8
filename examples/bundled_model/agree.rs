//! Whether our own forward pass of base and adapter chooses the labels that files made of them chose.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device};
use clap::Args;
use reels::learner::Document;
use reels::prediction::read_predictions;
use reels::prompt::{HubTokenizer, Prompt, PromptSet, fit};
use reels::qlora::adapter::{self, AdapterWeights};
use reels::qlora::checkpoint::Checkpoint;
use reels::qlora::config::Config;
use reels::qlora::model::{Method, Model};
use reels::task::{Task, TaskKind};
use serde_json::Value;

/// Share of answers that must be the same.
const LEAST: f64 = 0.98;

#[derive(Args)]
pub struct Agree {
    /// Run of `reels train`
    #[arg(long)]
    run: PathBuf,
    #[arg(long)]
    base: PathBuf,
    #[arg(long)]
    reels: PathBuf,
    /// What files made of the run answered
    #[arg(long, required = true, num_args = 1..)]
    predictions: Vec<PathBuf>,
}

impl Agree {
    pub fn run(&self) -> Result<()> {
        let mut config = Config::read(&self.base)?;
        let checkpoint = Checkpoint::open(&self.base, &mut config)?;
        let weights = AdapterWeights::read(&self.run, &config, &checkpoint)?;
        let method = Method::Lora(adapter::shape(&self.run)?);
        let mut model = Model::load(&checkpoint, &config, &method, DType::F32, &Device::Cpu)?;
        model.layers.iter_mut().flat_map(|layer| layer.linears_mut()).for_each(|linear| weights.attach(linear));
        let tokenizer = HubTokenizer::read(&self.run)?;
        let chat = tokenizer.chat(&self.run)?;
        let prompts = PromptSet::find(Some(&self.run.join("prompts")))?;
        let manifest: Value = serde_json::from_str(&std::fs::read_to_string(self.run.join("manifest.json"))?)?;
        let budget = manifest["max_prompt_tokens"].as_u64().context("the run has no prompt budget")? as usize;
        let end = chat.end_token(&tokenizer)?;
        let best = |prompt: &Prompt, task: &Task| -> Result<String> {
            let tokens =
                |label: &String| Ok([chat.answer_tokens(&prompt.text, label, &tokenizer)?, vec![end]].concat());
            let answers = task.labels.iter().map(tokens).collect::<Result<Vec<Vec<u32>>>>()?;
            let scores = scores(&model, &prompt.tokens, &answers)?;
            let best = (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).context("no labels")?;
            Ok(task.labels[best].clone())
        };
        let mut chosen: BTreeMap<(String, String), String> = BTreeMap::new();
        for reel in super::texts::records(std::slice::from_ref(&self.reels))? {
            let made = fit(&reel, &prompts, &chat, &tokenizer, budget)?;
            for (prompt, task) in made.iter().zip(&prompts.tasks).filter(|(_, task)| task.kind == TaskKind::Label) {
                chosen.insert((reel.id.clone(), task.name.clone()), best(prompt, task)?);
            }
        }
        for path in &self.predictions {
            let (mut same, mut all) = (0, 0);
            for prediction in read_predictions(path)? {
                if let Some(label) = chosen.get(&(prediction.reel_id, prediction.task)) {
                    all += 1;
                    same += usize::from(prediction.output == *label);
                }
            }
            println!("{}: {same} of {all} labels are those of our forward pass", path.display());
            ensure!(all > 0 && same as f64 >= LEAST * all as f64, "{}: fewer than 98 %", path.display());
        }
        Ok(())
    }
}

/// log P of each answer behind the prompt, computed together.
fn scores(model: &Model, prompt: &[u32], answers: &[Vec<u32>]) -> Result<Vec<f64>> {
    let tokens = [prompt, &answers.concat()].concat();
    let document = Document { prefix: prompt.len(), branches: answers.iter().map(Vec::len).collect() };
    let logits: Vec<Vec<f32>> = model.logits(&tokens, &[document])?.to_vec2()?;
    let log_probability = |row: &[f32], token: u32| {
        let sum: f64 = row.iter().map(|logit| f64::from(*logit).exp()).sum();
        f64::from(row[token as usize]) - sum.ln()
    };
    let mut start = prompt.len();
    let mut scores = Vec::new();
    for answer in answers {
        let row = |at: usize| if at == 0 { prompt.len() - 1 } else { start + at - 1 };
        scores.push(answer.iter().enumerate().map(|(at, token)| log_probability(&logits[row(at)], *token)).sum());
        start += answer.len();
    }
    Ok(scores)
}
