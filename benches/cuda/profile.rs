//! Where the time of a training step goes on a GPU: kernels by name, products by shape, each waited for.
//!
//!     cuda_profile BASE [SEQUENCES] [GB of GPU memory]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use reels::learner::{Batch, Document, Learner, Update};
use reels::qlora::checkpoint::Checkpoint;
use reels::qlora::config::Config;
use reels::qlora::cuda::driver::Driver;
use reels::qlora::cuda::gpu::{Address, Gpu, Launch, Product};
use reels::qlora::cuda::learner::GpuLearner;
use reels::qlora::cuda::memory::{GpuMemoryPlan, TrainingSetup};
use reels::qlora::memory::Largest;
use reels::qlora::model::{AdapterShape, Method};

const LENGTH: usize = 1024;
const STEPS: u32 = 3;
const UPDATE: Update = Update { divisor: 8.0, max_grad_norm: Some(1.0), learning_rate: 1e-4, weight_decay: 0.0 };

/// Of what has one name.
#[derive(Debug, Default)]
struct Spent {
    calls: u32,
    seconds: f64,
    operations: f64,
}

/// A GPU that is waited for after each call, if `timing`.
struct Timed {
    gpu: Driver,
    timing: Cell<bool>,
    spent: RefCell<BTreeMap<String, Spent>>,
    /// A byte to read: what came before is done then.
    byte: Address,
}

impl Timed {
    fn wait(&self) -> Result<()> {
        self.gpu.read(self.byte, &mut [0])
    }

    fn time(&self, name: &str, operations: f64, call: impl FnOnce() -> Result<()>) -> Result<()> {
        if !self.timing.get() {
            return call();
        }
        self.wait()?;
        let start = Instant::now();
        call()?;
        self.wait()?;
        let mut all = self.spent.borrow_mut();
        let spent = all.entry(name.to_owned()).or_default();
        spent.calls += 1;
        spent.seconds += start.elapsed().as_secs_f64();
        spent.operations += operations;
        Ok(())
    }
}

impl Gpu for Timed {
    fn free(&self) -> Result<u64> {
        self.gpu.free()
    }

    fn allocate(&self, bytes: usize) -> Result<Address> {
        self.gpu.allocate(bytes)
    }

    fn write(&self, to: Address, bytes: &[u8]) -> Result<()> {
        self.gpu.write(to, bytes)
    }

    fn read(&self, from: Address, bytes: &mut [u8]) -> Result<()> {
        self.gpu.read(from, bytes)
    }

    fn clear(&self, at: Address, bytes: usize) -> Result<()> {
        self.gpu.clear(at, bytes)
    }

    fn launch(&self, launch: &Launch) -> Result<()> {
        self.time(launch.kernel, 0.0, || self.gpu.launch(launch))
    }

    fn multiply(&self, product: &Product) -> Result<()> {
        let Product { shape: [rows, columns], inner, .. } = *product;
        let name = format!("{rows} x {inner} times {inner} x {columns}");
        self.time(&name, 2.0 * (rows * inner * columns) as f64, || self.gpu.multiply(product))
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let base = arguments.next().context("which base?")?;
    let sequences: usize = arguments.next().map_or(Ok(8), |count| count.parse())?;
    let most: Option<f64> = arguments.next().map(|most| most.parse()).transpose()?;
    let base = Path::new(&base);
    let mut config = Config::read(base)?;
    let checkpoint = Checkpoint::open(base, &mut config)?;
    let targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
    let targets = targets.map(str::to_owned).to_vec();
    let method = Method::Qlora(AdapterShape { rank: 16, alpha: 32.0, rank_stabilised: false, targets, seed: 0 });
    let tokens = sequences * LENGTH;
    let setup = TrainingSetup {
        config: &config,
        method: &method,
        largest: Largest { tokens, rows: tokens, parts: sequences },
        dropout: 0.0,
    };
    let driver = Driver::open()?;
    let byte = driver.allocate(1)?;
    let plan = GpuMemoryPlan::new(&setup, most.map_or_else(|| driver.free(), |most| Ok((most * 1e9) as u64))?)?;
    println!("{plan}; {} of {} layers are computed twice", config.layers - plan.kept, config.layers);
    let gpu = Timed { gpu: driver, timing: Cell::new(false), spent: RefCell::default(), byte };
    let start = Instant::now();
    let mut learner = GpuLearner::load(gpu, &checkpoint, &setup, &plan, base)?;
    println!("loaded in {:.1} s", start.elapsed().as_secs_f64());

    let rows: Vec<u32> = (0..tokens as u32).filter(|row| (row + 1) % LENGTH as u32 != 0).collect();
    let token = |at: u32| at.wrapping_mul(2_654_435_761) % config.vocabulary as u32;
    let batch = Batch {
        tokens: (0..tokens as u32).map(token).collect(),
        documents: vec![Document::plain(LENGTH); sequences],
        targets: rows.iter().map(|row| token(row + 1)).collect(),
        weights: vec![1.0; rows.len()],
        rows,
    };
    steps(&mut learner, &batch)?;
    let whole = steps(&mut learner, &batch)?;
    println!("a step takes {:.1} ms, {:.0} tokens/s", whole * 1e3, tokens as f64 / whole);
    learner.engine.gpu.timing.set(true);
    steps(&mut learner, &batch)?;
    print(&learner.engine.gpu)
}

/// Seconds of each.
fn steps(learner: &mut GpuLearner<Timed>, batch: &Batch) -> Result<f64> {
    let start = Instant::now();
    for _ in 0..STEPS {
        learner.accumulate(batch, 0)?;
        learner.step(&UPDATE)?;
    }
    learner.engine.gpu.wait()?;
    Ok(start.elapsed().as_secs_f64() / f64::from(STEPS))
}

fn print(gpu: &Timed) -> Result<()> {
    let start = Instant::now();
    (0..100).try_for_each(|_| gpu.wait())?;
    let waiting = start.elapsed().as_secs_f64() / 100.0;
    let spent = gpu.spent.take();
    let mut rows: Vec<(String, Spent)> = spent.into_iter().collect();
    rows.iter_mut().for_each(|(_, spent)| spent.seconds -= f64::from(spent.calls) * waiting);
    rows.sort_by(|(_, one), (_, other)| other.seconds.total_cmp(&one.seconds));
    let all: f64 = rows.iter().map(|(_, spent)| spent.seconds).sum();
    println!("{:>8} {:>9} {:>6} {:>9}", "calls", "ms a step", "share", "TFLOP/s");
    for (name, Spent { calls, seconds, operations }) in &rows {
        let rate = if *operations > 0.0 { format!("{:.0}", operations / seconds / 1e12) } else { String::new() };
        let own = seconds * 1e3 / f64::from(STEPS);
        println!("{:>8} {own:>9.2} {:>5.1}% {rate:>9}  {name}", calls / STEPS, 100.0 * seconds / all);
    }
    println!(
        "{:>18.2} ms in all; waiting takes {:.0} µs a call, already taken off",
        all * 1e3 / f64::from(STEPS),
        waiting * 1e6
    );
    Ok(())
}
