//! Scoring as its users run it: answers that are missing, empty or from elsewhere, and data of few accounts.

mod folder;

use folder::Folder;

/// With few resamples.
fn few_resamples() -> Folder {
    let folder = Folder::new();
    let sections = ["eval", "score", "compare", "report"].map(|section| format!("[{section}]\nbootstrap = 200\n"));
    folder.write("reels.toml", sections.concat());
    folder
}

const LABELS: [&str; 4] = ["kuliner", "otomotif", "edukasi", "lainnya"];

/// Records of accounts by index.
fn records(count: usize, account: impl Fn(usize) -> String) -> String {
    let record = |index: usize| {
        serde_json::json!({
            "id": format!("r{index}"),
            "account": account(index),
            "transcript": format!("Kopi susu nomor {index} enak. Harga {index} ribu."),
            "reference": {"summary": format!("Kopi susu nomor {index} enak."), "category": LABELS[index % 4]},
        })
        .to_string()
            + "\n"
    };
    (0..count).map(record).collect()
}

fn of_each(index: usize) -> String {
    format!("a{index}")
}

/// Answers from elsewhere to the category of these records, all of them right.
fn answers(reels: impl Iterator<Item = usize>) -> String {
    let answer =
        |index: usize| format!("{{\"id\":\"r{index}\",\"task\":\"category\",\"output\":\"{}\"}}\n", LABELS[index % 4]);
    reels.map(answer).collect()
}

#[test]
fn one_account_decides_nothing() {
    let folder = few_resamples();
    folder.write("one.jsonl", records(40, |_| "kedai".into())).write("blank.jsonl", records(40, |_| " ".into()));
    for interval in
        ["", " --interval bca", " --interval percentile", " --interval jackknife", " --interval bootstrap-t"]
    {
        let args =
            format!("eval --model baseline:lead-1 --data one.jsonl -o o --fail-under summary.rougeL=0.1{interval}");
        let said = folder.fails(&args, 4);
        let why = "can't be decided by this data (1.000, the 95 % interval is withheld: the rows are of 1 account; ";
        assert!(said.contains(why), "{said}");
    }
    folder.succeeds("eval --model baseline:lead-3 --data one.jsonl -o three");
    for interval in ["", " --interval percentile"] {
        let told = folder.succeeds(&format!("compare o three{interval}")).out;
        assert!(told.contains("This data can’t tell three from o, however far apart they are: "), "{told}");
        assert!(!told.contains("have the same"), "{told}");
    }
    // Rows as an earlier version left them: a blank account is no account.
    folder.succeeds("eval --model baseline:lead-1 --data blank.jsonl -o o1");
    folder.succeeds("eval --model baseline:lead-3 --data blank.jsonl -o o3");
    for name in ["o1/rows.jsonl", "o3/rows.jsonl"] {
        let rows = folder.lines(name).into_iter().map(|mut row| {
            row["account"] = " ".into();
            row.to_string() + "\n"
        });
        folder.write(name, rows.collect::<String>());
    }
    let told = folder.succeeds("compare o1 o3").out;
    assert!(told.contains("40 rows, of 40 Reels"), "{told}");
}

#[test]
fn missing_answers_count_as_wrong_and_are_said_everywhere() {
    let folder = few_resamples();
    folder
        .write("d.jsonl", records(40, of_each))
        .write("half.jsonl", answers(0..20))
        .write("all.jsonl", answers(0..40));
    let run = folder.succeeds("score --predictions half.jsonl --data d.jsonl -o half");
    let task = &folder.json("half/scores.json")["tasks"]["category"];
    assert_eq!((&task["asked"], &task["answered"]), (&40.into(), &20.into()));
    assert_eq!((&task["metrics"]["accuracy"]["value"], &task["metrics"]["accuracy"]["n"]), (&0.5.into(), &40.into()));
    assert!(task["signature"].as_str().unwrap().contains("|answered:20/40|missing:wrong|"), "{}", task["signature"]);
    let missing = folder.lines("half/rows.jsonl").into_iter().filter(|row| row["finish"] == "missing").count();
    assert_eq!(missing, 20);
    let sentence = "20 of 40 answers asked for are there; the missing ones count as wrong";
    assert!(run.out.contains("20 of 40") && run.out.replace("\n  ", " ").contains(sentence), "{}", run.out);
    folder.succeeds("report half");
    for name in ["report.html", "report.md", "report.tex", "model-card.md"] {
        let text = folder.read(&format!("half/{name}"));
        assert!(text.contains(sentence), "{name}: {text}");
        assert!(
            text.contains("Of 40 answers asked for in category there are 20; the missing ones count as wrong."),
            "{name}"
        );
        assert!(text.contains("Dari 40 jawaban yang diminta untuk category tersedia 20;"), "{name}");
    }
    assert!(
        folder.read("half/report.csv").lines().nth(1).unwrap().ends_with(",40,20"),
        "{}",
        folder.read("half/report.csv")
    );
    // Nobody asked for summaries.
    assert_eq!(folder.json("half/scores.json")["tasks"]["summary"]["asked"], 0);

    folder.succeeds("score --predictions half.jsonl --data d.jsonl -o only --answered-only");
    let only = &folder.json("only/scores.json")["tasks"]["category"];
    assert_eq!((&only["asked"], &only["answered"], &only["answered_only"]), (&40.into(), &20.into(), &true.into()));
    assert_eq!((&only["metrics"]["accuracy"]["value"], &only["metrics"]["accuracy"]["n"]), (&1.0.into(), &20.into()));
    assert!(only["signature"].as_str().unwrap().contains("|answered:20/40|missing:left-out|"));
    assert!(folder.read("only/report.html").contains("the missing ones are left out, which flatters the result"));

    let said = folder.fails("compare half only", 2);
    assert!(said.contains("only lacks 20 of the rows of half"), "{said}");

    // A whole run is better than half of it.
    folder.succeeds("score --predictions all.jsonl --data d.jsonl -o all");
    let told = folder.succeeds("compare half all").out;
    assert!(told.contains("all is better than half: "), "{told}");
    assert!(
        told.contains("Of 40 answers asked for there are: half 20, all 40. The missing ones count as wrong."),
        "{told}"
    );
    folder.succeeds("report all --against half");
    assert!(folder.read("all/report.md").contains("category: Of 40 answers asked for there are: half 20, all 40."));
}

#[test]
fn the_manifest_says_what_was_asked() {
    let folder = few_resamples();
    folder.write("d.jsonl", records(30, of_each));
    folder.succeeds("predict --model baseline:lead-1 --data d.jsonl --limit 20 -o p");
    folder.edit("p/predictions.jsonl", |lines| lines.split_inclusive('\n').take(10).collect());
    folder.succeeds("score --predictions p/predictions.jsonl --data d.jsonl -o s");
    let counts = |name: &str| {
        let task = &folder.json(name)["tasks"]["summary"];
        [&task["asked"], &task["answered"], &task["metrics"]["rougeL"]["n"]].map(|count| count.as_u64().unwrap())
    };
    assert_eq!(counts("s/scores.json"), [20, 10, 20]);
    assert!(folder.read("s/report.html").contains(" on 20 Reels ("));
    // As an earlier version left it.
    folder.edit_json("p/manifest.json", |manifest| {
        assert_eq!(manifest.as_object_mut().unwrap().remove("asked").unwrap(), serde_json::json!({"summary": 20}));
    });
    folder.succeeds("score --predictions p/predictions.jsonl --data d.jsonl -o s");
    assert_eq!(counts("s/scores.json"), [20, 10, 20]);
    // With other data there is no telling which of its records were asked about.
    folder.write("more.jsonl", records(40, of_each));
    folder.succeeds("score --predictions p/predictions.jsonl --data more.jsonl -o s");
    assert_eq!(counts("s/scores.json"), [40, 10, 40]);
}

#[test]
fn a_limit_below_what_is_there_scores_what_it_says() {
    let folder = few_resamples();
    folder.write("d.jsonl", records(30, of_each));
    let eval = "eval --model baseline:lead-1 --data d.jsonl -o o";
    folder.succeeds(eval);
    let run = folder.succeeds(&format!("{eval} --limit 20"));
    assert!(run.err.contains("data     d.jsonl, 20 Reels"), "{}", run.err);
    assert!(run.err.contains("kept and not scored: answers about further Reels, 10 of summary\nhint: "), "{}", run.err);
    let asked = |folder: &Folder| folder.json("o/scores.json")["tasks"]["summary"]["asked"].as_u64();
    assert_eq!((asked(&folder), folder.lines("o/rows.jsonl").len()), (Some(20), 20));
    assert!(folder.read("o/report.html").contains(" on 20 Reels ("));
    let run = folder.succeeds(eval);
    assert_eq!((asked(&folder), run.err.contains("not scored")), (Some(30), false));
}

#[test]
fn empty_invalid_and_missing_answers_are_counted_apart_and_one_way() {
    let folder = few_resamples();
    folder.write("d.jsonl", records(24, of_each));
    let own = |index: usize, output: &str| {
        format!("{{\"reel_id\":\"r{index}\",\"task\":\"category\",\"output\":{output:?},\"finish\":\"stop\"}}\n")
    };
    let right = |index: usize| own(index, &LABELS[index % 4].to_uppercase());
    let lines: String = (0..12).map(right).chain((12..18).map(|index| own(index, "masakan"))).collect();
    folder.write("a.jsonl", lines + &own(18, "  ") + &own(19, ""));
    let run = folder.succeeds("score --predictions a.jsonl --data d.jsonl -o o");
    let row = run.out.lines().find(|line| line.starts_with(" category") && line.contains(" of ")).unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    // 20 of 24 answers: 6 invalid, 2 empty, none failed or cut off.
    assert_eq!(cells[1..], ["20", "of", "24", "6", "2", "0", "0", "0"], "{row}");
    let metrics = &folder.json("o/scores.json")["tasks"]["category"]["metrics"];
    assert_eq!((&metrics["accuracy"]["value"], &metrics["invalid_rate"]["value"]), (&0.5.into(), &0.5.into()));
    let note = "counts answers that name no label, also 2 empty, 4 missing";
    assert_eq!(metrics["invalid_rate"]["note"], note);
    assert!(run.out.replace("\n  ", " ").contains(note), "{}", run.out);
    let page = folder.read("o/report.html");
    for part in ["<dt>Invalid</dt><dd>6</dd>", "<dt>Empty</dt><dd>2</dd>", "<dd>20 of 24</dd>", "✗ empty", note] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn answers_from_elsewhere_are_scored_and_nothing_is_claimed_of_them() {
    let folder = few_resamples();
    folder.write("d.jsonl", records(4, of_each));
    let table = "\u{feff}id;task;output\r\nr0;category;Kuliner.\r\nr1;category;\"otomotif\"\r\nr2;category;makanan\r\nr3;summary;Kopi\r\n";
    let lines = "{\"id\":\"r0\",\"task\":\"category\",\"output\":\"Kuliner.\"}\n\
                 {\"reel_id\":\"r1\",\"task\":\"category\",\"output\":\"tidak tahu\"}\n\
                 {\"reel_id\":\"r1\",\"task\":\"category\",\"output\":\"otomotif\"}\n\
                 {\"id\":\"r2\",\"task\":\"category\",\"output\":\"makanan\"}\n\
                 {\"id\":\"r3\",\"task\":\"summary\",\"output\":\"Kopi\"}\n";
    let wide: Vec<u8> = table.replace("r3", "r3.0").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let array = format!("[{}]", lines.trim_end().replace('\n', ","));
    for (name, text) in
        [("a.csv", table.as_bytes()), ("a.jsonl", lines.as_bytes()), ("wide.csv", &wide), ("a.json", array.as_bytes())]
    {
        folder.write(name, text);
        let run = folder.succeeds(&format!("score --predictions {name} --data d.jsonl -o o"));
        let scores = &folder.json("o/scores.json")["tasks"];
        assert_eq!(scores["category"]["metrics"]["accuracy"]["value"], 0.5, "{name}");
        assert_eq!([&scores["summary"]["answered"], &scores["category"]["answered"]], [1, 3], "{name}");
        assert!(run.err.contains("model    unknown: no manifest.json beside the answers"), "{}", run.err);
        let page = folder.read("o/report.html");
        assert!(page.contains("We scored answers that were made elsewhere with reels "), "{page}");
        assert!(!page.contains("ad: no answer has a reference"), "nobody asked for it");
        for claim in [
            "(SHA-256 ?)",
            "We evaluated ?",
            "The prompts have SHA-256",
            "greedily",
            "most probable",
            "finish: stop",
            "at most 128",
        ] {
            assert!(!page.contains(claim), "{name}: {claim}");
        }
        // How a text ended is unknown.
        let row = run.out.lines().rfind(|line| line.starts_with(" summary")).unwrap();
        assert!(row.contains("–"), "{row}");
        // What it wrote can be scored again.
        folder.succeeds("score --predictions o/predictions.jsonl --data d.jsonl -o again");
        assert_eq!(folder.json("o/scores.json"), folder.json("again/scores.json"));
        assert_eq!(folder.lines("eval/ledger.jsonl").len(), 1, "the same answers, whatever file they came in");
    }
}

#[test]
fn what_answers_from_elsewhere_get_wrong_is_named_with_its_line() {
    let folder = few_resamples();
    folder.write("d.jsonl", records(4, of_each));
    for (name, text, expected) in [
        (
            "a.csv",
            "id;task;output\nr0;summary;\"dua\nbaris\"\nR1;summary;x\n",
            "a.csv:4: the predictions name 1 unknown Reel(s): R1\nhint: the nearest to R1 is r1; ",
        ),
        (
            "a.jsonl",
            "{\"id\":\"r0\",\"task\":\"sumary\",\"output\":\"x\"}\n",
            "a.jsonl:1: the predictions name 1 unknown task(s): sumary\nhint: the nearest to sumary is summary; ",
        ),
        ("b.jsonl", "{\"id\":\"r0\",\"task\":\"ad\"}\n", "b.jsonl:1: \"output\" is missing; there is id, task\nhint: "),
    ] {
        folder.write(name, text);
        let said = folder.fails(&format!("score --predictions {name} --data d.jsonl -o o"), 2);
        assert!(said.contains(expected), "{said}");
        assert!(!folder.has("o"), "nothing is written");
    }
}

#[test]
fn a_manifest_beside_other_answers_is_not_theirs() {
    let folder = few_resamples();
    folder.write("d.jsonl", records(4, of_each));
    folder.succeeds("eval --model baseline:lead-1 --data d.jsonl --limit 2 -o o");
    folder.write("o/other.jsonl", answers(0..4));
    let run = folder.succeeds("score --predictions o/other.jsonl --data d.jsonl -o s");
    assert!(run.err.contains("o/manifest.json is of another model’s answers: left out"), "{}", run.err);
    assert!(folder.json("s/manifest.json").get("model").is_none());
    assert_eq!(folder.json("s/scores.json")["tasks"]["category"]["asked"], 4);
    // Ours and others' in one file.
    let ours = folder.read("o/predictions.jsonl");
    folder.write("mixed.jsonl", ours + &answers(0..1));
    let said = folder.fails("score --predictions mixed.jsonl --data d.jsonl -o m", 2);
    assert!(said.contains("mix 2 values of settings_sha256: "), "{said}");
}

#[test]
fn texts_of_other_scripts_are_judged_by_what_can_read_them() {
    let folder = few_resamples();
    let texts = ["แมวสีส้มหายไปสองวัน", "鸡汤面一碗十块钱", "متجر القهوة في المدينة القديمة", "Кафе на углу открыто"];
    let record = |index: usize, text: &str, summaries: &[&str]| {
        let reference = serde_json::json!({"summary": summaries});
        let record = serde_json::json!({"id": format!("r{index}"), "account": of_each(index), "transcript": text, "reference": reference});
        record.to_string() + "\n"
    };
    let other: String = (0..12).map(|index| record(index, texts[index % 4], &[texts[index % 4]])).collect();
    let mixed: String =
        (0..12).map(|index| record(index, texts[index % 4], &["Kopi enak.", texts[index % 4]])).collect();
    let latin: String =
        (0..12).map(|index| record(index, "Kopi susu di café enak.", &["Kopi susu di café enak."])).collect();
    folder.write("other.jsonl", other).write("mixed.jsonl", mixed).write("latin.jsonl", latin);
    for name in ["mixed", "other"] {
        let run = folder.succeeds(&format!("eval --model baseline:lead-1 --data {name}.jsonl -o {name}"));
        let told = run.out.replace("\n  ", " ");
        assert!(
            told.contains("summary: 12 of 12 references are mostly in letters that rougeL and its kind drop"),
            "{told}"
        );
        let first = told.lines().find(|line| line.starts_with(" summary")).unwrap();
        assert!(first.contains("rouge1_id") && first.contains("1.000"), "{first}");
    }
    folder.succeeds("report other");
    for name in ["report.html", "report.md", "report.tex"] {
        let text = folder.read(&format!("other/{name}"));
        assert!(text.contains("12 references of summary are mostly in letters"), "{name}");
    }
    assert!(folder.read("other/report.md").contains("- summary: ROUGE-L (id) is 1.000"));
    folder.succeeds("eval --model baseline:lead-3 --data other.jsonl -o three");
    let told = folder.succeeds("compare other three").out;
    assert!(told.contains("Judged by ROUGE-L (id) instead of ROUGE-L: 12 of 12 references"), "{told}");
    let run = folder.succeeds("eval --model baseline:lead-1 --data latin.jsonl -o latin");
    assert!(
        !run.out.contains("letters") && folder.json("latin/scores.json")["tasks"]["summary"].get("unread").is_none()
    );
}

#[test]
fn a_report_says_which_tasks_it_leaves_out() {
    let folder = few_resamples();
    folder.write("d.jsonl", records(12, of_each)).write("c.jsonl", answers(0..12));
    let summaries: String =
        (0..12).map(|index| format!("{{\"id\":\"r{index}\",\"task\":\"summary\",\"output\":\"Kopi\"}}\n")).collect();
    folder.write("both.jsonl", answers(0..12) + &summaries);
    for name in ["c", "both"] {
        folder.succeeds(&format!("score --predictions {name}.jsonl --data d.jsonl -o {name}"));
    }
    let run = folder.succeeds("report both --against c");
    let sentence = "Not compared, because only some of the runs answer it: summary.";
    assert!(run.err.contains(sentence), "{}", run.err);
    for name in ["report.html", "report.md", "report.tex"] {
        assert!(folder.read(&format!("both/{name}")).contains(sentence), "{name}");
    }
    folder.succeeds("compare c both -o compared");
    for name in ["comparison.html", "comparison.md", "comparison.tex"] {
        assert!(folder.read(&format!("compared/{name}")).contains(sentence), "{name}");
    }
}

#[test]
fn rows_of_unknown_account_are_told() {
    let folder = few_resamples();
    folder
        .write("d.jsonl", records(40, |index| if index < 12 { String::new() } else { format!("a{}", index % 12) }))
        .write("half.jsonl", answers(0..20))
        .write("all.jsonl", answers(0..40));
    let unknown = "12 rows of unknown account, each by itself: where they share one, intervals are too narrow";
    for name in ["half", "all"] {
        let told = folder.succeeds(&format!("score --predictions {name}.jsonl --data d.jsonl -o {name}")).out;
        let told = told.replace("\n  ", " ");
        assert!(told.contains("category: 24 accounts") && told.contains(&format!(" ({unknown})")), "{told}");
    }
    folder.succeeds("report half");
    let report = folder.read("half/report.md");
    assert!(report.contains(&format!("category: {unknown}.")), "{report}");
    assert!(report.contains("Where the account is unknown (12 rows), a Reel stands by itself; "), "{report}");
    assert!(report.contains("Bila akunnya tidak diketahui (12 baris), Reel berdiri sendiri; "), "{report}");
    let told = folder.succeeds("compare half all -o c").out;
    assert!(told.contains(&format!("category: 40 rows, of 24 accounts ({unknown})")), "{told}");
    assert!(folder.read("c/comparison.html").contains(&format!("of 24 accounts ({unknown}).")));
    folder.write("d.jsonl", records(40, of_each));
    let told = folder.succeeds("score --predictions half.jsonl --data d.jsonl -o known").out;
    assert!(!told.contains("unknown account"), "{told}");
}
