//! Training: records become examples, examples fill sequences, sequences make steps; the loop keeps what was learned.
//! No tensor is seen here: what computes is a [`crate::learner::Learner`].

pub mod conversations;
pub mod examples;
pub mod pack;
pub mod preview;
pub mod run_folder;
pub mod schedule;
pub mod sequences;
pub mod trainer;
