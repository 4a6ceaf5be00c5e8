//! What of a block are floats, against llama.cpp's own check of rows.

use indexmap::IndexMap;
use llama_cpp_sys_2::ggml_validate_row_data;

use crate::gguf::{Gguf, Tensor, weights_problem};

/// ggml's types by id, with the bytes of a block. Scales of IQ1_M (29) and MXFP4 (39) aren't floats by themselves.
const TYPES: [(u32, usize); 23] = [
    (0, 4),
    (1, 2),
    (2, 18),
    (3, 20),
    (6, 22),
    (7, 24),
    (8, 34),
    (10, 84),
    (11, 110),
    (12, 144),
    (13, 176),
    (14, 210),
    (15, 292),
    (16, 66),
    (17, 74),
    (18, 98),
    (19, 50),
    (20, 18),
    (21, 110),
    (22, 82),
    (23, 136),
    (30, 2),
    (35, 66),
];

#[test]
fn floats_are_those_that_llama_cpp_checks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.gguf");
    for (dtype, bytes) in TYPES {
        let tensor = Tensor { shape: vec![256], dtype, part: 0, offset: 0, bytes: Some(bytes as u64) };
        let tensors = IndexMap::from([("a".to_owned(), tensor)]);
        let gguf = Gguf {
            path: path.clone(),
            parts: vec![path.clone()],
            file_bytes: bytes as u64,
            metadata: IndexMap::new(),
            tensors,
        };
        let mut floats = 0;
        for (at, odd) in (0..bytes - 1).step_by(2).flat_map(|at| [0x7C00u16, 0x7F80].map(|odd| (at, odd))) {
            let mut block = vec![0x33; bytes];
            block[at..at + 2].copy_from_slice(&odd.to_le_bytes());
            std::fs::write(&path, &block).unwrap();
            // SAFETY: a whole block.
            let right = unsafe { ggml_validate_row_data(dtype, block.as_ptr().cast(), bytes) };
            let found = weights_problem(&gguf).unwrap();
            assert_eq!(found.is_none(), right, "{odd:x} in byte {at} of type {dtype}: {found:?}");
            floats += usize::from(!right);
        }
        assert!(floats > 0, "type {dtype}");
    }
}
