//! Chat templates against transformers' rendering (tests/reference/templates.py).

use reels::prompt::{ChatFormat, Message, SpecialTokens};
use serde_json::Value;

#[test]
fn templates_are_rendered_as_transformers_renders_them() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/templates.json");
    let expected: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let turn = |at: usize, role| Message { role, content: text(&expected["messages"][at]["content"]) };
    let messages = [turn(0, "system"), turn(1, "user")];
    let templates = expected["templates"].as_object().unwrap();
    assert!(templates.len() >= 9);
    for (name, case) in templates {
        let tokens = SpecialTokens { bos: "<s>".into(), eos: "</s>".into(), ..SpecialTokens::default() };
        let chat = ChatFormat::new(case["template"].as_str().unwrap(), tokens)
            .unwrap_or_else(|error| panic!("{name}: {error:#}"));
        assert_eq!(chat.prompt(&messages).unwrap(), text(&case["rendered"]), "{name}");
    }
}
