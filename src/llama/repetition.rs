//! A text that says the same again and again, as greedy models do once they have begun to.

/// Times that a part has to stand there one after the other, and tokens that these have to be.
const TIMES: usize = 4;
const LEAST_TOKENS: usize = 24;

/// The tokens of a text, and how long it has been the same as some tokens before.
#[derive(Debug, Default)]
pub(super) struct Repetition {
    tokens: Vec<u32>,
    /// By distance less 1: how many of the last tokens are those that stand so far before them.
    same: Vec<usize>,
}

impl Repetition {
    /// Takes in the next token; whether the text has come to repeat a part of itself, token for token, at least four times and
    /// over at least 24 tokens.
    pub fn goes_round(&mut self, token: u32) -> bool {
        self.tokens.push(token);
        let mut round = false;
        for (index, earlier) in self.tokens.iter().rev().skip(1).enumerate() {
            if index == self.same.len() {
                self.same.push(0);
            }
            let (distance, same) = (index + 1, &mut self.same[index]);
            *same = if *earlier == token { *same + 1 } else { 0 };
            round |= *same + distance >= LEAST_TOKENS.max(TIMES * distance);
        }
        round
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many tokens are taken in until it goes round; `None` where it doesn't.
    fn found(tokens: impl IntoIterator<Item = u32>) -> Option<usize> {
        let mut repetition = Repetition::default();
        tokens.into_iter().position(|token| repetition.goes_round(token)).map(|at| at + 1)
    }

    #[test]
    fn a_part_counts_from_four_times_and_24_tokens_on() {
        let part = |length: u32| (0..length).cycle();
        assert_eq!(found(part(1).take(100)), Some(24));
        assert_eq!(found(part(5).take(100)), Some(24));
        assert_eq!(found(part(6).take(100)), Some(24));
        assert_eq!(found(part(7).take(100)), Some(28));
        assert_eq!(found(part(30).take(119)), None);
        assert_eq!(found(part(30).take(120)), Some(120));
        assert_eq!(found((100..150).chain(part(8))), Some(50 + 32));
        assert_eq!(found((0..100).flat_map(|number| [number, 1000, 1001])), None);
        let with_another = (0..100).map(|at| if at % 20 == 19 { 7 } else { at % 4 });
        assert_eq!(found(with_another.clone()), Some(80), "the other token is part of it");
        assert_eq!(found(with_another.take(79)), None);
    }
}
