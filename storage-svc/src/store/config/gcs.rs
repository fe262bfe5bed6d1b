//! The `config` of type GCS.

use serde::Deserialize;

use super::{StoreConfigError, filled, keys::UnknownKeys};
use crate::secret::Secret;

/// A bucket of Google Cloud Storage.
#[derive(Debug, Clone)]
pub struct GcsConfig {
    /// Name of the bucket.
    pub bucket: String,
    /// The JSON of a service account. None takes what the environment offers.
    pub service_account: Option<Secret>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawGcs {
    bucket: Option<String>,
    service_account: Secret,
}

/// Full names of the keys above.
pub(super) const GCS_KEYS: &[&str] = &["config.bucket", "config.service_account"];

impl GcsConfig {
    pub(super) fn read(config: serde_norway::Value, unknown: &mut UnknownKeys) -> Result<Self, StoreConfigError> {
        let raw: RawGcs = unknown.read("config.", GCS_KEYS, config)?;
        let bucket = filled(raw.bucket).ok_or(StoreConfigError::Missing {
            key: "config.bucket",
            hint: "the name of the bucket",
        })?;
        let service_account = Some(raw.service_account).filter(|account| !account.is_empty());
        if let Some(account) = &service_account {
            match credential_type(account.reveal()) {
                Ok(kind) if kind == "service_account" => {}
                Ok(kind) => return Err(refuse_credential(&kind)),
                Err(reason) => {
                    return Err(StoreConfigError::Invalid {
                        key: "config.service_account",
                        reason,
                    });
                }
            }
        }
        Ok(Self {
            bucket,
            service_account,
        })
    }
}

/// The `type` of Google's credentials. A service account need not say it. Errors repeat nothing of the text.
pub(crate) fn credential_type(json: &str) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Typed {
        r#type: Option<String>,
    }
    let typed: Typed = serde_json::from_str(json).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("is not the JSON of a credential (line {line}, column {column})")
    })?;
    Ok(typed.r#type.unwrap_or_else(|| "service_account".to_owned()))
}

fn refuse_credential(kind: &str) -> StoreConfigError {
    let reason = match kind {
        "external_account" => {
            "external_account (workload identity federation) is not spoken; give the key of a service account, or run \
             on GKE with workload identity and leave the key out"
        }
        _ => "only the key of a service account (\"type\": \"service_account\") can be given here",
    };
    StoreConfigError::Unsupported {
        key: "config.service_account",
        reason,
    }
}
