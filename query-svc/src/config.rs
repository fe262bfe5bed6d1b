//! The service's own file.

use std::{path::Path, time::Duration};

use serde::Deserialize;
use service_kit::{
    client::EndpointConfig,
    config::{CommonConfig, ConfigError, duration, load_yaml},
};

/// How often the release pointer is looked at, unless told otherwise.
pub const DEFAULT_FOLLOW: Duration = Duration::from_secs(1);

/// The configuration of the service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to listen, who we are, whom we trust, how to log.
    pub server: CommonConfig,
    /// The storage gateway.
    pub storage: EndpointConfig,
    /// How often the release pointer is looked at.
    #[serde(default = "default_follow", with = "duration")]
    pub follow: Duration,
    /// MiB of memory that queries may use together.
    #[serde(default = "default_memory")]
    pub memory_mib: u64,
    /// MiB of tables that are kept in memory; what does not fit is read when it is asked about.
    #[serde(default = "default_warm")]
    pub warm_mib: u64,
    /// What questions may use up.
    #[serde(default)]
    pub limits: LimitsConfig,
}

/// What questions may use up.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Questions that are answered at once.
    pub concurrent: usize,
    /// Questions that may wait for that; further ones are refused.
    pub waiting: usize,
    /// Items in one answer.
    pub items: usize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            concurrent: 16,
            waiting: 256,
            items: 2_000_000,
        }
    }
}

/// MiB of memory for queries, unless told otherwise.
pub const DEFAULT_MEMORY_MIB: u64 = 1024;

/// MiB of tables in memory, unless told otherwise.
pub const DEFAULT_WARM_MIB: u64 = 384;

/// Less than this does not hold the groups of one query.
const LEAST_MEMORY_MIB: u64 = 64;

fn default_follow() -> Duration {
    DEFAULT_FOLLOW
}

fn default_memory() -> u64 {
    DEFAULT_MEMORY_MIB
}

fn default_warm() -> u64 {
    DEFAULT_WARM_MIB
}

impl Config {
    /// Reads the service's file.
    ///
    /// # Errors
    /// When it cannot be read, or a value cannot be meant.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let config: Self = load_yaml(path)?;
        let invalid = |key: &str, found: String, allowed: String| ConfigError::Invalid {
            path: path.to_owned(),
            key: key.to_owned(),
            found,
            allowed,
        };
        if config.follow.is_zero() {
            return Err(invalid("follow", "0s".to_owned(), "more than 0s".to_owned()));
        }
        if config.memory_mib < LEAST_MEMORY_MIB {
            return Err(invalid(
                "memory_mib",
                config.memory_mib.to_string(),
                format!("{LEAST_MEMORY_MIB} or more"),
            ));
        }
        for (key, value) in [
            ("limits.concurrent", config.limits.concurrent),
            ("limits.items", config.limits.items),
        ] {
            if value == 0 {
                return Err(invalid(key, "0".to_owned(), "1 or more".to_owned()));
            }
        }
        Ok(config)
    }
}
