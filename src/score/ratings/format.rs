//! What a comparison of ratings says.

use indexmap::IndexMap;
use serde::Serialize;

use crate::score::compare::MetricDifference;
use crate::scores::Metric;

/// What people say of the texts of several runs about the same Reels.
#[derive(Debug, Clone, Serialize)]
pub struct RatingComparison {
    /// By scale that any run is rated on.
    pub scales: IndexMap<String, ScaleComparison>,
    /// Pairs of runs between which somebody judged.
    pub preferences: Vec<PairPreference>,
    /// By run, the logarithm of its strength (Bradley and Terry 1952) less the mean of all; empty for two runs.
    pub strengths: Vec<Metric>,
    /// Exactly how the numbers were made.
    pub signature: String,
}

/// One scale of all runs.
#[derive(Debug, Clone, Serialize)]
pub struct ScaleComparison {
    /// By run, over all of its rated texts; absent where it isn't rated.
    pub means: Vec<Option<Metric>>,
    /// Each run but the first, against the first.
    pub differences: Vec<RatingDifference>,
}

/// A run minus the first, over Reels of which an annotator rated both texts.
#[derive(Debug, Clone, Serialize)]
pub struct RatingDifference {
    /// Such Reels.
    pub n: usize,
    /// Holm’s adjustment is over runs and scales.
    #[serde(flatten)]
    pub difference: MetricDifference,
}

/// Which of two runs people prefer, Reel by Reel: of a Reel the sign of the sum over annotators counts.
#[derive(Debug, Clone, Serialize)]
pub struct PairPreference {
    /// The place of the run that wins or loses.
    pub run: usize,
    /// The place of the one before it that it is compared with.
    pub against: usize,
    #[expect(missing_docs, reason = "the name says it")]
    pub wins: usize,
    #[expect(missing_docs, reason = "the name says it")]
    pub losses: usize,
    #[expect(missing_docs, reason = "the name says it")]
    pub ties: usize,
    /// Reels of which both have the same text, which are not counted above.
    pub same_text: usize,
    /// Wins among wins and losses.
    pub share: Metric,
    /// `sign` (exact) where no two of these Reels are of one account, else `sign-flip`.
    pub test: String,
    /// Two-sided; of ties nothing is known.
    pub p: f64,
    /// The smallest p that the test can give.
    pub smallest_p: f64,
    /// Holm’s, over the pairs.
    pub p_adjusted: f64,
}
