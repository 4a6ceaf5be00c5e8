//! What makes a result look better than it is, in English and in Indonesian.

use super::metrics::{count, counted};
use crate::ask::{LearnedFrom, Manifest};

/// A sentence each.
pub fn cautions(manifest: &Manifest) -> Vec<[String; 2]> {
    let mut told = Vec::new();
    let angka = |number: usize| count(number).replace(',', ".");
    if let Some(LearnedFrom { path, same, copies, accounts }) = &manifest.learned_from {
        let from = path.as_ref().map_or_else(String::new, |path| format!(" ({path})"));
        told.push(if *same {
            [
                format!("The model learned from this very data{from}: its scores say nothing of other Reels."),
                format!("Model dilatih dengan data ini juga{from}: nilainya tidak berarti apa-apa untuk Reels lain."),
            ]
        } else {
            [
                format!(
                    "{} of the data {} near copies in what the model learned from{from}, and {} in both: the scores are too good.",
                    counted(*copies, "Reel"),
                    if *copies == 1 { "has" } else { "have" },
                    if *accounts == 1 { "1 account is".to_owned() } else { format!("{} accounts are", count(*accounts)) }
                ),
                format!(
                    "{} Reels dari data ini nyaris sama dengan yang ada di data latih{from}, dan {} akun ada di keduanya: nilainya terlalu bagus.",
                    angka(*copies),
                    angka(*accounts)
                ),
            ]
        });
    }
    let quoted = manifest.quoted_in_prompts.len();
    if quoted > 0 {
        told.push([
            format!("The prompts quote {} of the data they are judged by.", counted(quoted, "Reel")),
            format!("Prompt mengutip {} Reels dari data yang dipakai untuk menilainya.", angka(quoted)),
        ]);
    }
    if let Some(variants) = manifest.variants.filter(|variants| *variants > 1) {
        told.push([
            format!(
                "Up to then {} variants of model, prompts and settings had been judged by this data; the best of them looks better than it is.",
                count(variants)
            ),
            format!(
                "Hingga saat itu {} varian model, prompt, dan pengaturan telah dinilai dengan data ini; yang terbaik tampak lebih baik daripada sebenarnya.",
                angka(variants)
            ),
        ]);
    }
    told
}
