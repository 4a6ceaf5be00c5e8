//! Training on an NVIDIA GPU.

use anyhow::Result;

use super::base::Base;
use crate::config::TrainSettings;
use crate::error::blame_environment;
use crate::learner::Learner;
use crate::qlora::cuda::driver::{Driver, describe};
use crate::qlora::cuda::gpu::Gpu as _;
use crate::qlora::cuda::learner::GpuLearner;
use crate::qlora::cuda::memory::{GpuMemoryPlan, TrainingSetup};
use crate::qlora::memory::Largest;

/// The GPU, and how its memory is used.
pub struct Gpu {
    driver: Driver,
    plan: GpuMemoryPlan,
    name: String,
}

fn setup<'a>(settings: &TrainSettings, base: &'a Base, largest: Largest) -> TrainingSetup<'a> {
    TrainingSetup { config: &base.config, method: &base.method, largest, dropout: settings.adapter.dropout }
}

impl Gpu {
    /// Whether there is one, and it can train this.
    pub fn suits(settings: &TrainSettings, base: &Base, largest: Largest) -> bool {
        describe().is_ok() && setup(settings, base, largest).adapters().is_ok()
    }

    pub fn open(settings: &TrainSettings, base: &Base, largest: Largest) -> Result<Gpu> {
        let setup = setup(settings, base, largest);
        let name = describe().map_err(blame_environment)?;
        setup.adapters()?;
        let driver = Driver::open().map_err(blame_environment)?;
        let plan = match settings.max_memory {
            Some(most) => GpuMemoryPlan::new(&setup, most)?,
            None => GpuMemoryPlan::new(&setup, driver.free()?).map_err(blame_environment)?,
        };
        Ok(Gpu { driver, plan, name })
    }

    pub fn announce(&self, layers: usize) {
        let Gpu { plan, name, .. } = self;
        errln!("device   {name}");
        errln!("memory   {plan}; {} of {layers} layers are computed twice", layers - plan.kept);
    }

    pub fn load(self, settings: &TrainSettings, base: &Base) -> Result<Box<dyn Learner>> {
        let setup = setup(settings, base, self.plan.largest);
        let mut learner = GpuLearner::load(self.driver, &base.checkpoint, &setup, &self.plan, &settings.base)?;
        if let Some(init) = &settings.adapter.init {
            learner.load_adapter(init)?;
        }
        Ok(Box::new(learner))
    }
}
