//! An NVIDIA GPU by its driver, and cuBLAS. Both are found when the program runs, so that a build needs neither.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CString, c_void};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use cudarc::cublas::{CudaBlas, result as blas, sys as blas_sys};
use cudarc::driver::{CudaContext, CudaStream, result, sys};

use super::gpu::{Address, Argument, Factor, Gpu, Launch, Product};
use crate::error::Hint;

/// PTX for compute capability 8.0, which build.rs makes of `kernels/kernels.cu` and the driver compiles for the GPU
/// there is. Only the zero byte where `REELS_NO_PTX=1` left the kernels out.
const KERNELS: &str = concat!(include_str!(concat!(env!("OUT_DIR"), "/kernels.ptx")), "\0");
/// Bytes of shared memory that a kernel may have without asking.
const SHARED: u32 = 48 << 10;

/// The first GPU.
#[derive(Debug)]
pub struct Driver {
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    blas: CudaBlas,
    module: sys::CUmodule,
    kernels: RefCell<HashMap<String, sys::CUfunction>>,
    taken: RefCell<Vec<u64>>,
}

/// Name and compute capability of the first GPU.
///
/// # Errors
/// Says what is missing where there is no GPU.
pub fn describe() -> Result<String> {
    let context = context()?;
    let (major, minor) = context.compute_capability()?;
    Ok(format!("{}, compute capability {major}.{minor}", context.name()?))
}

fn context() -> Result<Arc<CudaContext>> {
    if KERNELS == "\0" {
        bail!(
            anyhow!("this build's kernels were left out (REELS_NO_PTX=1)")
                .hint("build it with nvcc and without that variable, or use --device cpu")
        )
    }
    // SAFETY: only looks whether the library can be opened.
    if !unsafe { sys::is_culib_present() } {
        bail!(anyhow!("there is no NVIDIA driver (libcuda.so.1)").hint("install it, or use --device cpu"))
    }
    CudaContext::new(0)
        .context("the NVIDIA driver gives no GPU")
        .hint("nvidia-smi shows what is wrong; or use --device cpu")
}

impl Driver {
    /// The first GPU, with our kernels.
    ///
    /// # Errors
    /// When there is no driver, no GPU, no cuBLAS, or the GPU is too old.
    pub fn open() -> Result<Driver> {
        let context = context()?;
        let (major, minor) = context.compute_capability()?;
        if major < 8 {
            bail!(
                anyhow!("{} has compute capability {major}.{minor}, and bf16 needs 8.0", context.name()?)
                    .hint("use --device cpu")
            )
        }
        // SAFETY: as above.
        if !unsafe { blas_sys::is_culib_present() } {
            bail!(
                anyhow!("there is no cuBLAS (libcublas.so)")
                    .hint("install the CUDA toolkit, or put the library's directory on LD_LIBRARY_PATH")
            )
        }
        let stream = context.new_stream()?;
        let blas = CudaBlas::new(stream.clone())?;
        // SAFETY: the text ends with a zero byte.
        let module = unsafe { result::module::load_data(KERNELS.as_ptr().cast()) }
            .context("the driver can't load our kernels")
            .hint("it is older than the CUDA toolkit of this build; update it, or use --device cpu")?;
        Ok(Driver { context, stream, blas, module, kernels: RefCell::default(), taken: RefCell::default() })
    }

    fn kernel(&self, name: &str, shared: u32) -> Result<sys::CUfunction> {
        if let Some(kernel) = self.kernels.borrow().get(name) {
            return Ok(*kernel);
        }
        // SAFETY: the module is loaded as long as this lives.
        let kernel = unsafe { result::module::get_function(self.module, CString::new(name)?) }
            .with_context(|| format!("there is no kernel {name}"))?;
        if shared > SHARED {
            let attribute = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            // SAFETY: the function was just found.
            unsafe { result::function::set_function_attribute(kernel, attribute, shared as i32)? };
        }
        self.kernels.borrow_mut().insert(name.to_owned(), kernel);
        Ok(kernel)
    }
}

impl Gpu for Driver {
    fn free(&self) -> Result<u64> {
        Ok(self.context.mem_get_info()?.0 as u64)
    }

    fn allocate(&self, bytes: usize) -> Result<Address> {
        // SAFETY: what is read before it is written is the caller's business; it is freed when this is dropped.
        let at = unsafe { result::malloc_sync(bytes.max(1)) }
            .with_context(|| format!("the GPU has no {bytes} bytes free"))
            .hint("lower --batch-size or --max-seq-tokens")?;
        self.taken.borrow_mut().push(at);
        Ok(Address(at))
    }

    fn write(&self, to: Address, bytes: &[u8]) -> Result<()> {
        // SAFETY: the driver copies pageable memory before it returns.
        Ok(unsafe { result::memcpy_htod_async(to.0, bytes, self.stream.cu_stream()) }?)
    }

    fn read(&self, from: Address, bytes: &mut [u8]) -> Result<()> {
        // SAFETY: waits for the copy, so the bytes live long enough.
        unsafe { result::memcpy_dtoh_async(bytes, from.0, self.stream.cu_stream()) }?;
        Ok(self.stream.synchronize()?)
    }

    fn clear(&self, at: Address, bytes: usize) -> Result<()> {
        // SAFETY: the caller took as many bytes.
        Ok(unsafe { result::memset_d8_async(at.0, 0, bytes, self.stream.cu_stream()) }?)
    }

    fn launch(&self, launch: &Launch) -> Result<()> {
        let Launch { kernel, blocks, threads, shared, arguments } = launch;
        let function = self.kernel(kernel, *shared)?;
        let mut values: Vec<[u8; 8]> = arguments.iter().map(Argument::bytes).collect();
        let mut pointers: Vec<*mut c_void> = values.iter_mut().map(|value| value.as_mut_ptr().cast()).collect();
        let grid = (blocks[0], blocks[1], 1);
        // SAFETY: `ops` gives each kernel what it takes; the driver copies arguments before it returns.
        unsafe {
            result::launch_kernel(function, grid, (*threads, 1, 1), *shared, self.stream.cu_stream(), &mut pointers)
        }
        .with_context(|| format!("the kernel {kernel} can't be started"))
    }

    fn multiply(&self, product: &Product) -> Result<()> {
        let Product { shape: [rows, columns], inner, left, right, to, floats, alpha, beta } = product;
        let operation = |factor: &Factor| match factor.transposed {
            false => blas_sys::cublasOperation_t::CUBLAS_OP_N,
            true => blas_sys::cublasOperation_t::CUBLAS_OP_T,
        };
        let half = blas_sys::cudaDataType::CUDA_R_16BF;
        let result = if *floats { blas_sys::cudaDataType::CUDA_R_32F } else { half };
        // cuBLAS reads matrices by columns, so that it sees ours transposed: left and right change places. SAFETY:
        // `engine` gives addresses of as many values.
        unsafe {
            blas::gemm_ex(
                *self.blas.handle(),
                operation(right),
                operation(left),
                *columns as i32,
                *rows as i32,
                *inner as i32,
                std::ptr::from_ref(alpha).cast(),
                right.rows.at.0 as *const c_void,
                half,
                right.rows.stride as i32,
                left.rows.at.0 as *const c_void,
                half,
                left.rows.stride as i32,
                std::ptr::from_ref(beta).cast(),
                to.at.0 as *mut c_void,
                result,
                to.stride as i32,
                blas_sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
                blas_sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
            )
        }
        .with_context(|| format!("cuBLAS refuses {product:?}"))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // What fails here can't be reported, and the process is about to end.
        let _ = self.stream.synchronize();
        for at in self.taken.borrow().iter() {
            // SAFETY: allocated by this, and nothing uses it any more.
            let _ = unsafe { result::free_sync(*at) };
        }
        // SAFETY: loaded by this.
        let _ = unsafe { result::module::unload(self.module) };
    }
}
