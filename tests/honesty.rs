//! What makes scores look better than they are is said: many variants judged by the same data, data that the model learned from or
//! that stands in the prompts, accounts in two sets of data.

mod folder;

use folder::{Folder, model};
use serde_json::json;

const TEXT: &str = "nasi uduk subuh di Condet harganya dua belas ribu sudah pakai semur jengkol sama telor balado";

fn record(id: &str, account: &str, transcript: &str) -> String {
    json!({"id": id, "account": account, "transcript": transcript, "reference": {"ad": "iklan"}}).to_string() + "\n"
}

#[test]
fn variants_are_counted_by_data_whatever_their_order() {
    let folder = Folder::new();
    folder.write("data.jsonl", [record("a", "x", TEXT), record("b", "y", "lain sekali")].concat());
    folder.succeeds("prompt eject p");
    let eval = |output: &str| {
        let said = folder
            .succeeds(&format!(
                "eval --model {} --prompts p --data data.jsonl --task ad --bootstrap 200 -o {output}",
                model()
            ))
            .err;
        (said, folder.json(&format!("{output}/manifest.json"))["variants"].as_u64())
    };
    let many = "variants of model, prompts and settings have been judged by data.jsonl (eval/ledger.jsonl)";
    for (output, variants) in [("a", 1), ("b", 2), ("c", 3)] {
        folder.edit("p/ad.jinja", |ad| ad.replace("{% endblock %}", "Jawab jujur. {% endblock %}"));
        let (said, found) = eval(output);
        assert_eq!((found, said.contains(many)), (Some(variants), variants > 2), "{said}");
    }
    let (said, found) = eval("again");
    assert!(found == Some(3) && said.contains(&format!("3 {many}")), "{said}");
    assert_eq!(folder.read("eval/ledger.jsonl").lines().count(), 3);
    assert!(folder.read("again/report.html").contains("Up to then 3 variants of model, prompts and settings"));
    // Baselines are no candidates, and other data has judged none.
    folder.succeeds("eval --model baseline:lead-1 --data data.jsonl --bootstrap 200 -o base");
    folder.write("other.jsonl", record("c", "x", TEXT));
    folder.succeeds(&format!("eval --model {} --data other.jsonl --task ad --bootstrap 200 -o other", model()));
    assert_eq!(folder.read("eval/ledger.jsonl").lines().count(), 4);
    let compared = folder.succeeds("compare a b").err;
    assert!(
        compared.contains("note: 3 variants have been judged by this data (eval/ledger.jsonl), and 2 runs"),
        "{compared}"
    );
    assert!(!folder.succeeds("compare a b c").err.contains("note: "));
}

#[test]
fn data_that_was_learned_from_is_told() {
    let folder = Folder::new();
    let others: String =
        (0..4).map(|index| record(&format!("o{index}"), "z", &format!("{index} cerita lain"))).collect();
    folder.write("data.jsonl", [record("a", "x", TEXT), record("b", "y", "lain sekali"), others].concat());
    let eval = |train: &str, output: &str| {
        let said = folder
            .succeeds(&format!(
                "eval --model baseline:majority --train {train} --data data.jsonl --bootstrap 200 -o {output}"
            ))
            .err;
        (said, folder.read(&format!("{output}/report.html")))
    };
    let (said, page) = eval("data.jsonl", "same");
    assert!(said.contains("warning: the model learned from this very data (data.jsonl)"), "{said}");
    assert!(
        page.contains("The model learned from this very data (data.jsonl)")
            && page.contains("Model dilatih dengan data ini juga")
    );
    folder.write("near.jsonl", [record("p", "y", &TEXT.to_uppercase()), record("q", "q", "yang lain lagi")].concat());
    let (said, page) = eval("near.jsonl", "near");
    let expected =
        "of 6 Reels 1 have near copies in what the model learned from (near.jsonl), and 1 accounts are in both";
    assert!(said.contains(expected), "{said}");
    assert!(page.contains(
        "1 Reel of the data has near copies in what the model learned from (near.jsonl), and 1 account is in both"
    ));
    folder.write("far.jsonl", record("p", "q", "yang lain lagi"));
    assert!(!eval("far.jsonl", "far").0.contains("warning"));
}

#[test]
fn reels_that_stand_in_the_prompts_are_told() {
    let folder = Folder::new();
    folder.write(
        "data.jsonl",
        [record("long", "x", TEXT), record("short", "y", "diskon lima puluh persen cuma hari ini di toko kami")]
            .concat(),
    );
    let predict = |example: &str, output: &str| {
        drop(std::fs::remove_dir_all(folder.path("p")));
        folder.succeeds("prompt eject p");
        folder.edit("p/ad.jinja", |ad| ad.replace("Tugas:", &format!("Contoh: {example}\nTugas:")));
        folder.succeeds(&format!("predict --model {} --prompts p --data data.jsonl --task ad -o {output}", model())).err
    };
    assert!(
        predict(&TEXT[..TEXT.len() - 13], "a").contains("warning: the prompts quote 1 of the Reels asked about: long")
    );
    let both = predict(&format!("{TEXT}. Diskon LIMA PULUH persen, cuma hari ini di toko kami!"), "b");
    assert!(both.contains("the prompts quote 2 of the Reels asked about: long; short"), "{both}");
    assert!(!predict("kopi susu gula aren buatan sendiri tanpa pengawet sama sekali", "c").contains("quote"));
}
