//! `reels data review` and `reels data agreement` as their users run them.

mod folder;

use folder::Folder;
use serde_json::{Value, json};

/// Reels of accounts, with what isn't ours left as it is.
fn records() -> String {
    let record = |at: usize| {
        json!({"id": format!("r{at}"), "account": format!("a{}", at / 2), "caption": format!("Keterangan {at}"),
            "transcript": format!("=ucapan nomor {at}, <b>tebal</b>"), "likes": at, "ours": {"kept": at}})
    };
    (0..6).map(|at| record(at).to_string() + "\n").collect()
}

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("reels.jsonl", records());
    folder
}

/// Fills in a table that `reels` wrote: by id the category, the ad and a note.
fn fill(folder: &Folder, table: &str, filled: &str, answers: &[(&str, [&str; 3])]) {
    let mut reader =
        csv::Reader::from_reader(folder.read(table).trim_start_matches('\u{feff}').as_bytes().to_vec().leak() as &[u8]);
    let header = reader.headers().unwrap().clone();
    let at = |name: &str| header.iter().position(|column| column == name).unwrap();
    let mut writer = csv::Writer::from_writer(vec![]);
    writer.write_record(&header).unwrap();
    for row in reader.records() {
        let mut row: Vec<String> = row.unwrap().iter().map(str::to_owned).collect();
        if let Some((_, own)) = answers.iter().find(|(id, _)| *id == row[at("id")]) {
            for (column, value) in ["category", "ad", "note"].iter().zip(own) {
                row[at(column)] = (*value).to_owned();
            }
        }
        writer.write_record(&row).unwrap();
    }
    folder.write(filled, writer.into_inner().unwrap());
}

/// What two people answer: they differ about r2 and r3.
fn two_people(folder: &Folder) {
    for name in ["ani", "budi"] {
        folder.succeeds(&format!("data review reels.jsonl --to csv --annotator {name} --output {name}.form.csv"));
    }
    let ani = [
        ("r0", ["kuliner", "iklan", ""]),
        ("r1", ["musik", "bukan iklan", ""]),
        ("r2", ["hiburan", "iklan", "atau musik"]),
        ("r3", ["bisnis", "iklan", ""]),
    ];
    let budi = [
        ("r0", ["kuliner", "iklan", ""]),
        ("r1", ["musik", "bukan iklan", ""]),
        ("r2", ["musik", "iklan", ""]),
        ("r3", ["bisnis", "bukan iklan", ""]),
        ("r4", ["Agama ", "", ""]),
    ];
    fill(folder, "ani.form.csv", "ani.csv", &ani);
    fill(folder, "budi.form.csv", "budi.csv", &budi);
}

#[test]
fn tables_go_out_in_an_order_of_each_annotators_own() {
    let folder = folder();
    two_people(&folder);
    let ids = |name: &str| -> Vec<String> {
        folder.read(name).lines().skip(1).map(|line| line.split(',').next().unwrap().to_owned()).collect()
    };
    let (ani, budi) = (ids("ani.form.csv"), ids("budi.form.csv"));
    assert_ne!(ani, budi);
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    assert_eq!(sorted(ani), sorted(budi));
    // A spreadsheet calculates nothing that somebody said.
    assert!(folder.read("ani.form.csv").contains("'=ucapan nomor 0"));
}

#[test]
fn labels_of_two_people_come_back_into_the_records() {
    let folder = folder();
    two_people(&folder);
    let run = folder.succeeds("data review reels.jsonl --from ani.csv budi.csv --output labelled.jsonl");
    for part in [
        "ani        4 of 6",
        "budi       5 of 6",
        "category: 4 decided, 1 disputed, with the reference that they had: r2",
        "ad: 3 decided, 1 disputed, with the reference that they had: r3",
    ] {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
    assert!(run.err.contains("labels that were spelt otherwise: 1, such as \"Agama\" for \"agama\""), "{}", run.err);
    let lines = folder.lines("labelled.jsonl");
    assert_eq!(lines[0]["reference"], json!({"category": "kuliner", "ad": "iklan"}));
    assert_eq!(lines[0]["ours"], json!({"kept": 0}));
    assert_eq!(lines[2]["reference"], json!({"ad": "iklan"}));
    assert_eq!(lines[2]["soft"]["category"], json!({"hiburan": 0.5, "musik": 0.5}));
    assert_eq!(
        lines[2]["annotations"]["category"],
        json!([{"by": "ani", "answer": "hiburan", "note": "atau musik"}, {"by": "budi", "answer": "musik"}])
    );
    assert_eq!((&lines[4]["reference"], &lines[4]["soft"]), (&json!({"category": "agama"}), &Value::Null));
    assert_eq!(lines[5].to_string() + "\n", records().lines().nth(5).unwrap().to_owned() + "\n");
    // What is an answer to another version of the task is left out, and told.
    folder.write("other.jsonl", folder.read("labelled.jsonl").replace("\"answer\":\"musik\"", "\"answer\":\"lagu\""));
    let other = folder.succeeds("data agreement other.jsonl");
    assert!(other.err.contains("annotation that is no label of the task"), "{}", other.err);
    assert!(other.out.starts_with("category: ani, budi; 2 Reels with two labels and more"), "{}", other.out);
    // What is labelled is read again, and agrees with itself.
    let agreement = folder.succeeds("data agreement labelled.jsonl").out;
    assert_eq!(agreement, folder.succeeds("data agreement ani.csv budi.csv").out);
}

#[test]
fn who_decides_is_kept_beside_who_answered() {
    let folder = folder();
    two_people(&folder);
    folder.succeeds("data agreement ani.csv budi.csv --data reels.jsonl --adjudicate decide.html");
    let form = form(&folder, "decide.html");
    let ids: Vec<&str> = form["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!((ids, &form["role"]), (vec!["r2", "r3"], &json!("adjudicator")));
    assert_eq!(form["items"][0]["disputed"]["category"][0]["answer"], "hiburan");
    let item = |at: usize, answers: Value| json!({"id": form["items"][at]["id"], "shown": form["items"][at]["shown"], "answers": answers});
    let decided = json!({"v": 1, "kind": "annotations", "form": form["form"], "role": "adjudicator", "annotator": "Citra", "of": 2,
        "tasks": form["tasks"], "items": [item(0, json!({"category": "musik"})), item(1, json!({"ad": "iklan"}))]});
    folder.write("citra.json", decided.to_string());
    let run = folder.succeeds("data review reels.jsonl --from ani.csv budi.csv citra.json --output labelled.jsonl");
    assert!(!run.out.contains("disputed"), "{}", run.out);
    let lines = folder.lines("labelled.jsonl");
    assert_eq!(lines[2]["reference"]["category"], "musik");
    assert_eq!(lines[2]["soft"]["category"], json!({"hiburan": 0.5, "musik": 0.5}));
    assert_eq!(
        lines[2]["annotations"]["category"][2],
        json!({"by": "citra", "answer": "musik", "role": "adjudicator"})
    );
    // Deciding isn't agreeing.
    assert_eq!(
        folder.succeeds("data agreement labelled.jsonl").out,
        folder.succeeds("data agreement ani.csv budi.csv").out
    );
}

#[test]
fn a_reference_that_was_there_is_kept() {
    let folder = folder();
    two_people(&folder);
    folder.edit("reels.jsonl", |text| {
        text.replacen("\"ours\"", "\"reference\":{\"category\":\"wisata\",\"summary\":\"Ringkas.\"},\"ours\"", 1)
    });
    folder.succeeds("data review reels.jsonl --from ani.csv --output labelled.jsonl");
    let first = &folder.lines("labelled.jsonl")[0];
    assert_eq!(first["reference"], json!({"category": "kuliner", "summary": "Ringkas.", "ad": "iklan"}));
    let former = json!({"by": "reference", "answer": "wisata", "role": "former"});
    assert_eq!(first["annotations"]["category"], json!([{"by": "ani", "answer": "kuliner"}, former]));
    assert!(first.get("soft").is_none());
}

#[test]
fn what_does_not_go_together_is_named_and_nothing_written() {
    let folder = folder();
    two_people(&folder);
    let altered = |from: &str, to: &str| {
        folder.write("odd.csv", folder.read("budi.csv").replace(from, to));
        folder.fails("data review reels.jsonl --from ani.csv odd.csv --output labelled.jsonl", 2)
    };
    let labels = altered("kuliner", "kulinerr");
    assert!(labels.contains("odd.csv: id \"r0\": category is \"kulinerr\", which is not among the labels"), "{labels}");
    assert!(labels.contains("did you mean kuliner?"), "{labels}");
    let twice = altered(",budi,", ",ani,");
    assert!(twice.contains("ani.csv and odd.csv: ani answers about category \"r0\" in both"), "{twice}");
    let version = altered("category:", "category:0");
    assert!(
        version.contains("ani.csv and odd.csv: category had other labels or descriptions in one than in the other"),
        "{version}"
    );
    let unnamed = altered(",budi,", ",,");
    assert!(unnamed.contains("odd.csv:2: annotator is empty"), "{unnamed}");
    let other = altered("r0,", "x0,");
    assert!(other.contains("odd.csv: 1 of 5 Reels aren’t in reels.jsonl: x0"), "{other}");
    let column = altered(",category,", ",kategori,");
    assert!(column.contains("odd.csv: \"kategori\" is none of the tasks"), "{column}");

    folder
        .write("half.json", "{\"v\": 1, \"kind\": \"annotations\", \"annotator\": \"ani\", \"items\": [{\"id\": \"r0");
    let half = folder.fails("data review reels.jsonl --from half.json --output labelled.jsonl", 2);
    assert!(half.contains("half.json: is not whole: EOF while parsing"), "{half}");
    folder.edit("reels.jsonl", |text| text.replace("nomor 1", "nomor satu"));
    let changed = folder.fails("data review reels.jsonl --from ani.csv --output labelled.jsonl", 2);
    assert!(changed.contains("ani.csv: 1 Reels say something else in reels.jsonl now: r1"), "{changed}");
    let over = folder.fails("data review reels.jsonl --from ani.csv --output reels.jsonl", 2);
    assert!(over.contains("reels.jsonl is what is read, and would be overwritten"), "{over}");
    assert!(!folder.has("labelled.jsonl"));
    let alone = folder.fails("data agreement ani.csv", 2);
    assert!(alone.contains("no Reel has labels of two annotators: there is ani about 4 Reels in ani.csv"), "{alone}");
}

#[test]
fn the_same_reels_are_drawn_whatever_order_they_come_in() {
    let folder = folder();
    let mut lines: Vec<String> = records().lines().map(str::to_owned).collect();
    lines.reverse();
    folder.write("turned.jsonl", lines.join("\n"));
    let ids = |data: &str| {
        folder.succeeds(&format!("data review {data} --to csv --annotator x --sample 3 --output {data}.csv"));
        let mut ids: Vec<String> =
            folder.read(&format!("{data}.csv")).lines().skip(1).map(|line| line[..2].to_owned()).collect();
        ids.sort();
        ids
    };
    let none = folder.fails("data review reels.jsonl --to html --sample 0 --output none.html", 2);
    assert!(none.contains("there is no Reel to ask about") && !folder.has("none.html"), "{none}");
    let drawn = ids("reels.jsonl");
    assert_eq!((drawn.len(), &drawn), (3, &ids("turned.jsonl")));
}

/// The form that a page holds.
fn form(folder: &Folder, page: &str) -> Value {
    let page = folder.read(page);
    let form = page.split("<script type=\"application/json\" id=\"form\">").nth(1).unwrap();
    serde_json::from_str(form.split("</script>").next().unwrap()).unwrap()
}

/// What somebody who likes long texts says of all items of a form.
fn rate(form: &Value, annotator: &str) -> Value {
    let items = form["items"].as_array().unwrap().iter().enumerate().map(|(at, item)| {
        let texts = item["texts"].as_array().unwrap();
        let length = |text: &Value| text["text"].as_str().unwrap().len();
        let rated = texts.iter().map(|text| {
            let value = (1 + length(text) / 40 + (at + annotator.len()) % 2).min(5);
            (text["key"].as_str().unwrap().to_owned(), json!({"faithful": 5 - value / 2, "complete": value, "fluent": 3}))
        });
        let ratings: serde_json::Map<String, Value> = rated.collect();
        let preferences: Vec<Value> = match &texts[..] {
            [a, b] => {
                let prefers = if at % 7 == 0 { "neither" } else if length(a) > length(b) { "a" } else { "b" };
                vec![json!({"a": a["key"], "b": b["key"], "prefers": prefers})]
            }
            _ => vec![],
        };
        json!({"id": item["id"], "account": item["account"], "shown": item["shown"], "ratings": ratings, "preferences": preferences})
    });
    json!({"v": 1, "kind": "ratings", "form": form["form"], "role": "annotator", "annotator": annotator, "of": form["items"].as_array().unwrap().len(),
        "tasks": form["tasks"], "items": items.collect::<Vec<_>>()})
}

/// Two baselines over the sample, and what two people say of their summaries.
fn rated() -> Folder {
    let folder = Folder::new();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/eval/sample.jsonl");
    std::fs::copy(sample, folder.path("sample.jsonl")).unwrap();
    for lead in ["lead-1", "lead-3"] {
        folder.succeeds(&format!("eval --model baseline:{lead} --data sample.jsonl --bootstrap 200 --output {lead}"));
    }
    folder.succeeds("data review sample.jsonl --runs lead-1 lead-3 --sample 40 --to html --output rate.html");
    let form = form(&folder, "rate.html");
    for annotator in ["ani", "budi"] {
        folder.write(&format!("{annotator}.json"), rate(&form, annotator).to_string());
    }
    folder
}

#[test]
fn ratings_are_shown_beside_the_scores() {
    let folder = rated();
    let page = folder.read("rate.html");
    assert!(!page.contains("lead-1") && !page.contains("lead-3"), "nobody sees whose texts they are");
    let run = folder.succeeds("data review sample.jsonl --runs lead-1 lead-3 --from ani.json budi.json");
    assert!(run.out.contains("budi       40 of 40"), "{}", run.out);
    assert_eq!(folder.lines("lead-1/ratings.jsonl").len(), 80);
    // Once more, they are the same ratings.
    folder.succeeds("data review sample.jsonl --runs lead-1 lead-3 --from ani.json budi.json");
    assert_eq!(folder.lines("lead-1/ratings.jsonl").len(), 80);

    let compared = folder.succeeds("compare lead-1 lead-3 --bootstrap 200 --output compared");
    for part in [
        "summary: means of ratings from 1 to 5, and differences from lead-1",
        "lead-3, complete",
        "lead-3 over lead-1",
        "summary: people prefer lead-3 to lead-1",
    ] {
        assert!(compared.out.contains(part), "{part}: {}", compared.out);
    }
    let ratings = &folder.json("compared/comparison.json")["ratings"]["summary"];
    assert!(ratings["scales"]["complete"]["differences"][0]["low"].as_f64().unwrap() > 0.0, "{ratings}");
    assert!(folder.read("compared/comparison.tex").contains("lead-3 over lead-1 & "));
    assert!(folder.read("compared/comparison.md").contains("| lead-3 over lead-1 | "));
    assert!(folder.read("compared/comparison.html").contains("What people say"));

    folder.succeeds("report lead-3 --against lead-1 --bootstrap 200 --format html,md,tex,csv");
    for (file, part) in [
        ("report.html", "Complete, 1 to 5 by people"),
        ("report.html", "2 annotators rated 40 texts from 1 to 5"),
        ("report.html", "summary: 2 annotators gave 40 texts from 1 to 5 on average faithful "),
        ("report.html", "2 anotator menilai 40 teks dari 1 sampai 5"),
        ("report.html", "Spearman’s rank correlation"),
        ("report.md", "| ROUGE-L | "),
        ("report.tex", "Complete, 1 to 5 by people & "),
        ("report.tex", "lead-3 over lead-1 & "),
        ("report.csv", "summary,people.complete,"),
    ] {
        assert!(folder.read(&format!("lead-3/{file}")).contains(part), "{file}: {part}");
    }
    for scale in ["quadratic weighted kappa", "Krippendorff’s alpha"] {
        assert!(folder.read("lead-3/report.md").contains(scale), "{scale}");
    }
    // Texts that are made again are other texts.
    folder.edit("lead-3/rows.jsonl", |rows| rows.replace("\"output\":\"", "\"output\":\"Baru: "));
    folder.succeeds("report lead-3 --format md");
    let report = folder.read("lead-3/report.md");
    assert!(report.contains("80 ratings of texts that the run doesn’t have, left out."), "{report}");
    assert!(!report.contains("1 to 5 by people"));
}

#[test]
fn ratings_of_other_texts_are_refused() {
    let folder = rated();
    let other = folder.fails("data review sample.jsonl --runs lead-1 --from ani.json", 2);
    assert!(other.contains("no run has the text that was rated"), "{other}");
    folder.edit("budi.json", |text| text.replace("\"fluent\":3", "\"fluent\":7"));
    let high = folder.fails("data review sample.jsonl --runs lead-1 lead-3 --from ani.json budi.json", 2);
    assert!(high.contains("budi.json: Reel ") && high.contains("fluent is 7, not 1 to 5"), "{high}");
    let labels = folder.fails("data review sample.jsonl --from ani.json --output x.jsonl", 2);
    assert!(labels.contains("ani.json: holds ratings, not labels"), "{labels}");
    assert!(!folder.has("lead-1/ratings.jsonl"));
    folder.succeeds("data review sample.jsonl --runs lead-1 lead-3 --from ani.json");
    folder.edit("ani.json", |text| text.replace("\"fluent\":3", "\"fluent\":2"));
    let otherwise = folder.fails("data review sample.jsonl --runs lead-1 lead-3 --from ani.json", 2);
    assert!(
        otherwise.contains("ani.json: ani rated the text about") && otherwise.contains("otherwise before"),
        "{otherwise}"
    );
}

#[test]
fn the_card_says_how_far_the_second_annotator_agrees() {
    let folder = Folder::new();
    let eval = |name: &str| format!("{}/eval/{name}", env!("CARGO_MANIFEST_DIR"));
    let files = format!("{} {}", eval("dev.jsonl"), eval("dev.second.json"));
    let agreements: Value =
        serde_json::from_str(&folder.succeeds(&format!("data agreement {files} --json")).out).unwrap();
    let card = std::fs::read_to_string(eval("README.md")).unwrap();
    for task in ["category", "ad"] {
        let of_task = &agreements[task];
        let metrics = ["percent_agreement", "cohen_kappa", "krippendorff_alpha", "gwet_ac1"].map(|key| {
            let metric = &of_task["agreement"]["metrics"][key];
            let [value, low, high] = ["value", "low", "high"].map(|name| metric[name].as_f64());
            let interval = low.zip(high).map(|(low, high)| format!(" ({low:.3} – {high:.3})"));
            format!("{:.3}{}", value.unwrap(), interval.unwrap_or_default())
        });
        let disputed = of_task["disputed"].as_array().unwrap().len();
        let row = format!("| {task} | {} | {disputed} |", metrics.join(" | "));
        assert!(card.contains(&row), "{row}");
    }
}

#[test]
fn how_far_people_agree_stands_beside_the_scores() {
    let folder = Folder::new();
    let eval = |name: &str| format!("{}/eval/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::copy(eval("dev.jsonl"), folder.path("dev.jsonl")).unwrap();
    let first = eval("dev.second.json");
    // Somebody else who calls all that is disputed or not entertainment.
    let mut other: Value = serde_json::from_str(&std::fs::read_to_string(&first).unwrap()).unwrap();
    other["annotator"] = json!("third");
    for item in other["items"].as_array_mut().unwrap().iter_mut().step_by(10) {
        item["answers"]["category"] = json!("hiburan");
    }
    folder.write("third.json", other.to_string());
    folder.succeeds(&format!("data review dev.jsonl --from {first} third.json --output labelled.jsonl"));
    let stats = folder.succeeds("data stats labelled.jsonl --output stats").out;
    assert!(stats.contains("category: annotators (second, third) reach among themselves, over 120 Reels"), "{stats}");
    assert!(folder.read("stats/data.md").contains("- ad: annotators (second, third) reach among themselves"));
    let train = format!("--train {}", eval("dev.jsonl"));
    let run = folder.succeeds(&format!(
        "eval --model baseline:majority {train} --data labelled.jsonl --bootstrap 200 --output out"
    ));
    assert!(
        run.out
            .replace("\n  ", " ")
            .contains("category: annotators (second, third) reach among themselves, over 120 Reels, percent"),
        "{}",
        run.out
    );
    folder.succeeds("report out --format html,md,tex,csv");
    for (file, part) in [
        ("report.html", "<abbr title=\"what annotators reach among themselves\">People</abbr>"),
        ("report.html", "kesepakatan antaranotator (second, third) atas 120 Reels adalah persentase kesepakatan"),
        ("report.md", "| n | People among themselves |"),
        ("report.tex", "$n$ & People"),
        ("report.csv", "category,people.krippendorff_alpha,"),
    ] {
        assert!(folder.read(&format!("out/{file}")).contains(part), "{file}: {part}");
    }
    let agreed = &folder.json("out/scores.json")["tasks"]["category"]["agreement"]["metrics"]["percent_agreement"];
    let row = "| category | Accuracy | ";
    let table = folder.read("out/report.md");
    let accuracy = table.lines().find(|line| line.starts_with(row)).unwrap();
    assert!(accuracy.contains(&format!("| {:.3} (", agreed["value"].as_f64().unwrap())), "{accuracy}");
}

#[test]
fn what_a_model_suggests_is_nobodys_answer() {
    let folder = folder();
    std::fs::create_dir(folder.path("run")).unwrap();
    folder.write("run/predictions.jsonl", "{\"id\":\"r0\",\"task\":\"category\",\"output\":\"kuliner\"}\n");
    folder.succeeds("data review reels.jsonl --show-answers run --to csv --annotator ani --output form.csv");
    assert!(folder.read("form.csv").contains(",category,ad,note,suggested_category,duration_s,"));
    fill(&folder, "form.csv", "ani.csv", &[("r1", ["musik", "iklan", ""])]);
    folder.succeeds("data review reels.jsonl --from ani.csv --output labelled.jsonl");
    let annotated: Vec<bool> =
        folder.lines("labelled.jsonl").iter().map(|reel| reel.get("annotations").is_some()).collect();
    assert_eq!(annotated, [false, true, false, false, false, false]);
    folder.succeeds("data review reels.jsonl --show-answers run --to html --output page.html");
    assert_eq!(form(&folder, "page.html")["items"][0]["suggested"], json!({"category": "kuliner"}));
    folder.succeeds("data review reels.jsonl --to html --output page.html");
    assert!(!folder.read("page.html").contains("\"suggested\":"));
}

#[test]
fn two_versions_of_the_tasks_are_told_apart() {
    let folder = Folder::new();
    let eval = |name: &str| format!("{}/eval/{name}", env!("CARGO_MANIFEST_DIR"));
    let second: Value = serde_json::from_str(&std::fs::read_to_string(eval("dev.second.json")).unwrap()).unwrap();
    let with = |from: &str, to: &str| {
        let mut other = second.clone();
        other["tasks"] = serde_json::from_str(&other["tasks"].to_string().replace(from, to)).unwrap();
        folder.write("other.json", other.to_string());
    };
    let command = format!("data agreement {} other.json", eval("dev.jsonl"));
    with("\"wisata\",", "\"piknik\",");
    let labels = folder.fails(&command, 2);
    assert!(labels.contains("other.json: category had other labels: piknik there, wisata now"), "{labels}");
    with("\"name\":\"ad\"", "\"name\":\"iklan\"");
    let task = folder.fails(&command, 2);
    assert!(task.contains("other.json: answers to \"iklan\", which is none of the tasks"), "{task}");
    // Labels are the same, and what they mean is put otherwise: that is told.
    folder.succeeds("prompt eject");
    folder.edit("prompts/tasks.toml", |text| text.replace("jajanan", "camilan"));
    folder.write("other.json", second.to_string());
    let described = folder.succeeds(&command).err;
    assert!(described.contains("warning: other.json: the tasks were described otherwise"), "{described}");
}
