//! Records and predictions for the tests of this module.

use crate::prediction::{Answer, Finish, Prediction, TokenCounts};
use crate::reel::Reel;
use crate::task::{Task, parse_tasks};

/// A text task and a label task.
pub fn tasks() -> Vec<Task> {
    let text = "[task.summary]\nkind = \"text\"\ntemplate = \"s\"\nmax_tokens = 9\n\
        [task.ad]\nkind = \"label\"\ntemplate = \"a\"\nmax_tokens = 9\nlabels = [\"iklan\", \"bukan iklan\"]\n";
    parse_tasks(text, "tasks.toml").unwrap()
}

/// Says "kopi susu" and is an advertisement.
pub fn reel(id: &str, summary: Option<&str>) -> Reel {
    let mut reel = Reel { id: id.into(), transcript: Some("kopi susu".into()), ..Reel::default() };
    reel.reference.insert("ad".into(), "iklan".into());
    reel.reference.extend(summary.map(|text| ("summary".to_owned(), text.to_owned())));
    reel
}

/// An answer to `{task}?`.
pub fn prediction(reel_id: &str, task: &str, repeat: u32, output: &str) -> Prediction {
    Prediction {
        v: 1,
        reel_id: reel_id.into(),
        task: task.into(),
        repeat,
        output: output.into(),
        label_logprobs: None,
        finish: Finish::Stop,
        error: None,
        truncated_tokens: 0,
        prompt: format!("{task}?"),
        prompt_sha256: "p".into(),
        model_sha256: "m".into(),
        adapter_sha256: None,
        settings_sha256: "s".into(),
        tokens: TokenCounts::default(),
        seconds: 0.0,
    }
}

/// The first answer of a model to a task.
pub fn answer(id: &str, task: &str, output: &str) -> Answer {
    let Prediction { output, finish, prompt, .. } = prediction(id, task, 0, output);
    let blank = Answer::missing(id.into(), task.into(), 0);
    Answer { output: Some(output), finish: Some(finish), prompt: Some(prompt), ..blank }
}
