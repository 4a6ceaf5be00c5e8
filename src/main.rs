//! reels
fn main() {}
