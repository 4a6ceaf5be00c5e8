//! Counts and lengths as people write them.

/// A number that people wrote.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Written<T> {
    /// This many.
    Known(T),
    /// Nobody knows: a dash, "N/A", less than 0.
    Unknown,
}

/// Whether a text says that there is nothing to say.
pub fn is_unknown(text: &str) -> bool {
    const WORDS: [&str; 12] = ["", "-", "--", "–", "—", "?", "n/a", "na", "nan", "null", "none", "<na>"];
    let text = text.trim();
    text.len() <= 4 && WORDS.contains(&text.to_lowercase().as_str())
}

/// A count: `1200`, `1.200`, `1,234,567`, `1.2K`, `1,2 rb`, `3jt`. A separator before exactly three digits groups where no
/// suffix follows, else it is decimal; `None` for what is no whole number then.
pub fn count(text: &str) -> Option<Written<u64>> {
    if is_unknown(text) {
        return Some(Written::Unknown);
    }
    let text: String = text.trim().chars().filter(|char| *char != '\u{a0}' && *char != '\u{202f}').collect();
    let text = text.to_lowercase();
    if let Some(positive) =
        text.strip_prefix(['-', '−']).filter(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    {
        return count(positive).map(|_| Written::Unknown);
    }
    let text = text.strip_prefix('+').unwrap_or(&text);
    let end = text.find(|char: char| !(char.is_ascii_digit() || ".,".contains(char))).unwrap_or(text.len());
    let (digits, suffix) = text.split_at(end);
    let mut suffix = suffix.trim();
    for word in ["likes", "like", "suka", "views", "tayangan", "plays", "x ditonton", "comments", "komentar"] {
        suffix = suffix.strip_suffix(word).unwrap_or(suffix).trim();
    }
    let times = match suffix {
        "" => None,
        "k" | "rb" | "ribu" | "thousand" => Some(3),
        "m" | "jt" | "juta" | "mio" | "million" => Some(6),
        "b" | "miliar" | "milyar" | "billion" => Some(9),
        _ => return None,
    };
    let (whole, decimals) = parts(digits, times.is_none())?;
    let decimals = decimals.trim_end_matches('0');
    let power = times.unwrap_or(0usize).checked_sub(decimals.len())?;
    let digits = format!("{whole}{decimals}{}", "0".repeat(power));
    digits.parse().ok().map(Written::Known)
}

/// What stands before and behind the decimal separator.
fn parts(digits: &str, may_group: bool) -> Option<(String, &str)> {
    let separators: Vec<(usize, char)> = digits.char_indices().filter(|(_, char)| !char.is_ascii_digit()).collect();
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let grouped = |text: &str, separator: char| {
        let mut groups = text.split(separator);
        let first = groups.next().unwrap_or("");
        (all_digits(first)
            && first.len() <= 3
            && first != "0"
            && groups.all(|group| all_digits(group) && group.len() == 3))
        .then(|| text.replace(separator, ""))
    };
    match separators[..] {
        [] => all_digits(digits).then(|| (digits.to_owned(), "")),
        [(at, separator)] => {
            if may_group && let Some(whole) = grouped(digits, separator) {
                return Some((whole, ""));
            }
            let (whole, decimals) = (&digits[..at], &digits[at + 1..]);
            (all_digits(whole) && all_digits(decimals)).then(|| (whole.to_owned(), decimals))
        }
        [(_, first), .., (at, last)] if first != last => {
            let decimals = &digits[at + 1..];
            all_digits(decimals).then_some(())?;
            Some((grouped(&digits[..at], first)?, decimals))
        }
        [(_, separator), ..] => Some((grouped(digits, separator)?, "")),
    }
}

/// Seconds: `41.2`, `41,2`, `0:41`, `1:02:03`, `41 s`. `None` for what is no length.
pub fn seconds(text: &str) -> Option<Written<f64>> {
    if is_unknown(text) {
        return Some(Written::Unknown);
    }
    let text = text.trim().to_lowercase();
    if let Some(positive) =
        text.strip_prefix(['-', '−']).filter(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    {
        return seconds(positive).map(|_| Written::Unknown);
    }
    let number = |text: &str| -> Option<f64> {
        let is_number =
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b',');
        // 1,200 is 1.2 to some and 1200 to others.
        let thousands = text.split_once(',').is_some_and(|(_, behind)| behind.len() == 3);
        if is_number && !thousands { text.replace(',', ".").parse().ok() } else { None }
    };
    let parts: Vec<&str> = text.split(':').collect();
    let seconds = match parts[..] {
        [seconds] => {
            let mut seconds = seconds.trim();
            for unit in ["seconds", "second", "sec", "detik", "dtk", "s"] {
                seconds = seconds.strip_suffix(unit).unwrap_or(seconds).trim();
            }
            number(seconds)?
        }
        [minutes, seconds] => {
            60.0 * minutes.parse::<u32>().ok()? as f64 + number(seconds).filter(|value| *value < 60.0)?
        }
        [hours, minutes, seconds] => {
            let minutes = minutes.parse::<u32>().ok().filter(|minutes| *minutes < 60)?;
            3600.0 * hours.parse::<u32>().ok()? as f64
                + 60.0 * minutes as f64
                + number(seconds).filter(|value| *value < 60.0)?
        }
        _ => return None,
    };
    Some(Written::Known(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_as_people_write_them() {
        for (text, expected) in [
            ("1200", Some(1200)),
            (" 1200 ", Some(1200)),
            ("1200.0", Some(1200)),
            ("1,200", Some(1200)),
            ("1.200", Some(1200)),
            ("1.234.567", Some(1_234_567)),
            ("1,234,567", Some(1_234_567)),
            ("1,234.00", Some(1234)),
            ("1.234,0", Some(1234)),
            ("1\u{a0}200", Some(1200)),
            ("1.2K", Some(1200)),
            ("1,2 rb", Some(1200)),
            ("1,2\u{a0}rb", Some(1200)),
            ("1.234K", Some(1234)),
            ("1.234,5 rb", Some(1_234_500)),
            ("12 ribu", Some(12_000)),
            ("45rb", Some(45_000)),
            ("12,3 rb suka", Some(12_300)),
            ("3jt", Some(3_000_000)),
            ("2.5 M", Some(2_500_000)),
            ("1 juta", Some(1_000_000)),
            ("1,234 likes", Some(1234)),
            ("1,5 rb suka", Some(1500)),
            ("18446744073709551615", Some(u64::MAX)),
        ] {
            assert_eq!(count(text), expected.map(Written::Known), "{text}");
        }
        for text in ["", " ", "-", "N/A", "null", "None", "nan", "-1", "−1", "-1.0"] {
            assert_eq!(count(text), Some(Written::Unknown), "{text}");
        }
        for text in [
            "1.25",
            "0.500",
            "1,2,3",
            "12,34,567",
            "1.2345K",
            "many",
            "1200 apples",
            "18446744073709551616",
            "1..2",
            ".",
            "1,",
            "K",
            "-x",
            "1e3",
            "١٢",
        ] {
            assert_eq!(count(text), None, "{text}");
        }
    }

    #[test]
    fn lengths_as_people_write_them() {
        for (text, expected) in [
            ("41.2", 41.2),
            ("41,2", 41.2),
            ("0:41", 41.0),
            ("1:02:03", 3723.0),
            ("0:41.5", 41.5),
            ("41 s", 41.0),
            ("41 detik", 41.0),
        ] {
            assert_eq!(seconds(text), Some(Written::Known(expected)), "{text}");
        }
        assert_eq!(seconds("-1"), Some(Written::Unknown));
        for text in ["1:75", "1:2:3:4", "1,200", "long", "1.2.3", ":", "1:"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
