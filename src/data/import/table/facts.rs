//! What is only known of a column when all of it was read.

use super::cell::Cell;
use super::date;
use super::field::Field;
use super::guess::is_media_number;
use super::values::bare;
use crate::ask::records::is_unknown;

/// Times of a spreadsheet's column of lengths that are longer were typed as minutes and seconds.
const LONG: f64 = 15.0 * 60.0;

/// What is known of a column when all of it is read.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Facts {
    filled: u64,
    /// Instagram's numbers of posts, and those of them whose last digits are lost.
    media: u64,
    rounded: u64,
    /// Dates with the year last whose first number is no month, and whose second is none.
    day_first: u64,
    month_first: u64,
    /// Times, those of whole minutes, and those longer than [`LONG`].
    times: u64,
    minutes: u64,
    long: u64,
}

impl Facts {
    /// Takes in one more cell.
    pub fn add(&mut self, field: &Field, cell: &Cell) {
        let is_filled = match cell {
            Cell::Empty => false,
            Cell::Text(text) => !is_unknown(text),
            _ => true,
        };
        self.filled += u64::from(is_filled);
        match (field, cell) {
            (Field::Id | Field::Shortcode, Cell::Text(_) | Cell::Whole(_)) => {
                let text = cell.shown();
                let text = bare(&text);
                let is_media = is_media_number(text);
                self.media += u64::from(is_media);
                self.rounded += u64::from(is_media && text.ends_with("000"));
            }
            (Field::PostedAt | Field::CollectedAt, Cell::Text(text)) => {
                let (first, second) = date::halves(text).unwrap_or((0, 0));
                self.day_first += u64::from(first > 12);
                self.month_first += u64::from(second > 12);
            }
            (Field::Duration, Cell::Length(seconds)) => {
                self.times += 1;
                self.minutes += u64::from(seconds % 60.0 == 0.0);
                self.long += u64::from(*seconds > LONG);
            }
            _ => {}
        }
    }

    /// Whether the column proves that dates have the month first.
    pub fn is_month_first(&self) -> bool {
        self.month_first > 0 && self.day_first == 0
    }

    /// Whether dates may be read both ways: nothing proves one of them, or both are proved.
    pub fn is_undecided(&self) -> bool {
        (self.day_first > 0) == (self.month_first > 0)
    }

    /// Whether all are Instagram's numbers of posts.
    pub fn is_media(&self) -> bool {
        self.media == self.filled
    }

    /// Whether most of Instagram's numbers end in zeros: a spreadsheet keeps 15 digits.
    pub fn is_rounded(&self) -> bool {
        self.rounded * 2 > self.media
    }

    /// Whether 0:41 was typed for seconds: a spreadsheet takes it for hours and minutes.
    pub fn is_typed_as_minutes(&self) -> bool {
        self.times > 0 && self.minutes == self.times && self.long * 2 > self.times
    }
}
