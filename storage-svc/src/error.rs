//! What can go wrong with a request, and how the caller learns of it.

use std::collections::HashMap;

use object_gateway::wire::{ERROR_DOMAIN, reason};
use object_store::Error as StoreError;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{path::PathError, policy::Operation, secret::Scrubber, store::local::LocalError};

/// What can go wrong with a request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StorageError {
    #[error("{field}: {description}")]
    Field { field: &'static str, description: String },
    #[error("{caller} may not {operation} `{path}`")]
    Denied {
        caller: String,
        operation: Operation,
        path: String,
    },
    #[error("there is no object `{path}`")]
    NotFound { path: String },
    #[error("there is already an object `{path}`")]
    AlreadyExists { path: String },
    #[error("`{path}` is not as the request demands: {reason}")]
    Precondition { path: String, reason: String },
    #[error("`{path}` was not modified")]
    NotModified { path: String },
    #[error("the store cannot do this: {reason}")]
    Unsupported { reason: String },
    #[error("the range lies outside `{path}`: {reason}")]
    Range { path: String, reason: String },
    #[error("the stream ended before its commit; nothing was written")]
    CutShort,
    #[error("a later attempt at this change has come before this one; nothing was done")]
    Superseded,
    #[error("the content of `{path}` was damaged on its way; nothing was written")]
    Damaged { path: String },
    #[error("the caller sent nothing for too long; nothing was written")]
    CallerStalled,
    #[error("the caller read nothing for too long; the rest was given up")]
    ReaderStalled,
    #[error("too many calls at the same time, or in too short a time; try again")]
    Busy,
    #[error("the store is full")]
    Full { detail: String },
    #[error("the store refuses the gateway's own credentials; see the gateway's log")]
    StoreDenied { detail: String },
    #[error("the store failed; see the gateway's log")]
    StoreFailed { detail: String },
    #[error("the store does not answer as it should; try again")]
    StoreUnavailable { detail: String },
}

impl StorageError {
    /// A field of the request that holds what it must not.
    pub(crate) fn field(field: &'static str, description: impl Into<String>) -> Self {
        Self::Field {
            field,
            description: description.into(),
        }
    }

    /// A path of the request that cannot be one.
    pub(crate) fn path(field: &'static str, error: PathError) -> Self {
        Self::field(field, error.to_string())
    }

    /// Sorts a store's error. What the store itself said is kept for the log alone: it can hold names of machines,
    /// and, in a server's answer to a bad signature, key ids.
    pub(crate) fn from_store(error: StoreError, path: &str, scrubber: &Scrubber) -> Self {
        let path = path.to_owned();
        let detail = scrubber.scrub(&error.to_string());
        match error {
            StoreError::NotFound { .. } => Self::NotFound { path },
            StoreError::AlreadyExists { .. } => Self::AlreadyExists { path },
            StoreError::Precondition { source, .. } => {
                let local = source.downcast_ref::<LocalError>().map(ToString::to_string);
                Self::Precondition {
                    path,
                    reason: local.unwrap_or_else(|| "it has changed".to_owned()),
                }
            }
            StoreError::NotModified { .. } => Self::NotModified { path },
            StoreError::NotSupported { source } => Self::Unsupported {
                reason: scrubber.scrub(&source.to_string()),
            },
            StoreError::NotImplemented { operation, .. } => Self::Unsupported { reason: operation },
            StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => Self::StoreDenied { detail },
            StoreError::Generic { source, .. } => match source.downcast_ref::<LocalError>() {
                None => Self::StoreUnavailable { detail },
                Some(LocalError::Range { reason, .. }) => Self::Range {
                    path,
                    reason: reason.clone(),
                },
                Some(LocalError::Full { .. }) => Self::Full { detail },
                Some(_) => Self::StoreFailed { detail },
            },
            StoreError::InvalidPath { .. }
            | StoreError::JoinError { .. }
            | StoreError::UnknownConfigurationKey { .. } => Self::StoreFailed { detail },
            // The library may add variants.
            _ => Self::StoreFailed { detail },
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Field { .. } => Code::InvalidArgument,
            Self::Denied { .. } => Code::PermissionDenied,
            Self::NotFound { .. } => Code::NotFound,
            Self::AlreadyExists { .. } => Code::AlreadyExists,
            Self::Precondition { .. } | Self::NotModified { .. } => Code::FailedPrecondition,
            Self::Unsupported { .. } => Code::Unimplemented,
            Self::Range { .. } => Code::OutOfRange,
            Self::CutShort | Self::Superseded => Code::Aborted,
            Self::Damaged { .. } => Code::DataLoss,
            Self::CallerStalled | Self::ReaderStalled => Code::DeadlineExceeded,
            Self::Busy | Self::Full { .. } => Code::ResourceExhausted,
            Self::StoreDenied { .. } | Self::StoreFailed { .. } => Code::Internal,
            Self::StoreUnavailable { .. } => Code::Unavailable,
        }
    }

    /// The reason in the answer's ErrorInfo, by which a client tells errors of one code apart.
    fn reason(&self) -> &'static str {
        match self {
            Self::Field { .. } => "INVALID_FIELD",
            Self::Denied { .. } => "DENIED",
            Self::NotFound { .. } => "NOT_FOUND",
            Self::AlreadyExists { .. } => "ALREADY_EXISTS",
            Self::Precondition { .. } => reason::PRECONDITION,
            Self::NotModified { .. } => reason::NOT_MODIFIED,
            Self::Unsupported { .. } => "UNSUPPORTED",
            Self::Range { .. } => "RANGE",
            Self::CutShort => "CUT_SHORT",
            Self::Superseded => "SUPERSEDED",
            Self::Damaged { .. } => "DAMAGED",
            Self::CallerStalled | Self::ReaderStalled => "STALLED",
            Self::Busy => reason::BUSY,
            Self::Full { .. } => "FULL",
            Self::StoreDenied { .. } => "STORE_DENIED",
            Self::StoreFailed { .. } => "STORE_FAILED",
            Self::StoreUnavailable { .. } => "STORE_UNAVAILABLE",
        }
    }

    /// What the operator must see and the caller must not.
    fn detail(&self) -> Option<&str> {
        match self {
            Self::Full { detail }
            | Self::StoreDenied { detail }
            | Self::StoreFailed { detail }
            | Self::StoreUnavailable { detail } => Some(detail),
            Self::Field { .. }
            | Self::Denied { .. }
            | Self::NotFound { .. }
            | Self::AlreadyExists { .. }
            | Self::Precondition { .. }
            | Self::NotModified { .. }
            | Self::Unsupported { .. }
            | Self::Range { .. }
            | Self::CutShort
            | Self::Superseded
            | Self::Damaged { .. }
            | Self::CallerStalled
            | Self::ReaderStalled
            | Self::Busy => None,
        }
    }
}

impl From<StorageError> for Status {
    fn from(error: StorageError) -> Self {
        if let Some(detail) = error.detail() {
            tracing::warn!(reason = error.reason(), detail, "request failed in the store");
        }
        let mut details = ErrorDetails::with_error_info(error.reason(), ERROR_DOMAIN, HashMap::new());
        if let StorageError::Field { field, description } = &error {
            details.add_bad_request_violation(*field, description.as_str());
        }
        Self::with_error_details(error.code(), error.to_string(), details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_field() {
        let status = Status::from(StorageError::path("path", PathError::Relative));
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, "path");
        assert_eq!(details.error_info().unwrap().reason, "INVALID_FIELD");
    }

    #[test]
    fn keeps_to_itself_what_the_store_said() {
        let scrubber = Scrubber::new([String::from("hunter2").into()]);
        let source = "SignatureDoesNotMatch for hunter2 at bucket.internal";
        let error = StoreError::Generic {
            store: "S3",
            source: source.into(),
        };
        let error = StorageError::from_store(error, "a/b", &scrubber);
        assert!(!format!("{error:?}").contains("hunter2"));
        let status = Status::from(error);
        assert_eq!(status.code(), Code::Unavailable);
        assert!(!format!("{status:?}").contains("bucket.internal"));
    }
}
