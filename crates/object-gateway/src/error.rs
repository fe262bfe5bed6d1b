//! From the gateway's answers back to the library's errors.

use object_store::Error;
use service_kit::client::{self, is_connection_failure};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::wire::reason;

/// What the library calls this store.
const STORE: &str = "storage gateway";

/// The library's error for an answer about an object or a folder.
pub(crate) fn from_status(status: Status, path: &str) -> Error {
    let path = path.to_owned();
    // tonic has other codes for a connection that breaks, which would tell the caller nothing.
    let status = if is_connection_failure(&status) && status.code() != Code::Unavailable {
        Status::unavailable(client::reason(&status))
    } else {
        status
    };
    let not_modified = reason_of(&status).is_some_and(|given| given == reason::NOT_MODIFIED);
    match status.code() {
        Code::NotFound => Error::NotFound {
            path,
            source: status.into(),
        },
        Code::AlreadyExists => Error::AlreadyExists {
            path,
            source: status.into(),
        },
        Code::FailedPrecondition if not_modified => Error::NotModified {
            path,
            source: status.into(),
        },
        Code::FailedPrecondition => Error::Precondition {
            path,
            source: status.into(),
        },
        Code::PermissionDenied => Error::PermissionDenied {
            path,
            source: status.into(),
        },
        Code::Unauthenticated => Error::Unauthenticated {
            path,
            source: status.into(),
        },
        Code::Unimplemented => Error::NotSupported { source: status.into() },
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::InvalidArgument
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::OutOfRange
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => Error::Generic {
            store: STORE,
            source: Box::new(Failed { path, status }),
        },
    }
}

/// An answer that the interface does not allow.
pub(crate) fn malformed(what: &str) -> Error {
    Error::Generic {
        store: STORE,
        source: format!("the gateway sent {what}").into(),
    }
}

/// The reason that the gateway gave.
pub(crate) fn reason_of(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}

/// A failure that the library has no variant for; its other variants name the path themselves.
#[derive(Debug, thiserror::Error)]
#[error("`{path}`: {status}")]
struct Failed {
    path: String,
    #[source]
    status: Status,
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    fn answer(code: Code, reason: &str) -> Error {
        let details = ErrorDetails::with_error_info(reason, crate::wire::ERROR_DOMAIN, HashMap::new());
        from_status(Status::with_error_details(code, "said", details), "a/b")
    }

    #[test]
    fn codes_and_reasons_lead_to_the_library_s_variants() {
        assert!(matches!(answer(Code::NotFound, "NOT_FOUND"), Error::NotFound { path, .. } if path == "a/b"));
        assert!(matches!(answer(Code::AlreadyExists, ""), Error::AlreadyExists { path, .. } if path == "a/b"));
        assert!(matches!(
            answer(Code::FailedPrecondition, reason::PRECONDITION),
            Error::Precondition { .. }
        ));
        assert!(matches!(
            answer(Code::FailedPrecondition, reason::NOT_MODIFIED),
            Error::NotModified { .. }
        ));
        assert!(matches!(
            answer(Code::PermissionDenied, ""),
            Error::PermissionDenied { .. }
        ));
        assert!(matches!(answer(Code::Unimplemented, ""), Error::NotSupported { .. }));
        let error = answer(Code::Unavailable, "STORE_UNAVAILABLE");
        assert!(matches!(error, Error::Generic { .. }));
        let shown = error.to_string();
        assert!(shown.contains("a/b") && shown.contains("said"), "{shown}");
    }
}
