//! What collectors and recognisers wrote, as records: one file a source.

pub mod transcripts;
