//! What tokens are about: latent semantic analysis (Deerwester et al. 1990) by subspace iteration.

use std::collections::HashMap;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Passes over the documents, each of which turns the space further to the largest singular vectors.
const PASSES: usize = 12;

/// A direction of unit length for each token of the vocabulary, alike for tokens that occur in the same documents; zero for
/// tokens that occur in none or in all. Documents are lists of tokens.
pub fn topics<const SIZE: usize>(documents: &[Vec<u32>], vocabulary: usize) -> Vec<[f64; SIZE]> {
    let counted: Vec<HashMap<u32, f64>> = documents.iter().map(|tokens| counts(tokens)).collect();
    let mut occurs = vec![0usize; vocabulary];
    counted.iter().flat_map(HashMap::keys).for_each(|token| occurs[*token as usize] += 1);
    let rarity: Vec<f64> =
        occurs.iter().map(|count| ((documents.len() + 1) as f64 / (count + 1) as f64).ln()).collect();
    let rows: Vec<Vec<(usize, f64)>> = counted.into_iter().map(|counts| weighted(counts, &rarity)).collect();

    let mut random = ChaCha8Rng::seed_from_u64(42);
    let mut space: Vec<[f64; SIZE]> =
        (0..vocabulary).map(|_| std::array::from_fn(|_| super::base::normal(&mut random))).collect();
    for _ in 0..PASSES {
        let mut turned = vec![[0.0; SIZE]; vocabulary];
        for row in &rows {
            let mut document = [0.0; SIZE];
            row.iter().for_each(|(token, weight)| add(&mut document, *weight, &space[*token]));
            row.iter().for_each(|(token, weight)| add(&mut turned[*token], *weight, &document));
        }
        space = turned;
        orthonormalise(&mut space);
    }
    for (direction, count) in space.iter_mut().zip(&occurs) {
        let length = direction.iter().map(|value| value * value).sum::<f64>().sqrt();
        let scale = if *count == 0 || length < 1e-12 { 0.0 } else { 1.0 / length };
        direction.iter_mut().for_each(|value| *value *= scale);
    }
    space
}

fn counts(tokens: &[u32]) -> HashMap<u32, f64> {
    let mut counts = HashMap::new();
    tokens.iter().for_each(|token| *counts.entry(*token).or_default() += 1.0);
    counts
}

/// TF-IDF of a document, of unit length, in the order of the tokens.
fn weighted(counts: HashMap<u32, f64>, rarity: &[f64]) -> Vec<(usize, f64)> {
    let weight = |(token, count): (u32, f64)| (token as usize, (1.0 + count.ln()) * rarity[token as usize]);
    let mut row: Vec<(usize, f64)> = counts.into_iter().map(weight).collect();
    row.sort_by_key(|(token, _)| *token);
    let length = row.iter().map(|(_, weight)| weight * weight).sum::<f64>().sqrt().max(1e-12);
    row.iter_mut().for_each(|(_, weight)| *weight /= length);
    row
}

fn add<const SIZE: usize>(sum: &mut [f64; SIZE], weight: f64, values: &[f64; SIZE]) {
    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
}

/// The columns, by Gram and Schmidt.
fn orthonormalise<const SIZE: usize>(rows: &mut [[f64; SIZE]]) {
    for column in 0..SIZE {
        for before in 0..column {
            let along: f64 = rows.iter().map(|row| row[before] * row[column]).sum();
            rows.iter_mut().for_each(|row| row[column] -= along * row[before]);
        }
        let length = rows.iter().map(|row| row[column] * row[column]).sum::<f64>().sqrt().max(1e-12);
        rows.iter_mut().for_each(|row| row[column] /= length);
    }
}
