//! How rows were made and judged, as the methods section of a paper would say it, in English and in Indonesian.

use super::GalReport;
use crate::report::metrics::count;

/// Only what was done is said.
pub(super) fn methods(report: &GalReport) -> [String; 2] {
    // Indonesian writes 10.000 where English writes 10,000.
    let angka = |value: usize| count(value).replace(',', ".");
    let hash = |sha256: &str| sha256.chars().take(12).collect::<String>();
    let [writer, teacher] = &report.makers;
    let [candidates, kept] = report.rows;
    let settings = &writer.manifest.settings;
    let number = |key: &str| settings[key].as_f64().map_or("?".to_owned(), |value| value.to_string());
    let (shots, temperature) = (number("shots"), number("temperature"));
    // A model that was trained to write them needs none.
    let (examples, contoh) = match settings["shots"].as_u64() {
        Some(0) => (", without examples".to_owned(), ", tanpa contoh".to_owned()),
        _ => (
            format!(", each prompt with {shots} examples from the training records"),
            format!("; tiap prompt memuat {shots} contoh dari data latih"),
        ),
    };
    let (unlocked, tak_dikunci) = match report.locked {
        [Some(_), Some(_)] => (
            "; nothing of the locked test set was shown or kept",
            "; tidak ada bagian data uji yang dikunci yang ditampilkan atau dipertahankan",
        ),
        [None, Some(_)] => {
            ("; nothing of the locked test set was kept", "; tidak ada bagian data uji yang dikunci yang dipertahankan")
        }
        _ => ("", ""),
    };
    let (times, kali) = match report.answers {
        0 | 1 => ("once each".to_owned(), "masing-masing sekali".to_owned()),
        times => (
            format!("{times} times each with the labels in another order"),
            format!("masing-masing {times} kali dengan urutan label yang berbeda"),
        ),
    };
    let [by, of] = [writer, teacher].map(|maker| format!("{} (SHA-256 {})", maker.name, hash(&maker.sha256)));
    let mut english = vec![format!(
        "Following Generate–Annotate–Learn (He et al. 2022), {by} wrote {} Reels at temperature {temperature}{examples}{unlocked}. {of} labelled \
         those whose texts pass, {times}; its label counts, not the one that was asked for. Of all, {} are kept.",
        count(candidates),
        count(kept)
    )];
    let mut indonesian = vec![format!(
        "Mengikuti Generate–Annotate–Learn (He dkk. 2022), {by} menulis {} Reels dengan temperatur {temperature}{contoh}{tak_dikunci}. {of} memberi \
         label pada teks yang lolos penyaring, {kali}; yang dipakai adalah labelnya, bukan label yang diminta. Dari semuanya, {} dipertahankan.",
        angka(candidates),
        angka(kept)
    )];
    let Some(ablation) = &report.ablation else { return [english.concat(), indonesian.concat()] };
    let arms: Vec<&str> = ablation.arms.iter().map(|arm| arm.name.as_str()).collect();
    english.push(format!(
        "{} learned from {} real records and from mixes ({}), with {} seeds wherever a seed changes anything, and was judged by {} other Reels.",
        ablation.student,
        count(ablation.real.records),
        arms.join(", "),
        ablation.seeds,
        count(ablation.test.records)
    ));
    indonesian.push(format!(
        "{} belajar dari {} data asli dan dari campuran ({}), dengan {} seed bila seed berpengaruh, dan dinilai pada {} Reels lain.",
        ablation.student,
        angka(ablation.real.records),
        arms.join(", "),
        ablation.seeds,
        angka(ablation.test.records)
    ));
    if let Some(ladder) = report.tasks.first() {
        let (unit, satuan) = if ladder.sampling.unit == "account" { ("account", "akun") } else { ("Reel", "Reel") };
        english.push(format!(
            "Intervals (95 %) treat {unit}s and seeds as crossed factors: the variance over {unit}s is that of leaving one out at a time from the mean over \
             seeds (jackknife), the variance over seeds that of their values, and Student’s t has Satterthwaite’s degrees of freedom; what {unit}s and \
             seeds do together is counted twice, so that intervals are rather too wide. p-values are of the same t, adjusted by Holm’s method within \
             each table. What more labelled Reels would add is a least-squares line over the logarithm of their number."
        ));
        indonesian.push(format!(
            "Selang kepercayaan (95 %) memperlakukan {satuan} dan seed sebagai faktor silang: ragam antar-{satuan} dihitung dengan mengeluarkan satu {satuan} \
             setiap kali dari rerata semua seed (jackknife), ragam antar-seed dari nilai tiap seed, dan t Student memakai derajat bebas Satterthwaite; \
             interaksi {satuan} dan seed terhitung dua kali sehingga selang cenderung terlalu lebar. Nilai p berasal dari t yang sama dan disesuaikan \
             menurut Holm dalam tiap tabel. Tambahan dari lebih banyak Reels berlabel diperkirakan dengan garis kuadrat terkecil atas logaritma jumlahnya."
        ));
    }
    let neighbours = report.neighbours.iter().any(|each| !each.generated.is_empty() || !each.real.is_empty());
    if neighbours {
        english.push(
            "Scores are also given without the test Reels that have a near neighbour in what any student learned from."
                .into(),
        );
        indonesian.push(
            "Nilai juga disajikan tanpa Reels uji yang memiliki tetangga dekat dalam data yang dipelajari.".into(),
        );
    }
    [english.join(" "), indonesian.join(" ")]
}
