//! Configuration files: reading them, and the parts that every service's file has.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    TrustDomain,
    admin::AdminConfig,
    telemetry::{LogConfig, TracingConfig},
    tls::TlsFiles,
};

/// The exit code of a process whose configuration cannot be used (`EX_USAGE` of sysexits).
pub const EXIT_CODE: u8 = 64;

/// What every server's file says, as it stands in the file. Embed it under a key of its own: serde cannot refuse
/// unknown keys in a flattened struct.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommonConfig {
    /// Where to listen for gRPC, such as `0.0.0.0:7001`; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Our certificate and whom we trust.
    pub tls: TlsFiles,
    /// The domain that callers must belong to; `fedcost` by default.
    #[serde(default)]
    pub trust_domain: TrustDomain,
    /// How to log.
    #[serde(default)]
    pub log: LogConfig,
    /// Where to tell metrics and readiness; nowhere by default.
    #[serde(default)]
    pub admin: Option<AdminConfig>,
    /// Where to send spans; nowhere by default.
    #[serde(default)]
    pub tracing: Option<TracingConfig>,
}

impl CommonConfig {
    /// Listens at `listen` with these TLS files, and has defaults for the rest.
    pub fn new(listen: SocketAddr, tls: TlsFiles) -> Self {
        Self {
            listen,
            tls,
            trust_domain: TrustDomain::default(),
            log: LogConfig::default(),
            admin: None,
            tracing: None,
        }
    }
}

/// Reads a YAML file into a raw configuration.
///
/// # Errors
/// A [`ConfigError`] of one line that names the file, the place in it, what was found and what is allowed.
pub fn load_yaml<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse_yaml(path, &text)
}

/// Like [`load_yaml`], for text that is at hand; `path` is for the error only.
///
/// # Errors
/// As [`load_yaml`].
pub fn parse_yaml<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigError> {
    serde_norway::from_str(text).map_err(|error| {
        // The library ends its message with the place when it knows one; ours stands in front, as compilers have it.
        let message = error.to_string();
        let place = error.location().map(|at| (at.line(), at.column()));
        let reason = match place {
            Some((line, column)) => message.replacen(&format!(" at line {line} column {column}"), "", 1),
            None => message,
        };
        let place = place
            .map(|(line, column)| format!(":{line}:{column}"))
            .unwrap_or_default();
        ConfigError::Parse {
            path: path.to_owned(),
            place,
            reason,
        }
    })
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that is missing or may not be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not YAML, or an unknown key, or a value of the wrong kind.
    #[error("{}{place}: {reason}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// `:line:column`, or empty when the library does not know.
        place: String,
        /// The key, what was found and what is allowed.
        reason: String,
    },
    /// A value that reads well but cannot be meant. For what a service's own validation finds.
    #[error("{}: {key}: found {found}, allowed is {allowed}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The key, with dots between its levels.
        key: String,
        /// The value in the file.
        found: String,
        /// What would be accepted.
        allowed: String,
    },
}

impl ConfigError {
    /// What `main` ends with: 64, whatever is wrong with the configuration.
    pub fn exit_code(&self) -> u8 {
        EXIT_CODE
    }
}

/// For `#[serde(with = "service_kit::config::duration")]`: `90s`, `2m`, `1h30m`, `250ms`, as Go and humantime write
/// them.
pub mod duration {
    use std::{fmt, time::Duration};

    use serde::{Deserializer, Serializer, de};

    struct Text;

    impl de::Visitor<'_> for Text {
        type Value = Duration;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a duration with units, such as 90s, 2m or 1h30m")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
            humantime::parse_duration(text).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }

    /// Reads a duration.
    ///
    /// # Errors
    /// When the value is not text of numbers with units.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        deserializer.deserialize_str(Text)
    }

    /// Writes a duration as [`deserialize`] reads it.
    ///
    /// # Errors
    /// Only the serializer's own.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*duration))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[serde(with = "duration")]
        refresh: Duration,
        common: Option<CommonConfig>,
    }

    fn parse(text: &str) -> Result<Sample, String> {
        parse_yaml(Path::new("sample.yaml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_durations_with_units() {
        for (text, seconds) in [
            ("90s", 90.0),
            ("2m", 120.0),
            ("1h30m", 5400.0),
            ("1h30m0s", 5400.0),
            ("250ms", 0.25),
        ] {
            assert_eq!(
                parse(&format!("refresh: {text}")).unwrap().refresh.as_secs_f64(),
                seconds,
                "{text}"
            );
        }
    }

    #[test]
    fn errors_name_file_place_key_found_and_allowed() {
        assert_eq!(
            parse("refresh: soon").unwrap_err(),
            "sample.yaml:1:10: refresh: invalid value: string \"soon\", expected a duration with units, such as 90s, 2m or 1h30m"
        );
        assert_eq!(
            parse("refresh: 1s\nrefesh: 2s").unwrap_err(),
            "sample.yaml:2:1: unknown field `refesh`, expected `refresh` or `common`"
        );
        let nested = parse("refresh: 1s\ncommon:\n  listen: here\n").unwrap_err();
        assert!(
            nested.starts_with("sample.yaml:3:11: common.listen: invalid socket address"),
            "{nested}"
        );
        let missing = load_yaml::<Sample>(Path::new("nowhere.yaml")).unwrap_err();
        assert!(
            missing.to_string().starts_with("nowhere.yaml: cannot be read: "),
            "{missing}"
        );
        assert_eq!(missing.exit_code(), 64);
    }

    #[test]
    fn common_part_has_defaults() {
        let text = "refresh: 1s\ncommon:\n  listen: 127.0.0.1:0\n  tls: {ca: a, cert: b, key: c}\n";
        let common = parse(text).unwrap().common.unwrap();
        assert_eq!(common.trust_domain.as_str(), "fedcost");
        assert_eq!(common.log, LogConfig::default());
    }
}
