//! What two sets of data have in common that ought to have nothing: accounts and near copies.

use std::collections::BTreeSet;
use std::fmt::{Display, Formatter};

use rayon::prelude::*;

use super::dedup::{Collection, Likeness, NearDuplicate};
use super::known::Known;

/// A text that is a copy of another one, both by their ids.
#[derive(Debug, Clone, PartialEq)]
pub struct Copied {
    #[expect(missing_docs, reason = "the name says it")]
    pub id: String,
    #[expect(missing_docs, reason = "the name says it")]
    pub original: String,
    #[expect(missing_docs, reason = "the type says it")]
    pub likeness: Likeness,
}

impl Display for Copied {
    fn fmt(&self, f: &mut Formatter) -> std::fmt::Result {
        write!(f, "{:?} of {:?} ({})", self.id, self.original, self.likeness)
    }
}

/// What stands in both of two sets of data.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overlap {
    /// In order of name.
    pub accounts: Vec<String>,
    /// One for each original that has a copy.
    pub copies: Vec<Copied>,
}

impl Overlap {
    /// What of `originals` stands in `data`. Runs of words that many texts have are counted in `data`, the larger of the two.
    pub fn of(data: &[Known], originals: &[Known]) -> Overlap {
        let accounts =
            |known: &[Known]| -> BTreeSet<String> { known.iter().filter_map(|one| one.account.clone()).collect() };
        let collection = Collection::new(data.iter().map(|one| one.text.as_str()));
        let copied = |original: &Known| {
            let NearDuplicate { of, likeness } = collection.original(&original.text)?;
            Some(Copied { id: data[of].id.clone(), original: original.id.clone(), likeness })
        };
        Overlap {
            accounts: accounts(data).intersection(&accounts(originals)).cloned().collect(),
            copies: originals.par_iter().filter_map(copied).collect(),
        }
    }
}

/// The first few, and how many more there are.
pub fn listed(all: &[impl Display], shown: usize) -> String {
    let mut named: Vec<String> = all.iter().take(shown).map(ToString::to_string).collect();
    named.extend((all.len() > shown).then(|| format!("and {} more", all.len() - shown)));
    named.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_and_copies_are_named() {
        let known = |id: &str, account: Option<&str>, text: &str| Known {
            id: id.into(),
            account: account.map(str::to_owned),
            text: text.into(),
            others: vec![],
        };
        let long = "nasi uduk subuh di Condet harganya dua belas ribu sudah pakai semur jengkol sama telor balado";
        let data = [known("a", Some("w"), "lain"), known("b", Some("x"), long), known("c", None, "pendek")];
        let originals = [known("p", Some("x"), "pendek"), known("q", None, &long.to_uppercase())];
        let Overlap { accounts, copies } = Overlap::of(&data, &originals);
        assert_eq!(accounts, ["x"]);
        assert_eq!(listed(&copies, 3), "\"b\" of \"q\" (the same words)");
        assert_eq!(listed(&["a", "b", "c"], 2), "a; b; and 1 more");
    }
}
