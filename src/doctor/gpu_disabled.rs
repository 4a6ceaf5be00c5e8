//! The GPU, in a build that can't use one.

use super::Finding;

/// Whether there is an NVIDIA driver, although this build computes on the CPU.
pub fn gpu() -> Finding {
    let version = std::fs::read_to_string("/proc/driver/nvidia/version").unwrap_or_default();
    let driver = version.split_whitespace().find(|word| word.starts_with(|char: char| char.is_ascii_digit()));
    match driver {
        Some(driver) => Finding::ok("gpu", format!("NVIDIA driver {driver}; this build computes on the CPU")),
        None => Finding::ok("gpu", "none: all is computed on the CPU"),
    }
}
