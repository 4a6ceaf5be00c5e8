//! Which Reels a student is judged by have a near neighbour in what it learned from.

use std::collections::BTreeMap;

use crate::data::known::Known;
use crate::data::lock::{Held, Index, Lock};
use crate::reel::Reel;

/// By the id of a Reel that is judged by, the id of the learned record that it is most like. As near as `reels split` puts two
/// Reels on the same side: they share so many runs of letters, or a passage.
pub fn neighbours<'a>(judged: &[Reel], learned: impl IntoIterator<Item = &'a Reel>) -> BTreeMap<String, String> {
    // Other Reels of an account are no neighbours by that alone.
    let known = |reel: &Reel| Known { account: None, ..Known::from(reel) };
    let learned: Vec<Known> = learned.into_iter().map(known).collect();
    let lock = Lock::in_memory(&learned);
    let index = Index::of(&lock);
    let neighbour = |reel: &Reel| match index.holds(&known(reel))? {
        Held::Copy(of, _) => Some((reel.id.clone(), of)),
        Held::Id => Some((reel.id.clone(), reel.id.clone())),
        Held::Account => None,
    };
    judged.iter().filter_map(neighbour).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_with_a_few_other_words_is_a_neighbour() {
        let text = "hari ini kita masak soto ayam di rumah bumbunya cuma lima macam jangan lupa kasih jeruk nipis supaya segar \
                    lalu taburi bawang goreng dan seledri di atasnya sebelum disajikan hangat hangat";
        let reel = |id: &str, text: &str| Reel {
            id: id.into(),
            account: Some("a".into()),
            transcript: Some(text.into()),
            ..Reel::default()
        };
        let other =
            "motor tua di garasi saya rawat sendiri pakai oli bekas dan kunci pas warisan dari bapak di kampung";
        let judged = [reel("t1", text), reel("t2", other)];
        let learned = [reel("g1", &text.replace("lima", "enam").replace("nipis", "purut"))];
        assert_eq!(neighbours(&judged, &learned), [("t1".to_owned(), "g1".to_owned())].into());
        assert_eq!(neighbours(&judged, &judged[1..]), [("t2".to_owned(), "t2".to_owned())].into());
    }
}
