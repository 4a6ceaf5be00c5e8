//! How well a text compresses, as openai-whisper has it.

use miniz_oxide::deflate::core::{
    CompressionStrategy, CompressorOxide, TDEFLFlush, compress_to_output, create_comp_flags_from_zip_params,
};

/// Python's default.
const LEVEL: i32 = 6;
/// With zlib's head and checksum.
const ZLIB: i32 = 1;

/// Bytes of a text over its bytes as zlib writes them; 0 for no text.
pub fn compression_ratio(text: &str) -> f64 {
    // C's zlib, which Python has, takes the fixed code where that is shorter; this one does so for tiny texts only.
    let sizes = [CompressionStrategy::Default, CompressionStrategy::Fixed].map(|strategy| size(text, strategy));
    text.len() as f64 / sizes[0].min(sizes[1]) as f64
}

fn size(text: &str, strategy: CompressionStrategy) -> usize {
    let mut compressor = CompressorOxide::new(create_comp_flags_from_zip_params(LEVEL, ZLIB, strategy as i32));
    let mut size = 0;
    compress_to_output(&mut compressor, text.as_bytes(), TDEFLFlush::Finish, |bytes| {
        size += bytes.len();
        true
    });
    size
}

#[cfg(test)]
mod tests {
    use super::super::MOST_COMPRESSION;
    use super::*;

    #[test]
    fn ratios_are_whispers() {
        let reference = include_str!("../../../../../tests/reference/transcripts.json");
        let reference: serde_json::Value = serde_json::from_str(reference).unwrap();
        let texts = reference["compression"].as_array().unwrap();
        let mut same = 0;
        for entry in texts {
            let (text, expected) = (entry["text"].as_str().unwrap(), entry["ratio"].as_f64().unwrap());
            let ours = compression_ratio(text);
            assert_eq!(ours > MOST_COMPRESSION, expected > MOST_COMPRESSION, "{ours} {expected} {text}");
            // Matches are looked for in another order, which shows in texts of thousands of bytes and in random letters.
            let most = if expected > 1.0 { 0.005 } else { 0.08 };
            assert!(ours == expected || (ours / expected - 1.0).abs() < most, "{ours} {expected} {text}");
            same += usize::from(ours == expected);
        }
        assert_eq!((same, texts.len()), (59, 62));
    }
}
