//! Writes the token batches of a training run as JSON lines, so that another trainer can be fed the very same ones:
//!
//! ```text
//! cargo bench --bench train_batches -- BASE PROMPTS MAX_SEQ_TOKENS GRAD_ACCUM STEPS TRAIN.jsonl DEV.jsonl > batches.jsonl
//! ```
//!
//! `STEPS` 0 is one epoch. The order is that of `reels train` with `--batch-size 1` and the default seed. A line a step
//! with its batches, each a list of examples `[tokens, answer_at]`; the last line has the dev data's batches.

use std::path::Path;

use reels::config::{Duration, Optimisation, ScheduleKind};
use reels::learner::Batch;
use reels::lines::Lines;
use reels::prompt::{HubTokenizer, PromptSet};
use reels::reel::read_reels;
use reels::train::examples::{Maker, max_prompt_tokens};
use reels::train::schedule::Schedule;
use reels::train::sequences::{Sequence, sequences};
use serde_json::{Value, json};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [base, prompts, max_tokens, grad_accum, steps, train, dev] = &arguments[..] else {
        println!("train_batches: skipped, it takes seven arguments, see its source");
        return;
    };
    let number = |text: &String| text.parse::<usize>().expect("a number");
    let (base, max_tokens) = (Path::new(base), number(max_tokens));
    let prompts = PromptSet::find(Some(Path::new(prompts))).expect("prompts");
    let tokenizer = HubTokenizer::read(base).expect("a tokenizer");
    let chat = tokenizer.chat(base).expect("a chat template");
    let maker = Maker {
        prompts: &prompts,
        chat: &chat,
        tokenizer: &tokenizer,
        max_prompt_tokens: max_prompt_tokens(max_tokens, &prompts).expect("a budget"),
        max_tokens,
    };
    let read = |path: &String| {
        let reels = read_reels(&Lines::open(Path::new(path), "data").expect("data")).expect("records");
        sequences(&maker.examples(path, &reels).expect("examples").examples, Some(max_tokens))
    };
    let (train, dev) = (read(train), read(dev));
    let duration = match number(steps) {
        0 => Duration::Epochs(1),
        steps => Duration::Steps(steps),
    };
    let optimisation = Optimisation {
        lr: 1.0,
        schedule: ScheduleKind::Constant,
        warmup: 0.0,
        duration,
        batch_size: 1,
        grad_accum: number(grad_accum),
        weight_decay: 0.0,
        max_grad_norm: None,
        shuffle: true,
        eval_every: None,
        patience: None,
    };
    let schedule = Schedule::new(train.len(), optimisation, 42);
    for step in 0..schedule.steps {
        let batches: Vec<Value> = schedule.batches(step).iter().map(|batch| examples(&train[batch[0]])).collect();
        println!("{}", json!({"batches": batches}));
    }
    println!("{}", json!({"dev": dev.iter().map(examples).collect::<Vec<Value>>()}));
}

/// The examples of a sequence, each in whole again.
fn examples(Sequence { batch, .. }: &Sequence) -> Value {
    let Batch { tokens, documents, rows, .. } = batch;
    let mut examples = Vec::new();
    let (mut start, mut row) = (0, 0);
    for document in documents {
        let prefix = &tokens[start..start + document.prefix];
        let branches = if document.branches.is_empty() { &vec![0][..] } else { &document.branches };
        let mut at = start + document.prefix;
        for branch in branches {
            let whole = [prefix, &tokens[at..at + branch]].concat();
            // The learned rows of an example are its last ones but the very last.
            let own = rows[row..].iter().take_while(|own| (**own as usize) < at + branch - 1).count();
            examples.push(json!([whole, whole.len() - own]));
            (at, row) = (at + branch, row + own);
        }
        start += document.tokens();
    }
    examples.into()
}
