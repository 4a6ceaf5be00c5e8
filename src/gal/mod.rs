//! Generate–Annotate–Learn (He et al. 2022): Reels that a model writes, labels that a teacher gives them, and what of both is fit
//! to learn from. Each stage hands over by a file, keyed by row:
//!
//! ```text
//!     seeds ─► generate ─► candidates.jsonl ─► annotate ─► predictions.jsonl ─► filter ─► rows.jsonl ─► build
//!              (never what is locked)          (a prediction, repeated)                   (kept, and rejected with the reason)
//! ```

pub mod ablation;
pub mod checks;
pub mod diversity;
pub mod filter;
pub mod generate;
pub mod ladder;
pub mod neighbours;
pub mod pool;
pub mod row;
pub mod seeds;
pub mod text;
