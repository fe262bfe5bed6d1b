//! Whether a request may have taken place before the attempt whose answer came back.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use http::{Extensions, StatusCode};
use object_store::client::{HttpError, HttpErrorKind, HttpResponse};

/// Goes along with a request through the library, which repeats requests without telling, to our HTTP client, which sees
/// each attempt. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct UnclearAttempts(Arc<AtomicBool>);

impl UnclearAttempts {
    /// What goes along with a request, if its maker wants to know.
    pub(super) fn of(extensions: &Extensions) -> Option<Self> {
        extensions.get().cloned()
    }

    /// Notes how an attempt has ended.
    pub(super) fn note(&self, answered: &Result<HttpResponse, HttpError>) {
        let unclear = match answered {
            // A proxy on the way may say so of a request that has reached the store.
            Ok(answer) => answer.status().is_server_error() || answer.status() == StatusCode::REQUEST_TIMEOUT,
            Err(error) => error.kind() != HttpErrorKind::Connect,
        };
        if unclear {
            self.set();
        }
    }

    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether any attempt may have taken place without an answer that says so.
    pub(super) fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
