//! Settings that the commands on data share: the key of pseudonyms.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::error::Hint;

/// Below the folder of the user's settings.
const KEY: &str = "reels/pseudonyms.key";

/// What may be told about pseudonyms.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default)]
pub struct DataOverrides {
    /// Key of the pseudonyms [default: ~/.config/reels/pseudonyms.key]
    #[arg(long, env = "REELS_KEY", value_name = "FILE")]
    pub key: Option<PathBuf>,
}

impl DataOverrides {
    /// Where the key is, or will be.
    ///
    /// # Errors
    /// When none is named and there is no home to have one.
    pub fn resolve(self) -> Result<PathBuf> {
        let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
        let usual = || folder("XDG_CONFIG_HOME").or_else(|| folder("HOME").map(|home| home.join(".config")));
        let path = self.key.or_else(|| usual().map(|folder| folder.join(Path::new(KEY))));
        path.context("no place for the key of pseudonyms: HOME isn't set").hint("name its file with --key")
    }
}
