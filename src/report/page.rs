//! `report.html`: a file that loads nothing.

use anyhow::{Context, Result};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use super::counts::{self, Counts};
use super::examples::{Examples, Looks, examples, looks};
use super::facts::{Fact, cost, facts};
use super::labels::{Classes, Heatmap, classes, heatmap};
use super::methods::methods;
use super::prose::{Subject, limitations, verdict};
use super::svg::{DataTable, Figure};
use super::{Report, figures, intervals, metrics, people, rated};
use crate::score::metric::{Direction, Headline, direction, headline, main_of, prose};
use crate::scores::{Metric, TaskScores};
use crate::task::{Task, TaskKind};

/// Names end in .html, which is what turns escaping on.
const TEMPLATES: [(&str, &str); 7] = [
    ("layout.html", include_str!("layout.html.jinja")),
    ("macros.html", include_str!("macros.html.jinja")),
    ("report.html", include_str!("report.html.jinja")),
    ("comparison.html", include_str!("comparison.html.jinja")),
    ("data.html", include_str!("data.html.jinja")),
    ("gal.html", include_str!("gal.html.jinja")),
    ("training.html", include_str!("training.html.jinja")),
];

/// What the template sees; every number in it is already text.
#[derive(Serialize)]
struct View<'a> {
    title: &'a str,
    have_mark: bool,
    facts: Vec<Fact>,
    verdict: Vec<String>,
    tasks: Vec<TaskView<'a>>,
    forest: Option<Figure>,
    ladder: Vec<Figure>,
    examples: Examples,
    methods: [String; 2],
    limitations: Vec<String>,
    cost: Option<DataTable>,
    manifest: String,
    css: Value,
    script: Value,
}

#[derive(Serialize)]
struct TaskView<'a> {
    name: &'a str,
    kind: String,
    sample: String,
    headline: Option<MetricView<'a>>,
    /// In place of what metric that one stands.
    instead: Option<String>,
    metrics: Vec<MetricView<'a>>,
    checks: Vec<MetricView<'a>>,
    counts: Counts,
    answered: String,
    cut_off: String,
    coverage: Option<String>,
    classes: Option<Classes>,
    confusion: Option<Heatmap>,
    figures: Vec<Figure>,
    looks: Vec<Looks>,
    correlations: Option<DataTable>,
    signature: Vec<&'a str>,
}

#[derive(Serialize)]
struct MetricView<'a> {
    key: &'a str,
    name: &'a str,
    explanation: &'static str,
    lower_is_better: bool,
    value: String,
    interval: String,
    /// Why it is withheld, where the one above it isn't for the same reason.
    why: Option<&'a str>,
    bootstrap: Option<String>,
    n: String,
    note: Option<&'a str>,
    /// What people reach among themselves.
    mark: Option<[String; 2]>,
}

/// The page of a result as HTML.
///
/// Every text is escaped by the template engine; styles, script and charts are part of the file.
///
/// # Errors
/// When a row can't be read again, or the template can't be rendered, which no report should be able to cause.
pub fn html(report: &Report) -> Result<String> {
    render("report.html", view(report)?)
}

/// Fills in one of the templates.
pub(super) fn render(template: &str, view: impl Serialize) -> Result<String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    for (name, source) in TEMPLATES {
        environment.add_template(name, source).context("report template")?;
    }
    environment.get_template(template)?.render(Serde(view)).context("cannot render the report")
}

pub(super) fn css() -> Value {
    Value::from_safe_string(concat!(include_str!("../palette.css"), include_str!("page.css")).to_owned())
}

fn view<'a>(report: &'a Report) -> Result<View<'a>> {
    let counts = counts::by_task(report.scores, report.rows);
    let subject =
        Subject { scores: report.scores, tasks: report.tasks, manifest: report.manifest, ladder: report.ladder };
    let tasks = report.scores.tasks.iter().map(|(name, scores)| {
        let task = report.tasks.iter().find(|task| task.name == *name);
        task_view(name, scores, task, counts[name.as_str()].clone(), report)
    });
    let ladder = report.ladder.map(|ladder| [figures::ladder(ladder), figures::differences(ladder)]);
    Ok(View {
        title: &report.title,
        have_mark: people::have_mark(report.scores),
        facts: facts(report.manifest),
        verdict: verdict(subject),
        tasks: tasks.collect::<Result<_>>()?,
        forest: figures::all_metrics(report.scores),
        ladder: ladder.into_iter().flatten().flatten().collect(),
        examples: examples(report.rows, report.tasks)?,
        methods: methods(subject),
        limitations: limitations(subject),
        cost: cost(report.manifest),
        manifest: serde_json::to_string_pretty(report.manifest)?,
        css: css(),
        script: Value::from_safe_string(include_str!("search.js").to_owned()),
    })
}

fn task_view<'a>(
    name: &'a str,
    scores: &'a TaskScores,
    task: Option<&Task>,
    counts: Counts,
    report: &Report,
) -> Result<TaskView<'a>> {
    let (checks, metrics): (Vec<_>, Vec<_>) =
        intervals::distinct(scores).into_iter().partition(|(key, _)| direction(key) == Direction::Neither);
    let charts = [
        figures::precision_recall(name, scores, task),
        figures::reliability(name, scores),
        figures::slices(name, scores),
    ];
    let flips = report.ladder.and_then(|ladder| Some((ladder.runs[0].as_str(), ladder.tasks.get(name)?.flips.last()?)));
    let seed = report.manifest.bootstrap.as_ref().map_or(42, |bootstrap| bootstrap.seed);
    let looks = task.map_or(Ok(vec![]), |task| looks(report.rows, task, main_of(scores).key, flips, seed))?;
    let headline = headline(scores);
    Ok(TaskView {
        name,
        kind: task.map_or_else(String::new, |task| kind(task, report.manifest.model.is_some())),
        sample: sample(scores),
        headline: headline.map(|headline| {
            let why = headline.instead.or(headline.metric.withheld.as_deref());
            MetricView { why, ..metric_view(headline.key, headline.metric) }
        }),
        instead: headline.and_then(|headline| intervals::instead(&headline, metrics::name)),
        metrics: with_marks(metric_views(metrics.into_iter().chain(people::rated(scores)).collect()), scores),
        checks: metric_views(checks),
        answered: counts.answered(),
        cut_off: counts.cut_off(),
        counts,
        coverage: intervals::coverage(scores),
        classes: classes(scores, task),
        confusion: scores.confusion.as_ref().map(heatmap),
        figures: charts.into_iter().flatten().collect(),
        looks,
        correlations: scores.ratings.as_ref().and_then(rated::correlations),
        signature: scores.signature.split('|').collect(),
    })
}

/// With what people reach among themselves beside.
fn with_marks<'a>(views: Vec<MetricView<'a>>, scores: &TaskScores) -> Vec<MetricView<'a>> {
    let mark = |view: &MetricView| people::mark(scores, view.key).map(people::mark_in_words);
    views.into_iter().map(|view| MetricView { mark: mark(&view), ..view }).collect()
}

/// A reason stands once for the metrics in a row that have it.
fn metric_views<'a>(metrics: Vec<(&'a str, &'a Metric)>) -> Vec<MetricView<'a>> {
    let mut above = None;
    let mut view = |(key, metric): (&'a str, &'a Metric)| {
        let why = metric.withheld.as_deref();
        let is_said = std::mem::replace(&mut above, why) == why;
        MetricView { why: why.filter(|_| !is_said), ..metric_view(key, metric) }
    };
    metrics.into_iter().map(&mut view).collect()
}

fn metric_view<'a>(key: &'a str, metric: &'a Metric) -> MetricView<'a> {
    MetricView {
        key,
        name: metrics::name(key),
        explanation: prose(key).explanation,
        lower_is_better: direction(key) == Direction::Lower,
        value: metrics::decimal(metric.value),
        interval: metrics::interval(metric),
        why: metric.withheld.as_deref(),
        bootstrap: metric.bootstrap.as_ref().and_then(|bounds| match &bounds.withheld {
            // What keeps both from being shown is said once.
            why if why.is_some() && *why == metric.withheld => None,
            Some(why) => Some(format!("withheld: {why}")),
            None => Some(metrics::range(bounds.low, bounds.high)),
        }),
        n: metrics::count(metric.n),
        note: metric.note.as_deref(),
        mark: None,
    }
}

/// What an answer is. Whether one from elsewhere had to keep to `max_tokens` isn't known.
fn kind(task: &Task, is_ours: bool) -> String {
    match task.kind {
        TaskKind::Text if !is_ours => "Free text".into(),
        TaskKind::Text => format!("Free text of at most {}", metrics::counted(task.max_tokens, "token")),
        TaskKind::Label => format!("One of {}", metrics::counted(task.labels.len(), "label")),
    }
}

/// What the intervals rest on.
fn sample(scores: &TaskScores) -> String {
    let Some(Headline { metric, .. }) = headline(scores) else {
        return "No answer has a reference, so nothing is scored".into();
    };
    let mut text = format!("{} scored", metrics::counted(metric.n, "answer"));
    if let Some(coverage) = intervals::coverage(scores) {
        text.push_str(&format!(" ({coverage})"));
    }
    if let Some(threshold) = scores.threshold {
        text.push_str(&format!("; decided at a probability of {}, chosen on other data", metrics::decimal(threshold)));
    }
    if let Some(sampling) = &scores.sampling {
        let metrics = intervals::distinct(scores);
        text.push_str(&format!("; {}", intervals::sample(sampling, &metrics, metrics::name)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::Manifest;
    use crate::report::fixture;
    use crate::scores::Row;

    const HOSTILE: &str = "</script></div><img src=x onerror=alert(1)> \"'> https://example.org/a.js {{ 7 * 7 }}";

    fn render(rows: &[Row], title: &str, manifest: &Manifest) -> String {
        let (scores, tasks) = (fixture::scores(), fixture::tasks());
        let rows = &fixture::rows_of(rows);
        html(&Report { title: title.into(), scores: &scores, rows, tasks: &tasks, manifest, ladder: None }).unwrap()
    }

    #[test]
    fn has_all_its_parts() {
        let page = render(&fixture::rows(), "reels-mini.gguf", &fixture::manifest());
        for part in [
            "<h1>reels-mini.gguf</h1>",
            "<html lang=\"en\">",
            "2 Mar 2026, 10:11 UTC",
            "ROUGE-Lsum",
            "0.371 – 0.446",
            "<title>Forest plot of 95 % intervals</title>",
            "<li>summary: ROUGE-L is 0.350",
            "We evaluated reels-mini.gguf",
            "Kami mengevaluasi reels-mini.gguf",
            "The transcripts of 3 of 120 Reels were shortened to fit their prompts, by 1,812 tokens at most.",
            "Transkrip 3 dari 120 Reels dipotong agar muat dalam prompt, paling banyak 1.812 token.",
            "<span>3 shortened, by 1,812 tokens at most</span>",
            "<span>no label</span>",
            "makanan &amp; minuman",
            "mode:google-0.1.2",
            "7 of 11 answers right",
            "All 6 answers about 3 Reels are shown",
            "<p class=\"text\" lang=\"id\"><mark>Resep soto.</mark></p>",
            "… cut off",
            "finish: length",
            "prefers-color-scheme: dark",
            "@media print",
            "&quot;seed&quot;: 42",
        ] {
            assert!(page.contains(part), "{part} is missing");
        }
        assert_eq!(page.matches("<table").count(), page.matches("<caption>").count());
        assert!(!page.contains("<th>"), "every header cell has a scope");
    }

    #[test]
    fn what_is_withheld_is_said_where_it_would_stand() {
        let (mut scores, tasks, manifest) = (fixture::scores(), fixture::tasks(), fixture::manifest());
        fixture::withhold(&mut scores);
        let rows = &fixture::rows_of(&fixture::rows());
        let report =
            Report { title: "m".into(), scores: &scores, rows, tasks: &tasks, manifest: &manifest, ladder: None };
        let page = html(&report).unwrap();
        for part in [
            "withheld<small class=\"why\">1 of 3 labels don’t occur: oto_motif</small>",
            "<p class=\"number\">0.790</p>",
            "in place of Macro F1, whose interval is withheld: 1 of 3 labels don’t occur: oto_motif",
            "<li>category: Weighted F1 is 0.790 (95\u{a0}% interval 0.711 – 0.823)",
            "<small class=\"tag\">doesn’t occur</small>",
            "class=\"value bare\"",
        ] {
            assert!(page.contains(part), "{part} is missing");
        }
        assert!(!page.contains("NaN"));
    }

    #[test]
    fn nothing_is_loaded() {
        let page = render(&fixture::rows(), "reels-mini.gguf", &fixture::manifest());
        for load in ["http://", "https://", "url(", "@import", " src=", "<link"] {
            assert!(!page.contains(load), "{load}");
        }
    }

    #[test]
    fn hostile_text_is_escaped_wherever_it_stands() {
        let row = Row {
            reel_id: HOSTILE.into(),
            account: Some(HOSTILE.into()),
            task: HOSTILE.into(),
            prompt: HOSTILE.into(),
            reference: Some(HOSTILE.into()),
            output: HOSTILE.into(),
            label_logprobs: Some([(HOSTILE.to_owned(), -0.1)].into_iter().collect()),
            metrics: [(HOSTILE.to_owned(), 0.5)].into_iter().collect(),
            ..fixture::row("r1", "ad")
        };
        let mut scores = fixture::scores();
        let mut task = scores.tasks["category"].clone();
        task.metrics.insert(HOSTILE.into(), task.metrics["accuracy"].clone());
        task.classes.insert(HOSTILE.into(), task.classes["musik"]);
        task.signature = HOSTILE.into();
        task.confusion.as_mut().unwrap().labels[1] = HOSTILE.into();
        scores.tasks.insert(HOSTILE.into(), task);
        let manifest = serde_json::json!({HOSTILE: HOSTILE, "model": {"name": HOSTILE, "sha256": HOSTILE}});
        let manifest: Manifest = serde_json::from_value(manifest).unwrap();
        let report = Report {
            title: HOSTILE.into(),
            scores: &scores,
            rows: &fixture::rows_of(&[row]),
            tasks: &fixture::tasks(),
            manifest: &manifest,
            ladder: None,
        };
        let page = html(&report).unwrap();
        assert_eq!(page.matches("</script>").count(), 1, "only the page's own script ends");
        assert!(!page.contains("<img") && !page.contains("https://"));
        assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;") && page.contains("{{ 7 * 7 }}"));
    }

    #[test]
    fn many_rows_make_a_bounded_page() {
        let rows: Vec<Row> = (0..5000).map(|index| fixture::row(&format!("r{index}"), "summary")).collect();
        let page = render(&rows, "reels-mini.gguf", &Manifest::default());
        let cards = page.split("id=\"cards\"").nth(1).unwrap();
        assert_eq!(cards.matches("class=\"answer\"").count(), 2000);
        assert!(page.contains("2,000 of 5,000 answers are shown"));
    }

    #[test]
    fn nothing_scored_is_still_a_page() {
        let scores = crate::scores::Scores { v: 1, tasks: indexmap::IndexMap::new() };
        let (rows, manifest) = (&fixture::rows_of(&[]), &Manifest::default());
        let report = Report { title: "m".into(), scores: &scores, rows, tasks: &[], manifest, ladder: None };
        assert!(html(&report).unwrap().contains("All 0 answers about 0 Reels are shown"));
    }
}
