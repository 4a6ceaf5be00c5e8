//! What is learned from must hold no copy of what is judged by.

use std::collections::BTreeSet;
use std::path::Path;

use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;
use reels::data::dedup::{COMMON, Collection, Likeness};
use reels::data::known::Known;
use reels::data::lock::{Index, Lock};
use reels::lines::Lines;
use reels::reel::{Reel, read_reels};

fn reels(path: &Path) -> Vec<Reel> {
    read_reels(&Lines::open(path, "data file").unwrap()).unwrap()
}

fn bundled(name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("eval").join(name);
    reels(&path).into_iter().filter_map(|reel| reel.transcript).collect()
}

fn collection(texts: &[String]) -> Collection {
    Collection::new(texts.iter().map(String::as_str))
}

/// Each changed in its own way; how many are found.
fn found(texts: &[String], change: &mut dyn FnMut(&str) -> String) -> usize {
    let collection = collection(texts);
    let is_found =
        |(index, text): (usize, &String)| collection.original(&change(text)).is_some_and(|copy| copy.of == index);
    texts.iter().enumerate().map(is_found).filter(|found| *found).count()
}

#[test]
fn planted_copies_are_found() {
    let texts = bundled("sample.jsonl");
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let look_alike = |text: &str| {
        text.chars()
            .map(|letter| match letter {
                'a' => 'а',
                'e' => 'е',
                'o' => 'ο',
                'i' => 'і',
                'p' => 'р',
                'c' => 'ϲ',
                other => other,
            })
            .collect::<String>()
    };
    let zero_width = |text: &str| text.chars().flat_map(|letter| [letter, '\u{200b}']).collect::<String>();
    let wide = |text: &str| {
        text.chars()
            .map(|letter| match letter {
                '!'..='~' => char::from_u32(letter as u32 + 0xfee0).unwrap(),
                other => other,
            })
            .collect::<String>()
    };
    let count = texts.len();
    assert_eq!(found(&texts, &mut str::to_uppercase), count);
    assert_eq!(found(&texts, &mut |text| text.replace(' ', "\n\t ")), count);
    assert_eq!(found(&texts, &mut |text| text.replace(' ', "")), count);
    assert_eq!(found(&texts, &mut |text| text.replace([',', '.', '?'], " — ")), count);
    assert_eq!(found(&texts, &mut |text| look_alike(text)), count);
    assert_eq!(found(&texts, &mut |text| zero_width(text)), count);
    assert_eq!(found(&texts, &mut |text| wide(text)), count);
    let words: Vec<String> = texts.iter().flat_map(|text| text.split_whitespace()).map(str::to_owned).collect();
    // A fifth of each text's words, in places drawn at random.
    let mut changed = |text: &str| {
        let mut own: Vec<&str> = text.split_whitespace().collect();
        for at in sample(&mut random, own.len(), own.len().div_ceil(5)) {
            own[at] = words.choose(&mut random).unwrap();
        }
        own.join(" ")
    };
    assert_eq!(found(&texts, &mut changed), count);
}

fn known(texts: &[String]) -> Vec<Known> {
    let numbered = texts.iter().enumerate();
    numbered.map(|(at, text)| Known { id: at.to_string(), text: text.clone(), ..Known::default() }).collect()
}

/// From its lock alone, each text with a fifth of its words changed is found, however they are drawn.
#[test]
fn changed_copies_are_found_from_a_lock() {
    let texts = bundled("sample.jsonl");
    let words: Vec<&str> = texts.iter().flat_map(|text| text.split_whitespace()).collect();
    let lock = Lock::in_memory(&known(&texts));
    let index = Index::of(&lock);
    for seed in 0..10 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut changed = |text: &String| {
            let mut own: Vec<&str> = text.split_whitespace().collect();
            for at in sample(&mut random, own.len(), own.len().div_ceil(5)) {
                own[at] = words.choose(&mut random).unwrap();
            }
            own.join(" ")
        };
        let data = known(&texts.iter().map(&mut changed).collect::<Vec<String>>());
        let copies = index.copies(data.len(), &|at| Ok(data[at].clone()), COMMON).unwrap();
        let found: Vec<(usize, usize)> = copies.iter().map(|copy| (copy.at, copy.of)).collect();
        assert_eq!(found, (0..texts.len()).map(|at| (at, at)).collect::<Vec<_>>(), "seed {seed}");
    }
    // Nothing of the other bundled splits is.
    for name in ["dev.jsonl", "train.jsonl"] {
        let data = known(&bundled(name));
        let copies = index.copies(data.len(), &|at| Ok(data[at].clone()), COMMON).unwrap();
        assert_eq!(copies, [], "{name}");
    }
}

#[test]
fn the_bundled_splits_share_nothing() {
    let splits = ["sample.jsonl", "dev.jsonl", "train.jsonl"].map(bundled);
    let accounts = |name: &str| -> BTreeSet<String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("eval").join(name);
        reels(&path).into_iter().filter_map(|reel| reel.account).collect()
    };
    for (held_out, name, data) in [
        ("sample.jsonl", "dev.jsonl", [0, 1]),
        ("sample.jsonl", "train.jsonl", [0, 2]),
        ("dev.jsonl", "train.jsonl", [1, 2]),
    ] {
        let [originals, texts] = data.map(|split| &splits[split]);
        let collection = collection(originals);
        for text in texts {
            let copy = collection.original(text);
            assert_eq!(copy, None, "{name}: {text:?} is a copy of {:?}", copy.as_ref().map(|copy| &originals[copy.of]));
        }
        assert!(accounts(held_out).is_disjoint(&accounts(name)), "{held_out} and {name} share an account");
    }
}

#[test]
fn what_is_alike_is_said() {
    let text = "nasi uduk subuh di Condet harganya dua belas ribu sudah pakai semur jengkol sama telor balado";
    let other = "Ini cerita yang lain, soal kucing tetangga di Palembang";
    let collection = Collection::new([other, text, "halo", "halo"]);
    let likeness = |text: &str| collection.original(text).map(|copy| (copy.of, copy.likeness.to_string()));
    assert_eq!(likeness(&other.to_uppercase()), Some((0, "the same words".into())));
    let run = "nasi uduk subuh di condet harganya dua belas ribu sudah pakai semur jengkol";
    assert_eq!(
        likeness(&format!("{run} tapi hari ini tutup")),
        Some((1, format!("13 words stand in both, first {run:?}")))
    );
    assert!(
        matches!(collection.original(&text.replace("dua", "tiga").replace("semur", "sayur")).unwrap().likeness, Likeness::Similar(share) if share > 0.6 && share < 0.9)
    );
    assert_eq!(likeness("soto banjar di Samarinda harganya tiga belas ribu"), None);
    assert_eq!(likeness("halo"), None);
    assert_eq!(likeness(""), None);
}

#[test]
fn news_of_clean_splits_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/indosum");
    if !folder.exists() {
        eprintln!("skipped: {} is not there (IndoSum, which is not part of the repository)", folder.display());
        return;
    }
    let texts = |name: &str| -> Vec<String> {
        reels(&folder.join(name)).into_iter().filter_map(|reel| reel.transcript).collect()
    };
    let train = texts("train.jsonl");
    let collection = collection(&train);
    let held_out = [texts("dev.jsonl"), texts("test.jsonl")].concat();
    let mut alarms = 0;
    for text in &held_out {
        if let Some(copy) = collection.original(text) {
            alarms += 1;
            let start = |text: &str| text.chars().take(200).collect::<String>();
            println!("{}\n  {}\n  {}", copy.likeness, start(text), start(&train[copy.of]));
        }
    }
    println!("{alarms} of {}", held_out.len());
    let lock = Lock::in_memory(&known(&held_out));
    let data = known(&train);
    let copies = Index::of(&lock).copies(data.len(), &|at| Ok(data[at].clone()), COMMON).unwrap();
    let found: BTreeSet<usize> = copies.iter().map(|copy| copy.of).collect();
    println!("from the lock {} of {}: {copies:?}", found.len(), held_out.len());
    assert!((found.len() as f64) < 0.005 * held_out.len() as f64, "{} of {}", found.len(), held_out.len());
    assert!((alarms as f64) < 0.005 * held_out.len() as f64, "{alarms} of {}", held_out.len());
}
