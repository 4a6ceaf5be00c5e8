use proptest::prelude::*;
use serde_json::Value;

use super::super::fold::mixed;
use super::*;

fn known(text: &str, others: &[&str]) -> Known {
    Known { text: text.into(), others: others.iter().map(|text| (*text).into()).collect(), ..Known::default() }
}

/// For each record the first one of its group.
fn joined(records: &[Known], alike: &Alike) -> Vec<usize> {
    let mut groups = Groups::new(records.len());
    join(records.len(), &|at| Ok(records[at].clone()), alike, &mut groups).unwrap();
    first_of(records.len(), &groups)
}

fn first_of(count: usize, groups: &Groups) -> Vec<usize> {
    (0..count).map(|at| (0..=at).find(|other| groups.root(*other) == groups.root(at)).unwrap()).collect()
}

const RAIN: &str =
    "hujan turun sejak subuh di Salatiga dan pasar pagi tetap ramai karena harga cabai turun lagi minggu ini";
const BOAT: &str =
    "perahu kayu buatan kakek akhirnya dicat ulang warna biru supaya wisatawan mau menyeberang ke pulau kecil itu";
const SHOP: &str =
    "kedai kopi baru dekat stasiun buka dua puluh empat jam dan baristanya hafal nama semua pelanggan yang mampir";

#[test]
fn what_is_a_copy_of_what() {
    let mathematical: String =
        RAIN.chars()
            .map(|letter| {
                if letter.is_ascii_lowercase() { char::from_u32(0x1d41a + letter as u32 - 97).unwrap() } else { letter }
            })
            .collect();
    let summary = BOAT.split(' ').take(14).collect::<Vec<&str>>().join(" ");
    let holds =
        format!("halo semuanya kali ini saya mau cerita sedikit, {summary}, begitulah kira-kira ya teman teman");
    let records = [
        known(RAIN, &[]),
        known(&mathematical.to_uppercase(), &[]),
        known(&RAIN.replace("subuh", "kemarin").replace("cabai", "tomat"), &[]),
        // A summary within a transcript.
        known(SHOP, &[&summary]),
        known(&holds, &[]),
        known("pendek", &[]),
        known("pendek", &[]),
        known(&SHOP.replace(' ', "\u{200b} "), &[]),
    ];
    assert_eq!(joined(&records, &Alike::among(8)), [0, 0, 0, 3, 3, 5, 6, 3]);
}

#[test]
fn stock_phrases_hold_nothing_together() {
    let ending = "jangan lupa ikuti akun ini untuk resep harian dan bagikan ke keluarga di rumah ya";
    let starts = |index: usize| {
        (0..30)
            .map(|at| generated(mixed((1000 * index + at) as u64, 0) as usize % 64_000))
            .collect::<Vec<String>>()
            .join(" ")
    };
    let with = |count: usize| -> Vec<Known> {
        (0..count).map(|index| known(&format!("{} {ending}", starts(index)), &[])).collect()
    };
    assert_eq!(joined(&with(STOCK), &Alike::among(1)), (0..STOCK).collect::<Vec<usize>>());
    assert_eq!(joined(&with(STOCK - 1), &Alike::among(1)), [0; STOCK - 1]);
}

/// Syllables by the digits of a number to base 40, as tests/reference/near.py makes words.
fn generated(index: usize) -> String {
    let (mut left, mut word) = (index + 40, String::new());
    while left > 0 {
        word.push(char::from(b"bdgjklmnprst"[left % 10]));
        word.push(char::from(b"aiue"[left % 40 / 10]));
        left /= 40;
    }
    word
}

/// The texts of tests/reference/near.py.
fn reference_texts() -> Vec<String> {
    let mut state = 23u64;
    let mut below = move |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    let (mut made, mut free): (Vec<Vec<String>>, Vec<usize>) = (vec![], vec![]);
    for index in 0..5000 {
        let words = if !free.is_empty() && below(5) == 0 {
            let from = free.remove(below(free.len()));
            let mut words = made[from].clone();
            for _ in 0..1 + below(9) {
                let word = generated(below(3000));
                words[below(60)] = word;
            }
            words
        } else {
            free.push(index);
            (0..60).map(|_| generated(below(3000))).collect()
        };
        made.push(words);
    }
    made.into_iter().map(|words| words.join(" ")).collect()
}

/// The pairs that datasketch finds, and no others.
#[test]
fn pairs_are_those_of_datasketch() {
    let reference: Value = serde_json::from_str(include_str!("../../../tests/reference/near.json")).unwrap();
    let texts: Vec<Known> = reference_texts().iter().map(|text| known(text, &[])).collect();
    let mut expected = Groups::new(texts.len());
    for pair in reference["pairs"].as_array().unwrap() {
        let [a, b] = [&pair[0], &pair[1]].map(|at| at.as_u64().unwrap() as usize);
        let own = jaccard(&shingles(&folded(&texts[a].text)), &shingles(&folded(&texts[b].text)));
        assert_eq!(own, pair[2].as_f64().unwrap(), "{a} and {b}");
        expected.join(a, b, Tie::Copies);
    }
    let alike = Alike { sure: 2.0, ..Alike::among(FEW + 1) };
    let sketch = |known: &Known| {
        let words = folded(&known.text);
        Signature::of(&shingles(&words)).map(|signature| Sketch { signature, words: words.len() })
    };
    let signatures: Vec<Option<Sketch>> = texts.par_iter().map(sketch).collect();
    let firsts: Vec<u32> = (0..texts.len() as u32).collect();
    let mut groups = Groups::new(texts.len());
    join_similar(&firsts, &signatures, &|at| Ok(texts[at].clone()), &alike, &mut groups).unwrap();
    let roots = |groups: &Groups| {
        let mut first = HashMap::new();
        (0..texts.len()).map(|at| *first.entry(groups.root(at)).or_insert(at)).collect::<Vec<usize>>()
    };
    assert_eq!(reference["pairs"].as_array().unwrap().len(), 782);
    assert_eq!(roots(&groups), roots(&expected));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever the order of records, the same ones are together.
    #[test]
    fn order_changes_nothing(picks in prop::collection::vec((0usize..6, 0usize..18), 2..14), seed in any::<u64>()) {
        // Texts of a few families, each with a word changed.
        let text = |(family, changed): &(usize, usize)| {
            let word = |at: usize| generated(if at == *changed { 7777 + at } else { 100 * family + at });
            known(&(0..18).map(word).collect::<Vec<String>>().join(" "), &[])
        };
        let records: Vec<Known> = picks.iter().map(text).collect();
        let mut order: Vec<usize> = (0..records.len()).collect();
        order.sort_by_key(|at| mixed(*at as u64, seed));
        let shuffled: Vec<Known> = order.iter().map(|at| records[*at].clone()).collect();
        for alike in [Alike::among(1), Alike::among(FEW + 1)] {
            let (plain, turned) = (joined(&records, &alike), joined(&shuffled, &alike));
            for (a, old_a) in order.iter().enumerate() {
                for (b, old_b) in order.iter().enumerate() {
                    prop_assert_eq!(turned[a] == turned[b], plain[*old_a] == plain[*old_b]);
                }
            }
        }
    }
}
