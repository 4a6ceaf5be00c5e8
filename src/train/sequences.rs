//! From examples to the sequences that are computed: those of one record share their beginning, and a sequence is
//! filled up with several records.

use super::examples::Example;
use super::pack::pack;
use crate::learner::{Batch, Document};

/// Documents that are computed together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sequence {
    #[expect(missing_docs, reason = "the type says it")]
    pub batch: Batch,
    /// Tokens of all its examples, each counted whole, although what they share is computed once.
    pub example_tokens: usize,
}

/// Sequences of at most `budget` tokens; where that is `None`, each example is a sequence.
pub fn sequences(examples: &[Example], budget: Option<usize>) -> Vec<Sequence> {
    let Some(budget) = budget else { return examples.iter().map(|example| document(&[vec![example]])).collect() };
    let documents: Vec<Sequence> = shared(examples, budget).iter().map(|group| document(group)).collect();
    let lengths: Vec<usize> = documents.iter().map(|document| document.batch.tokens.len()).collect();
    let mut packs = pack(&lengths, budget);
    // In the order of the data, which is what not shuffling keeps.
    packs.iter_mut().for_each(|pack| pack.sort_unstable());
    packs.sort_unstable();
    let joined = |pack: &Vec<usize>| {
        pack.iter().map(|index| &documents[*index]).fold(Sequence::default(), |mut sequence, document| {
            sequence.batch.extend(&document.batch);
            sequence.example_tokens += document.example_tokens;
            sequence
        })
    };
    packs.iter().map(joined).collect()
}

/// Examples of which each goes on where the one before ends, as the turns of a conversation do. The last one holds all
/// the others, so only that is computed.
type Chain<'a> = Vec<&'a Example>;

/// Neighbours of one Reel that share a beginning and fit the budget together.
fn shared(examples: &[Example], budget: usize) -> Vec<Vec<Chain<'_>>> {
    let mut groups: Vec<Vec<Chain>> = Vec::new();
    for example in examples {
        if let Some(group) = groups.last_mut().filter(|group| group[0][0].reel_id == example.reel_id) {
            let mut longer = group.clone();
            match longer.last_mut().filter(|chain| example.tokens.starts_with(&last(chain).tokens)) {
                Some(chain) => chain.push(example),
                None => longer.push(vec![example]),
            }
            let prefix = prefix(&longer);
            let tokens = prefix + longer.iter().map(|chain| last(chain).tokens.len() - prefix).sum::<usize>();
            if (prefix > 0 || longer.len() == 1) && tokens <= budget {
                *group = longer;
                continue;
            }
        }
        groups.push(vec![vec![example]]);
    }
    groups
}

fn last<'a>(chain: &Chain<'a>) -> &'a Example {
    chain[chain.len() - 1]
}

/// How many tokens several chains have in common before the first answer starts; 0 where there is only one.
fn prefix(chains: &[Chain]) -> usize {
    let [first, others @ ..] = chains else { return 0 };
    let first = &last(first).tokens;
    let common = |other: &Chain| first.iter().zip(&last(other).tokens).take_while(|(a, b)| a == b).count();
    let answers = chains.iter().map(|chain| chain[0].answer_at);
    others.iter().map(common).min().map_or(0, |common| answers.fold(common, usize::min))
}

fn document(chains: &[Chain]) -> Sequence {
    let prefix = prefix(chains);
    let mut batch = Batch { tokens: last(&chains[0]).tokens[..prefix].to_vec(), ..Batch::default() };
    for chain in chains {
        let start = batch.tokens.len();
        batch.tokens.extend(&last(chain).tokens[prefix..]);
        for example in chain {
            for at in example.answer_at..example.tokens.len() {
                // The row before: the last one of the prefix where the answer follows right behind that.
                let row = if at == prefix { at - 1 } else { start + at - prefix - 1 };
                batch.rows.push(row as u32);
                batch.targets.push(example.tokens[at]);
                batch.weights.push(example.weight);
            }
        }
    }
    let lengths = chains.iter().map(|chain| last(chain).tokens.len());
    let document = match prefix {
        0 => Document::plain(batch.tokens.len()),
        _ => Document { prefix, branches: lengths.map(|length| length - prefix).collect() },
    };
    batch.documents.push(document);
    Sequence { batch, example_tokens: chains.iter().flatten().map(|example| example.tokens.len()).sum() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(reel_id: &str, tokens: &[u32], answer_at: usize) -> Example {
        Example {
            reel_id: reel_id.into(),
            task: "t".into(),
            tokens: tokens.to_vec(),
            answer_at,
            weight: answer_at as f32,
        }
    }

    #[test]
    fn examples_of_a_reel_share_their_beginning() {
        let examples = [example("a", &[1, 2, 3, 4, 5], 4), example("a", &[1, 2, 9, 8], 3), example("b", &[1, 2, 3], 2)];
        let made = sequences(&examples, Some(10));
        assert_eq!(made.len(), 1);
        let Batch { tokens, documents, rows, targets, weights } = &made[0].batch;
        assert_eq!(tokens, &[1, 2, 3, 4, 5, 9, 8, 1, 2, 3]);
        assert_eq!(documents, &[Document { prefix: 2, branches: vec![3, 2] }, Document::plain(3)]);
        assert_eq!((rows, targets, weights), (&vec![3, 5, 8], &vec![5, 8, 3], &vec![4.0, 3.0, 2.0]));
        assert_eq!(made[0].example_tokens, 12);
        assert_eq!(documents[0].positions().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 2, 3]);
        // What doesn't fit together stands alone.
        let made = sequences(&examples, Some(5));
        let lengths: Vec<usize> = made.iter().map(|sequence| sequence.batch.tokens.len()).collect();
        assert_eq!(lengths, [5, 4, 3]);
        assert_eq!(sequences(&examples, None).len(), 3);
    }

    #[test]
    fn answers_to_the_same_prompt_follow_the_same_row() {
        let made = sequences(&[example("a", &[1, 2, 5, 7], 2), example("a", &[1, 2, 6, 7], 2)], Some(10));
        let Batch { tokens, documents, rows, targets, .. } = &made[0].batch;
        assert_eq!(tokens, &[1, 2, 5, 7, 6, 7]);
        assert_eq!(documents, &[Document { prefix: 2, branches: vec![2, 2] }]);
        assert_eq!((rows, targets), (&vec![1, 2, 1, 4], &vec![5, 7, 6, 7]));
    }

    #[test]
    fn turns_of_a_conversation_are_computed_as_the_last_of_them() {
        let turns = [example("a", &[1, 2, 3], 2), example("a", &[1, 2, 3, 4, 5, 6], 5), example("a", &[1, 2, 7], 2)];
        let made = sequences(&turns[..2], Some(6));
        let Batch { tokens, documents, rows, targets, weights } = &made[0].batch;
        assert_eq!((made.len(), tokens, documents), (1, &vec![1, 2, 3, 4, 5, 6], &vec![Document::plain(6)]));
        assert_eq!((rows, targets, weights), (&vec![1, 4], &vec![3, 6], &vec![2.0, 5.0]));
        assert_eq!(made[0].example_tokens, 9);
        // Beside another answer to the first turn.
        let made = sequences(&turns, Some(7));
        let Batch { tokens, documents, rows, targets, .. } = &made[0].batch;
        assert_eq!(tokens, &[1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(documents, &[Document { prefix: 2, branches: vec![4, 1] }]);
        assert_eq!((rows, targets), (&vec![1, 4, 1], &vec![3, 6, 7]));
        assert_eq!(sequences(&turns[..2], Some(5)).len(), 2);
    }
}
