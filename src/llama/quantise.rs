//! Quantising a model file with llama.cpp's own quantiser.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context, Result};
use llama_cpp_sys_2 as sys;

use super::{backend, failed, log};
use crate::config::Quant;

/// Bytes of tensor rows in memory at once; llama.cpp's default is 8 GiB.
const BUFFER: usize = 256 << 20;

/// How much each column of a matrix counts, by the tensor's name: mean squares of what it is multiplied with.
pub type ImportanceMatrix = BTreeMap<String, Vec<f32>>;

/// Quantises `from`, a file in 16 or 32 bits, into `to`.
///
/// # Errors
/// Of the environment, and names the file.
pub fn quantise(
    from: &Path,
    to: &Path,
    quant: Quant,
    importance: Option<&ImportanceMatrix>,
    threads: usize,
) -> Result<()> {
    backend()?;
    log::take_error();
    let path = |path: &Path| CString::new(path.as_os_str().as_bytes()).with_context(|| format!("{}", path.display()));
    let (input, output) = (path(from)?, path(to)?);
    let named: Vec<(CString, &Vec<f32>)> = importance
        .into_iter()
        .flatten()
        .map(|(name, values)| Ok((CString::new(name.as_str())?, values)))
        .collect::<Result<_>>()?;
    let mut entries: Vec<sys::llama_model_imatrix_data> = named
        .iter()
        .map(|(name, values)| sys::llama_model_imatrix_data {
            name: name.as_ptr(),
            data: values.as_ptr(),
            size: values.len(),
        })
        .collect();
    // The list ends with an entry without a name.
    entries.push(sys::llama_model_imatrix_data { name: std::ptr::null(), data: std::ptr::null(), size: 0 });
    // SAFETY: it has no arguments and only fills in a struct.
    let mut params = unsafe { sys::llama_model_quantize_default_params() };
    params.nthread = threads as i32;
    params.ftype = file_type(quant);
    params.max_buf_size = BUFFER;
    if importance.is_some() {
        params.imatrix = entries.as_ptr();
    }
    // SAFETY: the paths, and the names and values of the list, live until it returns; it catches its own exceptions.
    let status = unsafe { sys::llama_model_quantize(input.as_ptr(), output.as_ptr(), &raw const params) };
    if status == 0 {
        return Ok(());
    }
    let what = format!("llama.cpp can't quantise {} into {}", from.display(), to.display());
    Err(failed(&what, &format!("it returned {status}; is the disk full?")))
}

fn file_type(quant: Quant) -> sys::llama_ftype {
    match quant {
        Quant::F32 => sys::LLAMA_FTYPE_ALL_F32,
        Quant::F16 => sys::LLAMA_FTYPE_MOSTLY_F16,
        Quant::Bf16 => sys::LLAMA_FTYPE_MOSTLY_BF16,
        Quant::Q8_0 => sys::LLAMA_FTYPE_MOSTLY_Q8_0,
        Quant::Q6K => sys::LLAMA_FTYPE_MOSTLY_Q6_K,
        Quant::Q5KM => sys::LLAMA_FTYPE_MOSTLY_Q5_K_M,
        Quant::Q4KM => sys::LLAMA_FTYPE_MOSTLY_Q4_K_M,
        Quant::Q4_0 => sys::LLAMA_FTYPE_MOSTLY_Q4_0,
    }
}
