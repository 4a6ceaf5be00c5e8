//! From a run or a base to a file that answers the same: names and metadata, merged weights written as a stream, and the
//! proof.

pub mod imatrix;
pub mod metadata;
pub mod mixture;
pub mod proof;
pub mod vocabulary;
pub mod write;
