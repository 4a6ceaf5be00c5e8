//! What a run trains on: the CPU or a GPU, and whether it fits there.

use anyhow::Result;

use super::base::Base;
use super::gpu::Gpu;
use crate::config::{TrainDevice, TrainSettings};
use crate::error::blame_environment;
use crate::learner::Learner;
use crate::qlora::adapter;
use crate::qlora::learner::CandleLearner;
use crate::qlora::memory::{Largest, MemoryPlan};
use crate::run::available_memory;

/// What a run trains on, with how its memory is used.
pub enum Device {
    Cpu(MemoryPlan),
    Gpu(Box<Gpu>),
}

impl Device {
    pub fn choose(settings: &TrainSettings, base: &Base, largest: Largest) -> Result<Device> {
        let gpu = match settings.device {
            TrainDevice::Cpu => false,
            TrainDevice::Cuda => true,
            TrainDevice::Auto => Gpu::suits(settings, base, largest),
        };
        if gpu {
            return Ok(Device::Gpu(Box::new(Gpu::open(settings, base, largest)?)));
        }
        if let Some(most) = settings.max_memory {
            return Ok(Device::Cpu(MemoryPlan::new(&base.config, &base.method, largest, most)?));
        }
        // A tenth is left to other programs and to what the plan doesn't count.
        let available = available_memory().map_or(u64::MAX, |free| free / 10 * 9);
        let plan = MemoryPlan::new(&base.config, &base.method, largest, available);
        Ok(Device::Cpu(plan.map_err(blame_environment)?))
    }

    pub fn announce(&self, layers: usize) {
        match self {
            Device::Cpu(plan) => {
                errln!("memory   {plan}; {} of {layers} layers are computed twice", plan.recomputed)
            }
            Device::Gpu(gpu) => gpu.announce(layers),
        }
    }

    pub fn load(self, settings: &TrainSettings, base: &Base) -> Result<Box<dyn Learner>> {
        let plan = match self {
            Device::Cpu(plan) => plan,
            Device::Gpu(gpu) => return gpu.load(settings, base),
        };
        let mut learner = CandleLearner::load(&base.checkpoint, &base.config, &base.method, &settings.base)?;
        if let Some(init) = &settings.adapter.init {
            adapter::load(&mut learner.model, init)?;
        }
        learner.dropout = settings.adapter.dropout;
        learner.recomputed = plan.recomputed;
        Ok(Box::new(learner))
    }
}
