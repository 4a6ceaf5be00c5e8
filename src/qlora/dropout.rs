//! Dropout (Srivastava et al. 2014) that can be repeated: what is left out depends on a seed, the place in the model
//! and the element alone, so a recomputed layer leaves out the same.

use super::cpu::{Real, rows};

/// Which elements of their input adapters don't see.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Share of the elements that is left out; the others are scaled up by 1 / (1 − share).
    pub share: f64,
    /// Another for each pass; the same when a layer is recomputed.
    pub seed: u64,
}

impl Dropout {
    /// x with elements left out; which ones depends on `place`, the name of a linear map.
    pub fn apply<T: Real>(&self, x: &[T], place: &str) -> Vec<T> {
        let (bound, kept) = self.bound();
        rows::drop_out(x, self.seed_of(place), bound, T::from_f64(kept))
    }

    /// The seed of a place in the model.
    pub fn seed_of(&self, place: &str) -> u64 {
        place.bytes().fold(self.seed, |hash, byte| mix(hash ^ u64::from(byte)))
    }

    /// An element is left out where 16 random bits are below the first number, which meets the share to 10⁻⁵; others
    /// are multiplied by the second.
    pub fn bound(&self) -> (u64, f64) {
        let bound = (self.share * 65_536.0).round();
        (bound as u64, 1.0 / (1.0 - bound / 65_536.0))
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014): any number to one whose bits look random.
pub fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_left_out_and_the_mean_kept() {
        let values = |seed, place| Dropout { share: 0.1, seed }.apply(&[1f32; 100_000], place);
        let first = values(1, "a");
        let zeros = first.iter().filter(|value| **value == 0.0).count() as f64 / 1e5;
        // Three standard deviations of a binomial.
        assert!((zeros - 0.1).abs() < 3.0 * (0.1f64 * 0.9 / 1e5).sqrt(), "{zeros}");
        assert!(first.iter().all(|value| *value == 0.0 || (value - 1.0 / 0.9).abs() < 1e-4));
        assert_eq!(first, values(1, "a"));
        for other in [values(2, "a"), values(1, "b")] {
            let both = first.iter().zip(&other).filter(|(a, b)| **a == 0.0 && **b == 0.0).count() as f64 / 1e5;
            assert!((both - 0.01).abs() < 3.0 * (0.01f64 * 0.99 / 1e5).sqrt(), "{both}");
        }
    }
}
