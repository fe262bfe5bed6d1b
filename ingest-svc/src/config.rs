//! The service's own file.

use std::{path::Path, time::Duration};

use serde::Deserialize;
use service_kit::{
    client::EndpointConfig,
    config::{CommonConfig, ConfigError, duration, load_yaml},
};

use crate::{
    cycle::{Retention, Settings},
    steps::Steps,
};

/// The configuration of the service.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen, who we are, whom we trust, how to log.
    pub server: CommonConfig,
    /// The storage gateway.
    pub storage: EndpointConfig,
    /// How ingest behaves.
    pub settings: Settings,
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    server: CommonConfig,
    storage: EndpointConfig,
    #[serde(default = "default_refresh", with = "duration")]
    refresh: Duration,
    #[serde(default)]
    retention: RawRetention,
    #[serde(default = "default_memory")]
    memory_mib: u64,
    #[serde(default = "default_keep_releases", with = "duration")]
    keep_releases: Duration,
    #[serde(default = "default_lease", with = "duration")]
    lease: Duration,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawRetention {
    days: u32,
    hours: u32,
}

/// How often the bucket is looked at, unless told otherwise.
pub const DEFAULT_REFRESH: Duration = Duration::from_secs(10 * 60);
/// Days of daily windows that are kept, unless told otherwise.
pub const DEFAULT_RETENTION_DAYS: u32 = 91;
/// Hours of hourly windows that are kept, unless told otherwise.
pub const DEFAULT_RETENTION_HOURS: u32 = 49;
/// MiB of memory for decoding and writing, unless told otherwise.
pub const DEFAULT_MEMORY_MIB: u64 = 768;

/// How long releases can be returned to after a newer one, unless told otherwise.
pub const DEFAULT_KEEP_RELEASES: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the right to write holds for a writer that is not heard of, unless told otherwise.
pub const DEFAULT_LEASE: Duration = Duration::from_secs(30);
/// Readers hold on to a release for as long as their questions take.
const SHORTEST_KEEP: Duration = Duration::from_secs(60 * 60);
/// A table's log is kept for so long (`delta.logRetentionDuration`), and a release is of no use without it.
const LONGEST_KEEP: Duration = Duration::from_secs(28 * 24 * 60 * 60);
/// Below this, a slow answer of the store would lose the lease.
const SHORTEST_LEASE: Duration = Duration::from_secs(5);
/// The longest that a lease is respected.
const LONGEST_LEASE: Duration = Duration::from_secs(60 * 60);

/// Between two cycles at least: below this, the bucket would be listed without a pause.
pub const SHORTEST_REFRESH: Duration = Duration::from_secs(1);
/// Less than this holds no file at all.
const LEAST_MEMORY_MIB: u64 = 64;

fn default_refresh() -> Duration {
    DEFAULT_REFRESH
}

fn default_memory() -> u64 {
    DEFAULT_MEMORY_MIB
}

fn default_keep_releases() -> Duration {
    DEFAULT_KEEP_RELEASES
}

fn default_lease() -> Duration {
    DEFAULT_LEASE
}

impl Default for RawRetention {
    fn default() -> Self {
        Self {
            days: DEFAULT_RETENTION_DAYS,
            hours: DEFAULT_RETENTION_HOURS,
        }
    }
}

impl Config {
    /// Reads the service's file.
    ///
    /// # Errors
    /// When it cannot be read, or a value cannot be meant.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        load_yaml::<RawConfig>(path)?.validate(path)
    }
}

impl RawConfig {
    fn validate(self, path: &Path) -> Result<Config, ConfigError> {
        let invalid = |key: &str, found: String, allowed: String| ConfigError::Invalid {
            path: path.to_owned(),
            key: key.to_owned(),
            found,
            allowed,
        };
        if self.refresh < SHORTEST_REFRESH {
            return Err(invalid(
                "refresh",
                format!("{:?}", self.refresh),
                format!("{SHORTEST_REFRESH:?} or more"),
            ));
        }
        if self.memory_mib < LEAST_MEMORY_MIB {
            return Err(invalid(
                "memory_mib",
                self.memory_mib.to_string(),
                format!("{LEAST_MEMORY_MIB} or more"),
            ));
        }
        for (key, found, shortest, longest) in [
            ("keep_releases", self.keep_releases, SHORTEST_KEEP, LONGEST_KEEP),
            ("lease", self.lease, SHORTEST_LEASE, LONGEST_LEASE),
        ] {
            if !(shortest..=longest).contains(&found) {
                return Err(invalid(
                    key,
                    format!("{found:?}"),
                    format!("{shortest:?} to {longest:?}"),
                ));
            }
        }
        Ok(Config {
            server: self.server,
            storage: self.storage,
            settings: Settings {
                refresh: self.refresh,
                retention: Retention::of(self.retention.days, self.retention.hours),
                memory_bytes: self.memory_mib << 20,
                keep_releases: self.keep_releases,
                lease: self.lease,
                steps: Steps::default(),
            },
        })
    }
}
