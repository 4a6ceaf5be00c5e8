use indexmap::IndexMap;
use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::score::interval::jackknife;
use crate::scores::Metric;

fn judgements(categories: usize, items: &[(Option<u32>, Vec<Option<u16>>)]) -> Judgements {
    let annotators = items.first().map_or(2, |(_, answers)| answers.len());
    Judgements {
        annotators: ["ani", "budi", "citra", "dewi"][..annotators].iter().map(|name| (*name).to_owned()).collect(),
        categories,
        answers: items.iter().flat_map(|(_, answers)| answers.clone()).collect(),
        accounts: items.iter().map(|(account, _)| *account).collect(),
    }
}

/// What tests/reference/agreement.py says; null where the packages have no value.
#[derive(Deserialize)]
struct Case {
    categories: usize,
    scale: String,
    answers: Vec<Vec<Option<u16>>>,
    all: IndexMap<String, Option<f64>>,
    pairs: Vec<IndexMap<String, Option<f64>>>,
}

#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
}

#[test]
fn coefficients_equal_those_of_other_packages() {
    let reference: Reference = serde_json::from_str(include_str!("../../../tests/reference/agreement.json")).unwrap();
    let mut compared = 0;
    for (at, case) in reference.cases.iter().enumerate() {
        let items: Vec<_> = case.answers.iter().map(|answers| (None, answers.clone())).collect();
        let scale = if case.scale == "ordinal" { Scale::Ordinal } else { Scale::Nominal };
        let ours = agreement(&judgements(case.categories, &items), scale);
        let all = std::iter::once((&ours.metrics, &case.all));
        for (ours, theirs) in all.chain(ours.pairs.iter().map(|pair| &pair.metrics).zip(&case.pairs)) {
            assert!(ours.keys().eq(theirs.keys()), "{:?}", ours.keys());
            for (key, theirs) in theirs {
                let value = ours[key].value;
                let is_equal = theirs.map_or(value.is_nan(), |theirs| (value - theirs).abs() <= 1e-12);
                assert!(is_equal, "{key} of case {at}: {value}, not {theirs:?}");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 273);
}

/// 60 items of 20 accounts: three annotators, of whom the first and the second often differ.
fn example() -> Vec<(Option<u32>, Vec<Option<u16>>)> {
    let answers = |item: u16| match item % 7 {
        0 => vec![Some(item % 3), Some((item + 1) % 3), None],
        1 | 4 => vec![Some(item % 3), Some(item % 3), Some((item + 2) % 3)],
        _ => vec![Some(item % 3); 3],
    };
    (0..60).map(|item| (Some(u32::from(item % 20)), answers(item))).collect()
}

#[test]
fn leaving_out_an_account_is_as_though_it_were_not_there() {
    let items = example();
    for scale in [Scale::Nominal, Scale::Ordinal] {
        let all = agreement(&judgements(3, &items), scale);
        let without = |account: u32| {
            let others: Vec<_> = items.iter().filter(|(of, _)| *of != Some(account)).cloned().collect();
            agreement(&judgements(3, &others), scale)
        };
        let left_out: Vec<Agreement> = (0..20).map(without).collect();
        for coefficient in scale.coefficients() {
            let Metric { value, low, high, n, .. } = all.metrics[coefficient.key];
            let sizes: Vec<f64> =
                left_out.iter().map(|others| (n - others.metrics[coefficient.key].n) as f64).collect();
            let left_out: Vec<f64> = left_out.iter().map(|others| others.metrics[coefficient.key].value).collect();
            let expected = jackknife(value, &left_out, &sizes, coefficient.range);
            assert_eq!((low, high), (expected.low, expected.high), "{}", coefficient.key);
        }
    }
}

#[test]
fn an_agreement_says_how_it_was_made() {
    let all = agreement(&judgements(3, &example()), Scale::Nominal);
    assert_eq!((all.items, all.pairs.len()), (60, 3));
    let sampling = all.sampling.unwrap();
    assert_eq!((sampling.unit.as_str(), sampling.clusters, sampling.largest_share), ("account", 20, 0.05));
    let fleiss = &all.metrics["fleiss_kappa"];
    assert_eq!((fleiss.n, all.metrics["cohen_kappa"].n, fleiss.method.as_str()), (51, 60, "jackknife"));
    assert_eq!(
        all.signature,
        format!(
            "percent_agreement,cohen_kappa,fleiss_kappa,krippendorff_alpha,gwet_ac1,macro_f1|scale:nominal|annotators:3\
             |categories:3|pairs:mean|ci:jackknife|level:0.95|cluster:account|v:{}",
            env!("CARGO_PKG_VERSION")
        )
    );
    let [ani_budi, _, budi_citra] = &all.pairs[..] else { panic!("{:?}", all.pairs) };
    assert_eq!((ani_budi.a.as_str(), ani_budi.b.as_str(), ani_budi.items), ("ani", "budi", 60));
    assert_eq!((budi_citra.a.as_str(), budi_citra.b.as_str(), budi_citra.items), ("budi", "citra", 51));
    // where they differ, the second answers the next label
    let differ = |a: usize, b: usize| ani_budi.confusion[a][b];
    assert_eq!([differ(0, 1) + differ(1, 2) + differ(2, 0), differ(1, 0) + differ(2, 1) + differ(0, 2)], [9, 0]);
}

fn shown(metric: &Metric) -> (Option<&str>, Option<&str>) {
    (metric.withheld.as_deref(), metric.note.as_deref())
}

#[test]
fn what_is_not_defined_says_why() {
    let undefined = Some("the value is not defined");
    let one: Vec<_> = (0..20).map(|item| (Some(item), vec![Some(1), Some(1)])).collect();
    let all = agreement(&judgements(3, &one), Scale::Nominal);
    for (key, note) in [
        ("cohen_kappa", "not defined: ani and budi answer but one thing"),
        ("fleiss_kappa", "not defined: all answers are the same"),
        ("krippendorff_alpha", "not defined: all answers are the same"),
    ] {
        assert!(all.metrics[key].value.is_nan());
        assert_eq!(shown(&all.metrics[key]), (undefined, Some(note)), "{key}");
    }
    assert_eq!((all.metrics["gwet_ac1"].value, shown(&all.metrics["gwet_ac1"]).0), (1.0, Some("all answers agree")));

    let alone: Vec<_> = (0..20).map(|item| (Some(item), vec![Some(1), None])).collect();
    for judgements in [
        judgements(3, &alone),
        judgements(3, &[]),
        judgements(0, &[]),
        Judgements { annotators: vec![], categories: 3, answers: vec![], accounts: vec![None] },
        Judgements { annotators: vec!["ani".into()], categories: 3, answers: vec![Some(2)], accounts: vec![None] },
    ] {
        for scale in [Scale::Nominal, Scale::Ordinal] {
            let all = agreement(&judgements, scale);
            assert!(all.items == 0 && all.sampling.is_none());
            for metric in all.metrics.values().chain(all.pairs.iter().flat_map(|pair| pair.metrics.values())) {
                assert!(metric.value.is_nan());
                assert_eq!(shown(metric), (undefined, Some("not defined: no item has two answers")));
            }
            let json = serde_json::to_string(&all).unwrap();
            assert_eq!(serde_json::to_string(&serde_json::from_str::<Agreement>(&json).unwrap()).unwrap(), json);
        }
    }
}

#[test]
fn a_mean_of_pairs_says_which_it_is_over() {
    let apart = (0..40).map(|item| {
        let answer = Some(item % 2);
        (Some(u32::from(item)), if item < 20 { vec![answer, answer, None] } else { vec![None, answer, Some(0)] })
    });
    let all = agreement(&judgements(4, &apart.collect::<Vec<_>>()), Scale::Nominal);
    // 1 of ani and budi, 0 of budi and citra
    assert_eq!(all.metrics["cohen_kappa"].value, 0.5);
    let note = "the mean of 2 of 3 pairs; the others have no items in common";
    assert_eq!(shown(&all.metrics["cohen_kappa"]).1, Some(note));
    assert_eq!(
        shown(&all.metrics["fleiss_kappa"]),
        (Some("the value is not defined"), Some("not defined: no item is answered by all 3"))
    );
    let absent = (Some("2 of 4 labels aren’t used"), Some("2 of 4 labels aren’t used; their F1 counts as 0 there"));
    assert_eq!(shown(&all.pairs[0].metrics["macro_f1"]), absent);
}

#[test]
fn where_nothing_differs_only_the_share_has_an_interval() {
    let alike: Vec<_> = (0..40).map(|item| (Some(item / 2), vec![Some((item % 2) as u16); 2])).collect();
    let all = agreement(&judgements(2, &alike), Scale::Nominal);
    let percent = &all.metrics["percent_agreement"];
    // statsmodels 0.15.0: proportion_confint(20, 20, method="wilson")
    assert_eq!((percent.method.as_str(), percent.high), ("wilson", 1.0));
    assert!((percent.low - 0.838_874_841_947_180_4).abs() < 1e-12, "{}", percent.low);
    for metric in all.metrics.values().skip(1) {
        assert_eq!((metric.value, shown(metric).0), (1.0, Some("all answers agree")));
    }
}

#[test]
fn few_accounts_have_no_interval() {
    let of = |accounts: u32, unknown: usize| {
        let mut items = example();
        items.iter_mut().for_each(|(account, _)| *account = account.map(|account| account % accounts));
        items.iter_mut().take(unknown).for_each(|(account, _)| *account = None);
        agreement(&judgements(3, &items), Scale::Nominal).metrics
    };
    assert!(of(10, 0).values().all(|metric| metric.withheld.is_none()));
    for metrics in [of(9, 0), of(9, 30)] {
        for metric in metrics.values() {
            let why = "the rows are of 9 accounts; an interval takes at least 10";
            assert!(metric.value.is_finite() && metric.low.is_nan() && metric.high.is_nan());
            assert_eq!(metric.withheld.as_deref(), Some(why));
        }
    }
    // none known: each item stands for itself
    assert!(of(9, 60).values().all(|metric| metric.withheld.is_none()));
}

fn any_items() -> impl Strategy<Value = Vec<(Option<u32>, Vec<Option<u16>>)>> {
    let answers = prop::collection::vec(prop::option::weighted(0.8, 0u16..4), 3);
    prop::collection::vec((prop::option::weighted(0.9, 0u32..15), answers), 0..60)
}

proptest! {
    #[test]
    fn coefficients_are_bounded_and_bounds_hold_the_value(items in any_items()) {
        for scale in [Scale::Nominal, Scale::Ordinal] {
            let all = agreement(&judgements(4, &items), scale);
            for (coefficient, metric) in scale.coefficients().iter().zip(all.metrics.values()) {
                let Metric { value, low, high, .. } = metric;
                // the mean over few items may be below −1, as none of them agrees with chance that high
                prop_assert!(*value <= 1.0 && (coefficient.range == crate::score::metric::Range::Signed || *value >= 0.0) || value.is_nan());
                prop_assert_eq!(metric.withheld.is_some(), low.is_nan() || high.is_nan());
                prop_assert!(metric.withheld.is_some() || low <= value && value <= high);
                prop_assert_eq!(metric.withheld.is_some(), metric.method == "none");
            }
        }
    }

    #[test]
    fn it_does_not_matter_who_is_named_first(items in any_items()) {
        let turned: Vec<_> =
            items.iter().map(|(account, answers)| (*account, answers.iter().rev().copied().collect())).collect();
        for scale in [Scale::Nominal, Scale::Ordinal] {
            let [one, other] = [&items, &turned].map(|items| agreement(&judgements(4, items), scale).metrics);
            for (key, metric) in one {
                let pairs = [(metric.value, other[&key].value), (metric.low, other[&key].low)];
                prop_assert!(pairs.iter().all(|(a, b)| (a - b).abs() < 1e-9 || a.is_nan() && b.is_nan()), "{}", key);
            }
        }
    }
}
