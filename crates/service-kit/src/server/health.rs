//! Whether a server is ready, as gRPC health tells it.

use std::sync::Arc;

use tokio::sync::watch;

/// By this a service says that it is ready. It begins not ready.
///
/// Clones speak for the same server. Once the server is shutting down it says NOT_SERVING whatever is set here.
#[derive(Clone, Debug)]
pub struct Health {
    ready: Arc<watch::Sender<bool>>,
}

impl Health {
    pub(super) fn new() -> Self {
        Self { ready: Arc::new(watch::Sender::new(false)) }
    }

    /// Health answers SERVING, for the server as a whole and for each of its services.
    pub fn set_serving(&self) {
        self.ready.send_replace(true);
    }

    /// Health answers NOT_SERVING.
    pub fn set_not_serving(&self) {
        self.ready.send_replace(false);
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }
}
