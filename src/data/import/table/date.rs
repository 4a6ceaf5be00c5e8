//! Moments as people and programs write them into tables.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};

use crate::data::import::value::epoch;

/// Names of months, Indonesian and English; they may be cut to three letters.
const MONTHS: [&[&str]; 12] = [
    &["januari", "january"],
    &["februari", "february", "pebruari"],
    &["maret", "march"],
    &["april"],
    &["mei", "may"],
    &["juni", "june"],
    &["juli", "july"],
    &["agustus", "august", "agt", "ags"],
    &["september"],
    &["oktober", "october"],
    &["november", "nopember"],
    &["desember", "december"],
];
/// Words beside a date that say nothing more.
const WORDS: [&str; 18] = [
    "pukul", "jam", "at", "pada", "tanggal", "tgl", "senin", "selasa", "rabu", "kamis", "jumat", "jum'at", "sabtu",
    "minggu", "of", "on", "the", "-",
];
/// What may stand behind a time, with its hours before Greenwich.
const ZONES: [(&str, i64); 6] = [("utc", 0), ("gmt", 0), ("z", 0), ("wib", 7), ("wita", 8), ("wit", 9)];

/// A moment, and what had to be assumed to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// ISO 8601, UTC.
    pub text: String,
    /// Whether it has a time without a zone, which is taken for UTC.
    pub unzoned: bool,
    /// Whether day and month could be the other way round.
    pub ambiguous: bool,
}

/// The first two numbers of a date whose year is its last: day and month, or month and day.
pub fn halves(text: &str) -> Option<(i8, i8)> {
    let date = text.trim().split([' ', ',', 'T']).next()?;
    let [first, second, year] = numbers(date)?;
    (first.len() <= 2 && matches!(year.len(), 2 | 4)).then_some(())?;
    Some((first.parse().ok()?, second.parse().ok()?))
}

/// Three numbers with the same sign between them.
fn numbers(date: &str) -> Option<[&str; 3]> {
    let separator = date.chars().find(|char| matches!(char, '/' | '-' | '.'))?;
    let mut parts = date.split(separator);
    let numbers = [parts.next()?, parts.next()?, parts.next()?];
    let is_number = |part: &&str| (1..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    (parts.next().is_none() && numbers.iter().all(is_number)).then_some(numbers)
}

/// A moment from a number: seconds or milliseconds since 1970, or days as spreadsheets count them.
pub fn from_number(number: f64) -> Option<String> {
    // From 1955 to 2119; as seconds these would all be on the first day of 1970.
    if (20_000.0..80_000.0).contains(&number) {
        const UNIX: f64 = 25_569.0;
        return epoch(((number - UNIX) * 86_400.0).round());
    }
    // 20250312, as yt-dlp writes it.
    if (19_700_101.0..=21_001_231.0).contains(&number) && number.fract() == 0.0 {
        let number = number as i32;
        let date = Date::new((number / 10_000) as i16, (number / 100 % 100) as i8, (number % 100) as i8).ok()?;
        return utc(date.to_datetime(Time::midnight()), 0);
    }
    if number < 1e8 { None } else { epoch(number) }
}

/// Reads a moment; `None` for what is none.
pub fn read(text: &str, month_first: bool) -> Option<Moment> {
    let text = text.trim();
    let known = |text: String| Some(Moment { text, unzoned: false, ambiguous: false });
    if let Ok(number) = text.parse::<f64>() {
        return from_number(number).and_then(known);
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return known(shown(moment));
    }
    // The colon may be left out of an offset.
    if let Some(moment) =
        jiff::fmt::strtime::parse("%Y-%m-%dT%H:%M:%S%z", text).ok().and_then(|it| it.to_timestamp().ok())
    {
        return known(shown(moment));
    }
    if let Ok(moment) = text.parse::<DateTime>() {
        return Some(Moment { text: utc(moment, 0)?, unzoned: text.contains(':'), ambiguous: false });
    }
    spoken(text, month_first)
}

/// A date in words or with the year last.
fn spoken(text: &str, month_first: bool) -> Option<Moment> {
    let (mut year, mut month, mut day) = (None, None, None);
    let (mut time, mut hours, mut zone, mut ambiguous) = (None, None, None, false);
    let lower = text.to_lowercase();
    for word in lower.split([' ', ',', '\u{a0}', '\u{202f}']).filter(|word| !word.is_empty()) {
        let word = word.strip_suffix('.').unwrap_or(word);
        if let Some((_, before)) = ZONES.iter().find(|(name, _)| *name == word) {
            zone = Some(*before);
        } else if let "am" | "pm" = word {
            hours = Some(word == "pm");
        } else if let Some([first, second, third]) = numbers(word).filter(|_| day.is_none()) {
            let number = |part: &str| part.parse::<i16>().ok();
            let (first, second, third, is_year_first) =
                (number(first)?, number(second)?, number(third)?, first.len() == 4);
            let swapped = month_first && second <= 31 && first <= 12 || first <= 12 && second > 12;
            (year, month, day) = match (is_year_first, swapped) {
                (true, _) => (Some(first), Some(second), Some(third)),
                (false, true) => (Some(third), Some(first), Some(second)),
                (false, false) => (Some(third), Some(second), Some(first)),
            };
            ambiguous = !is_year_first && first <= 12 && second <= 12 && first != second;
        } else if let Some(clock) = clock(word).filter(|_| time.is_none()) {
            time = Some(clock.0);
            hours = clock.1.or(hours);
        } else if let Some(at) = MONTHS.iter().position(|names| is_month(word, names)) {
            month = Some(at as i16 + 1);
        } else if let Ok(number) = word.parse::<i16>() {
            match number {
                1..=31 if day.is_none() => day = Some(number),
                1970..=2199 if year.is_none() => year = Some(number),
                _ => return None,
            }
        } else if !WORDS.contains(&word) {
            return None;
        }
    }
    let year = year.map(|year| if year < 100 { year + 2000 } else { year })?;
    let date = Date::new(year, i8::try_from(month?).ok()?, i8::try_from(day?).ok()?).ok()?;
    let mut clock = time.unwrap_or(Time::midnight());
    if let Some(afternoon) = hours {
        let hour = clock.hour() % 12 + if afternoon { 12 } else { 0 };
        clock = Time::new(hour, clock.minute(), clock.second(), 0).ok()?;
    }
    let text = utc(date.to_datetime(clock), zone.unwrap_or(0))?;
    Some(Moment { text, unzoned: time.is_some() && zone.is_none(), ambiguous })
}

fn is_month(word: &str, names: &[&str]) -> bool {
    word.len() >= 3 && names.iter().any(|name| name.starts_with(word))
}

/// `10:11`, `10.11`, `10:11:12`, `10:11pm`, and whether the last is in the afternoon.
fn clock(word: &str) -> Option<(Time, Option<bool>)> {
    let (word, afternoon) = match (word.strip_suffix("am"), word.strip_suffix("pm")) {
        (Some(word), _) => (word, Some(false)),
        (_, Some(word)) => (word, Some(true)),
        _ => (word, None),
    };
    let separator = word.chars().find(|char| matches!(char, ':' | '.'))?;
    let mut parts = word.split(separator);
    let mut number = || parts.next().unwrap_or("0").split('.').next()?.parse::<i8>().ok();
    let (hour, minute, second) = (number()?, number()?, number()?);
    Some((Time::new(hour, minute, second, 0).ok()?, afternoon))
}

/// A date and time so many hours before Greenwich.
fn utc(moment: DateTime, hours: i64) -> Option<String> {
    let moment = jiff::tz::TimeZone::UTC.to_timestamp(moment).ok()?;
    moment.checked_sub(jiff::SignedDuration::from_hours(hours)).ok().map(shown)
}

fn shown(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_as_people_and_programs_write_them() {
        for (text, expected) in [
            ("2025-03-12T10:11:12Z", "2025-03-12T10:11:12Z"),
            ("2025-03-12T10:11:12+07:00", "2025-03-12T03:11:12Z"),
            ("2025-03-12T10:11:12+0000", "2025-03-12T10:11:12Z"),
            ("2025-03-12 10:11:12", "2025-03-12T10:11:12Z"),
            ("2025-03-12", "2025-03-12T00:00:00Z"),
            ("2025/03/12", "2025-03-12T00:00:00Z"),
            ("20250312", "2025-03-12T00:00:00Z"),
            ("1741774272", "2025-03-12T10:11:12Z"),
            ("1741774272000", "2025-03-12T10:11:12Z"),
            ("45728", "2025-03-12T00:00:00Z"),
            ("45728.5", "2025-03-12T12:00:00Z"),
            ("12/03/2025", "2025-03-12T00:00:00Z"),
            ("12.03.25", "2025-03-12T00:00:00Z"),
            ("12-3-2025 17.05", "2025-03-12T17:05:00Z"),
            ("03/13/2025, 5:06 PM", "2025-03-13T17:06:00Z"),
            ("12:30AM 13/3/2025", "2025-03-13T00:30:00Z"),
            ("12 Maret 2025", "2025-03-12T00:00:00Z"),
            ("Rabu, 12 Mar 2025 pukul 10.11 WIB", "2025-03-12T03:11:00Z"),
            ("August 2, 2025", "2025-08-02T00:00:00Z"),
            ("2 Agt 2025", "2025-08-02T00:00:00Z"),
        ] {
            assert_eq!(read(text, false).map(|moment| moment.text).as_deref(), Some(expected), "{text}");
        }
        for text in
            ["", "kemarin", "31/02/2025", "12/2025", "3 hari lalu", "2025", "13/13/2025", "1e300", "25:61", "99"]
        {
            assert_eq!(read(text, false), None, "{text}");
        }
    }

    #[test]
    fn day_and_month_go_by_what_the_column_proves() {
        let read = |text: &str, month_first| {
            let moment = read(text, month_first).unwrap();
            (moment.text[..10].to_owned(), moment.ambiguous)
        };
        assert_eq!(read("04/05/2025", false), ("2025-05-04".to_owned(), true));
        assert_eq!(read("04/05/2025", true), ("2025-04-05".to_owned(), true));
        assert_eq!(read("13/05/2025", true), ("2025-05-13".to_owned(), false));
        assert_eq!(read("05/05/2025", true), ("2025-05-05".to_owned(), false));
        assert_eq!([halves("04/13/2025 10:00"), halves("2025/04/13")], [Some((4, 13)), None]);
    }
}
