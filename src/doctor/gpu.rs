//! The GPU that training may use.

use super::Finding;
use crate::qlora::cuda::driver::describe;

/// The GPU's name and capability, or why there is none.
pub fn gpu() -> Finding {
    match describe() {
        Ok(name) => Finding::ok("gpu", format!("{name}; training uses it")),
        Err(error) => Finding::ok("gpu", format!("none: {error:#}")),
    }
}
