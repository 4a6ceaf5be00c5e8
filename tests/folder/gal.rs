//! What makes the bundled model, which writes summaries and no Reels, write something that filters can be tried on.

use std::path::Path;

use super::Folder;

/// Writes `real.jsonl`, 24 Reels of `eval/dev.jsonl`, and `write.jinja`: the prompt that it writes summaries for, about a label.
pub fn write(folder: &Folder) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    let reels = read("eval/dev.jsonl");
    folder.write("real.jsonl", reels.lines().take(24).collect::<Vec<_>>().join("\n") + "\n");
    let between = |text: &str, start: &str, end: &str| {
        let from = text.find(start).unwrap();
        text[from..from + text[from..].find(end).unwrap()].to_owned()
    };
    let system = between(&read("prompts/base.jinja"), "{% block system %}", "{% endblock %}");
    let task = between(&read("prompts/summary.jinja"), "Tugas:", "{% endblock %}");
    let reel = "Keterangan: {{ label }}, {{ description }}\nTranskrip:\nhalo teman teman hari ini kita bahas {{ description }} dari kampung \
                sampai kota besar semua orang pasti pernah mengalaminya";
    folder.write(
        "write.jinja",
        format!("{system}{{% endblock %}}\n{{% block user %}}\nData Reel\n\n{reel}\n\n{task}{{% endblock %}}\n"),
    );
}

/// Of some labels, so many that pass.
pub fn generate(model: &str, output: &str) -> String {
    format!(
        "gal generate real.jsonl --model {model} --output {output} --label musik,edukasi --accepted 2 --candidates 5 \
         --shots 0 --template write.jinja --reel-tokens 60 --temperature 1.0"
    )
}
