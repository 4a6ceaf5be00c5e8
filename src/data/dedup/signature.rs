//! What is kept of a text's runs of letters: enough to tell how similar two texts are, and nothing to read.

use super::fold::mixed;

/// Hash functions of a signature. At a Jaccard index of 0.3 an estimate has a standard deviation of 0.02.
pub const FUNCTIONS: usize = 512;
/// Least share of pairs with the Jaccard index looked for that meet in a band.
const RECALL: f64 = 0.998;

/// A byte of the least hash of each function (b-bit minwise hashing, Li and König 2010).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; FUNCTIONS]);

/// Factors and summands of the functions.
static LINEAR: ([u32; FUNCTIONS], [u32; FUNCTIONS]) = linear();

const fn linear() -> ([u32; FUNCTIONS], [u32; FUNCTIONS]) {
    let (mut factors, mut summands) = ([0; FUNCTIONS], [0; FUNCTIONS]);
    let (mut at, mut state) = (0, 0u64);
    while at < FUNCTIONS {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        // The finaliser of MurmurHash3.
        let mut z = (state ^ state >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
        z = (z ^ z >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        factors[at] = (z >> 32) as u32 | 1;
        summands[at] = z as u32;
        at += 1;
    }
    (factors, summands)
}

impl Signature {
    /// Of hashes of runs of letters; `None` where there are none.
    pub fn of(shingles: &[u64]) -> Option<Signature> {
        if shingles.is_empty() {
            return None;
        }
        let mut least = [u32::MAX; FUNCTIONS];
        for shingle in shingles {
            // The hashes are spread already: a linear function is enough.
            let value = (*shingle >> 32) as u32;
            for ((least, factor), summand) in least.iter_mut().zip(&LINEAR.0).zip(&LINEAR.1) {
                *least = (*least).min(value.wrapping_mul(*factor).wrapping_add(*summand));
            }
        }
        let byte = |least: u32| (mixed(u64::from(least), 3) >> 56) as u8;
        Some(Signature(least.map(byte)))
    }

    /// How many functions agree.
    pub fn agreement(&self, other: &Signature) -> usize {
        // Summed in bytes, 128 at a time, which is many at once for the machine; more could overflow.
        let same = |(a, b): (&[u8; 128], &[u8; 128])| {
            usize::from(a.iter().zip(b).fold(0u8, |sum, (a, b)| sum.wrapping_add(u8::from(a == b))))
        };
        self.0.as_chunks().0.iter().zip(other.0.as_chunks().0).map(same).sum()
    }

    /// An estimate of the Jaccard index; that bytes agree by chance is taken off.
    pub fn similarity(&self, other: &Signature) -> f64 {
        similarity(self.agreement(other))
    }

    /// What stands for one band of so many functions, 8 at most.
    pub fn band(&self, band: usize, rows: usize) -> u64 {
        self.0[band * rows..][..rows].iter().fold(0, |key, byte| key << 8 | u64::from(*byte))
    }
}

/// The Jaccard index where so many functions agree.
pub fn similarity(agreement: usize) -> f64 {
    const CHANCE: f64 = 1.0 / 256.0;
    ((agreement as f64 / FUNCTIONS as f64 - CHANCE) / (1.0 - CHANCE)).max(0.0)
}

/// Least number of functions that agree where the estimate isn't below a Jaccard index.
pub fn agreement(similar: f64) -> usize {
    (0..FUNCTIONS).find(|agreement| similarity(*agreement) >= similar).unwrap_or(FUNCTIONS)
}

/// Bands and the functions of each: as many functions to a band as the signature allows where 99.8 % of the pairs with
/// this Jaccard index are to have a band in common. With more of them fewer texts meet that aren't alike.
pub fn bands(jaccard: f64) -> (usize, usize) {
    let bands = |rows: usize| {
        let missed = 1.0 - jaccard.powi(rows as i32);
        ((1.0 - RECALL).ln() / missed.ln()).ceil() as usize
    };
    let rows = (1..=8).rev().find(|rows| bands(*rows).saturating_mul(*rows) <= FUNCTIONS).unwrap_or(1);
    (bands(rows).min(FUNCTIONS), rows)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::fold::jaccard;
    use super::*;

    /// Two sets with a Jaccard index near this one.
    fn pair(random: &mut ChaCha8Rng, similar: f64) -> [Vec<u64>; 2] {
        let (mut a, mut b) = (vec![], vec![]);
        for _ in 0..600 {
            let value = random.random();
            if random.random_bool(similar) {
                a.push(value);
                b.push(value);
            } else if random.random_bool(0.5) {
                a.push(value);
            } else {
                b.push(value);
            }
        }
        [a, b].map(|mut set| {
            set.sort_unstable();
            set
        })
    }

    #[test]
    fn estimates_are_without_bias_and_as_exact_as_said() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for similar in [0.05, 0.3, 0.7, 0.95] {
            let error = |_| {
                let [a, b] = pair(&mut random, similar);
                Signature::of(&a).unwrap().similarity(&Signature::of(&b).unwrap()) - jaccard(&a, &b)
            };
            let errors: Vec<f64> = (0..400).map(error).collect();
            let mean = errors.iter().sum::<f64>() / 400.0;
            let deviation = (errors.iter().map(|error| error * error).sum::<f64>() / 400.0).sqrt();
            let expected = (similar * (1.0 - similar) / FUNCTIONS as f64).sqrt();
            assert!(mean.abs() < 0.004, "{similar}: {mean}");
            assert!((0.8..1.4).contains(&(deviation / expected)), "{similar}: {deviation}, not {expected}");
        }
    }

    #[test]
    fn pairs_that_are_looked_for_meet() {
        assert_eq!((bands(0.31), bands(0.7)), ((62, 2), (73, 7)));
        let mut random = ChaCha8Rng::seed_from_u64(2);
        for (similar, most) in [(0.31, 8), (0.7, 8)] {
            let (bands, rows) = bands(similar);
            let met = |_| {
                let [a, b] = pair(&mut random, similar).map(|set| Signature::of(&set).unwrap());
                (0..bands).any(|band| a.band(band, rows) == b.band(band, rows))
            };
            // Half of the pairs are less similar, so more than 0.2 % are missed.
            let missed = (0..1000).map(met).filter(|met| !met).count();
            assert!(missed <= most, "{similar}: {missed} of 1000");
        }
    }

    #[test]
    fn agreements_and_indices_are_two_words_for_the_same() {
        for similar in [0.0, 0.01, 0.29, 0.31, 0.7, 1.0] {
            let least = agreement(similar);
            assert!(similarity(least) >= similar && (least == 0 || similarity(least - 1) < similar));
        }
        assert_eq!(Signature::of(&[]), None);
    }
}
