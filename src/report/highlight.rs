//! A text with what it shares with another one marked, and what its Reel doesn't say.

use std::collections::HashSet;
use std::fmt::Write;

use minijinja::value::Value;

use crate::indonesian::Words;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// Part of two neighbouring words that `other` has too.
    Shared,
    Flagged,
}

/// `text` as HTML. Words are those of ROUGE's mode `id`.
pub fn highlighted(text: &str, other: &str, flags: &[String]) -> Value {
    let other = Words::default().of(other);
    let pairs: HashSet<&[String]> = other.windows(2).collect();
    let tokens: Vec<&str> = text.split_whitespace().collect();
    let mut words = Vec::new();
    let mut token_of = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        for word in Words::default().of(token) {
            words.push(word);
            token_of.push(index);
        }
    }
    let mut kinds = vec![Kind::Plain; tokens.len()];
    for (at, _) in words.windows(2).enumerate().filter(|(_, pair)| pairs.contains(pair)) {
        kinds[token_of[at]..=token_of[at + 1]].fill(Kind::Shared);
    }
    for (kind, token) in kinds.iter_mut().zip(&tokens) {
        let bare = token.trim_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '@' | '#'));
        if flags.iter().any(|flag| flag == bare) {
            *kind = Kind::Flagged;
        }
    }
    let mut html = String::new();
    let mut rest = text;
    for (index, token) in tokens.iter().enumerate() {
        let before = if index == 0 { Kind::Plain } else { kinds[index - 1] };
        let (space, from) = rest.split_at(rest.find(token).unwrap_or(0));
        if before != kinds[index] {
            html.push_str(if before == Kind::Plain { "" } else { "</mark>" });
        }
        html.push_str(space);
        if before != kinds[index] {
            html.push_str(match kinds[index] {
                Kind::Plain => "",
                Kind::Shared => "<mark>",
                Kind::Flagged => "<mark class=\"flag\" title=\"not in the Reel\">",
            });
        }
        escape(&mut html, token);
        rest = &from[token.len()..];
    }
    if kinds.last().is_some_and(|kind| *kind != Kind::Plain) {
        html.push_str("</mark>");
    }
    html.push_str(rest);
    Value::from_safe_string(html)
}

fn escape(to: &mut String, text: &str) {
    let _ = write!(to, "{}", minijinja::HtmlEscape(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_pairs_of_words_and_flags_are_marked() {
        let html = |text, other, flags: &[&str]| {
            highlighted(text, other, &flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>()).to_string()
        };
        assert_eq!(
            html("Kopi susu gak mahal, di Bali.", "kopi susu tidak mahal", &["Bali"]),
            "<mark>Kopi susu gak mahal,</mark> di <mark class=\"flag\" title=\"not in the Reel\">Bali.</mark>"
        );
        assert_eq!(html("a\n b", "c d", &[]), "a\n b");
        assert!(!html("<img> <b>", "<img> <b>", &[]).contains("<img"));
        assert_eq!(html("", "x y", &[]), "");
    }
}
