//! What is learned from real texts: the prompts that transformers makes, the answers behind them.

use std::path::Path;

use reels::lines::Lines;
use reels::prompt::{HubTokenizer, PromptSet};
use reels::reel::read_reels;
use reels::train::examples::Maker;
use reels::train::pack::pack;
use serde_json::Value;

#[test]
fn prompts_are_those_of_transformers_and_packs_are_full() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let mini = shared.join("models/indo-mini");
    if !mini.exists() {
        eprintln!("skipped: {} is not here", mini.display());
        return;
    }
    let tokenizer = HubTokenizer::read(&mini.join("base")).unwrap();
    let chat = tokenizer.chat(&mini.join("base")).unwrap();
    let prompts = PromptSet::find(Some(&mini.join("prompts"))).unwrap();
    let reels = read_reels(&Lines::open(&shared.join("data/indosum/test.jsonl"), "data").unwrap()).unwrap();
    let maker =
        Maker { prompts: &prompts, chat: &chat, tokenizer: &tokenizer, max_prompt_tokens: 3072, max_tokens: 4096 };
    let made = maker.examples("test.jsonl", &reels).unwrap();
    assert_eq!((made.examples.len(), made.too_long.len()), (500, 0));
    let expected = std::fs::read_to_string(mini.join("expected-test.jsonl")).unwrap();
    for (line, examples) in expected.lines().zip(made.examples.chunks(2)) {
        let expected: Value = serde_json::from_str(line).unwrap();
        for example in examples {
            assert_eq!(expected["id"], example.reel_id);
            let ids: Vec<u32> = serde_json::from_value(expected[&example.task]["prompt_ids"].clone()).unwrap();
            assert_eq!(example.tokens[..example.answer_at], ids, "{} {}", example.reel_id, example.task);
        }
    }
    // A whole conversation, tokenised at once, is the example and the template's newline.
    use reels::prompt::Tokenizer;
    let first = &made.examples[0];
    let system = prompts.render(&reels[0], &prompts.tasks[0]).unwrap();
    let text = format!("{}{}<|im_end|>\n", chat.prompt(&system).unwrap(), reels[0].reference["summary"].trim());
    let whole = tokenizer.encode(&text).unwrap();
    assert_eq!(whole[..first.tokens.len()], first.tokens);

    let lengths: Vec<usize> = made.examples.iter().map(|example| example.tokens.len()).collect();
    let packs = pack(&lengths, 4096);
    let share = lengths.iter().sum::<usize>() as f64 / (packs.len() * 4096) as f64;
    assert!(share > 0.95, "{share}");
}

#[test]
fn the_real_qwen_tokenizer_and_its_template_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/models/qwen2.5-tokenizer");
    if !folder.exists() {
        eprintln!("skipped: {} is not here", folder.display());
        return;
    }
    let tokenizer = HubTokenizer::read(&folder).unwrap();
    let chat = tokenizer.chat(&folder).unwrap();
    assert_eq!(tokenizer.len(), 151_665);
    assert_eq!(chat.end_token(&tokenizer).unwrap(), 151_645);
}
