//! From logits to a token or a log-probability.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::config::Sampling;
use crate::run::sha256;

/// Chooses tokens for one answer.
pub(super) enum Sampler {
    Greedy,
    TopP { temperature: f32, top_p: f32, rng: Box<ChaCha8Rng> },
}

impl Sampler {
    /// `answer` names the answer, so that its draws don't depend on what else is generated.
    pub fn new(sampling: &Sampling, answer: &str) -> Sampler {
        if sampling.temperature == 0.0 {
            return Sampler::Greedy;
        }
        let seed = sha256(format!("{}\n{answer}", sampling.seed).as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(&seed.as_bytes()[..32]);
        Sampler::TopP {
            temperature: sampling.temperature,
            top_p: sampling.top_p,
            rng: Box::new(ChaCha8Rng::from_seed(bytes)),
        }
    }

    /// The next token; `logits` has one value a vocabulary entry.
    pub fn choose(&mut self, logits: &[f32]) -> u32 {
        match self {
            Sampler::Greedy => argmax(logits),
            Sampler::TopP { temperature, top_p, rng } => nucleus(logits, *temperature, *top_p, rng.random()),
        }
    }
}

/// The first of the largest values.
fn argmax(logits: &[f32]) -> u32 {
    let max = max(logits);
    logits.iter().position(|logit| *logit == max).unwrap_or(0) as u32
}

/// The largest value. Sixteen at a time, because a plain fold is one long chain of comparisons.
fn max(logits: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    let (chunks, rest) = logits.as_chunks::<16>();
    for chunk in chunks {
        for (lane, logit) in lanes.iter_mut().zip(chunk) {
            *lane = if *logit > *lane { *logit } else { *lane };
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
}

/// Holtzman et al. 2020: draws from the smallest set of tokens whose probability reaches `top_p`.
/// `uniform` is in [0, 1).
fn nucleus(logits: &[f32], temperature: f32, top_p: f32, uniform: f32) -> u32 {
    let max = max(logits);
    let mut weights: Vec<(u32, f32)> = logits
        .iter()
        .enumerate()
        .map(|(token, logit)| (token as u32, ((logit - max) / temperature).exp()))
        // A token below this can't be drawn: 152k of them don't add up to one draw in a thousand.
        .filter(|(_, weight)| *weight > 1e-9)
        .collect();
    weights.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let total: f32 = weights.iter().map(|(_, weight)| weight).sum();
    let mut kept = 0.0;
    let nucleus = weights.iter().take_while(|(_, weight)| {
        let wanted = kept < top_p * total;
        kept += weight;
        wanted
    });
    let nucleus: Vec<(u32, f32)> = nucleus.copied().collect();
    let mut left = uniform * nucleus.iter().map(|(_, weight)| weight).sum::<f32>();
    for (token, weight) in &nucleus {
        left -= weight;
        if left < 0.0 {
            return *token;
        }
    }
    nucleus.last().map_or_else(|| argmax(logits), |(token, _)| *token)
}

/// A distribution over the next token, for looking up log-probabilities.
pub(super) struct LogProbabilities<'a> {
    logits: &'a [f32],
    log_sum: f64,
}

impl LogProbabilities<'_> {
    pub fn new(logits: &[f32]) -> LogProbabilities<'_> {
        let max = max(logits);
        let sum: f64 = logits.iter().map(|logit| f64::from((logit - max).exp())).sum();
        LogProbabilities { logits, log_sum: f64::from(max) + sum.ln() }
    }

    /// False where a logit is NaN or all are infinite.
    pub fn is_finite(&self) -> bool {
        self.log_sum.is_finite()
    }

    pub fn of(&self, token: u32) -> f64 {
        f64::from(self.logits[token as usize]) - self.log_sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_probabilities_are_log_softmax() {
        let log = LogProbabilities::new(&[1.0, 2.0, 3.0]);
        // scipy.special.log_softmax([1, 2, 3]), scipy 1.17.1
        for (token, expected) in [-2.40760596, -1.40760596, -0.40760596].into_iter().enumerate() {
            assert!((log.of(token as u32) - expected).abs() < 1e-7);
        }
    }

    #[test]
    fn argmax_is_the_first_of_the_largest() {
        let mut logits = vec![0.0f32; 100];
        logits[98] = 2.0;
        logits[33] = 2.0;
        assert_eq!(argmax(&logits), 33);
        assert_eq!(argmax(&[f32::NAN, 1.0, 3.0]), 2);
        assert_eq!(argmax(&[f32::NAN; 40]), 0);
    }

    #[test]
    fn the_nucleus_leaves_out_the_tail() {
        let logits = [0.5f32.ln(), 0.3f32.ln(), 0.2f32.ln()];
        let draw = |top_p, uniform| nucleus(&logits, 1.0, top_p, uniform);
        assert_eq!([draw(1.0, 0.0), draw(1.0, 0.6), draw(1.0, 0.95)], [0, 1, 2]);
        assert_eq!([draw(0.7, 0.0), draw(0.7, 0.95), draw(0.4, 0.95)], [0, 1, 0]);
    }

    #[test]
    fn draws_depend_on_seed_and_answer_only() {
        let logits = vec![0.0f32; 1000];
        let draw = |seed, answer: &str| {
            let mut sampler = Sampler::new(&Sampling { temperature: 1.0, top_p: 1.0, seed, loop_stop: false }, answer);
            [0; 4].map(|_| sampler.choose(&logits))
        };
        assert_eq!(draw(1, "r1 summary"), draw(1, "r1 summary"));
        assert_ne!(draw(1, "r1 summary"), draw(2, "r1 summary"));
        assert_ne!(draw(1, "r1 summary"), draw(1, "r2 summary"));
    }
}
