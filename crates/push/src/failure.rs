//! What a failed call means for the calls to come.

use std::error::Error;

use service_kit::client;
use tonic::{Code, Status};

/// A failed call to the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What a person should read.
    pub(crate) text: String,
    /// Whether it is about the one object, so that the others may still be tried.
    pub(crate) of_this_object: bool,
}

impl Failure {
    pub(crate) fn of(error: &object_store::Error) -> Self {
        let status = status_of(error);
        let of_this_object =
            status.is_some_and(|status| matches!(status.code(), Code::InvalidArgument | Code::DataLoss));
        let text = match status {
            // With what lies behind it, such as the alert by which either certificate is refused.
            Some(status) if status.code() == Code::Unavailable => client::reason(status),
            Some(status) => status.message().to_owned(),
            None => error.to_string(),
        };
        Self { text, of_this_object }
    }
}

fn status_of(error: &object_store::Error) -> Option<&Status> {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        if let Some(status) = error.downcast_ref::<Status>() {
            return Some(status);
        }
        cause = error.source();
    }
    None
}
