//! The page: one file that needs no server and no network.

use anyhow::{Context, Result};
use minijinja::value::Value;
use minijinja::{Environment, UndefinedBehavior, context};

use super::form::Form;

const STYLE: &str = concat!(include_str!("../../palette.css"), include_str!("page/page.css"));
/// What is read first stands first.
const SCRIPTS: [&str; 5] = [
    include_str!("page/texts.js"),
    include_str!("page/answers.js"),
    include_str!("page/start.js"),
    include_str!("page/reel.js"),
    include_str!("page/page.js"),
];

/// A form as a page.
///
/// # Errors
/// When the template can't be rendered, which no form should be able to cause.
pub fn html(form: &Form) -> Result<String> {
    // In JSON a `<` can stand in texts alone.
    let json = serde_json::to_string(form)?.replace('<', "\\u003c");
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // A name in .html turns escaping on.
    environment.add_template("page.html", include_str!("page/page.html")).context("the review page")?;
    let view = context! {
        title => &form.title,
        css => Value::from_safe_string(STYLE.to_owned()),
        script => Value::from_safe_string(SCRIPTS.concat()),
        form => Value::from_safe_string(json),
    };
    environment.get_template("page.html")?.render(view).context("cannot render the review page")
}
