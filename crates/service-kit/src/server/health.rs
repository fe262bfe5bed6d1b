//! Whether a server is ready, as gRPC health tells it.

use std::{borrow::Cow, sync::Arc};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic_health::{ServingStatus, server::HealthReporter};

/// By this a service says that it is ready. It begins not ready.
///
/// Clones speak for the same server. Once the server is shutting down it says NOT_SERVING whatever is set here.
#[derive(Clone, Debug)]
pub struct Health {
    ready: Arc<watch::Sender<bool>>,
    reason: Arc<watch::Sender<Option<Cow<'static, str>>>>,
}

impl Health {
    pub(super) fn new() -> Self {
        Self {
            ready: Arc::new(watch::Sender::new(false)),
            reason: Arc::new(watch::Sender::new(Some("starting".into()))),
        }
    }

    /// Health answers SERVING, for the server as a whole and for each of its services.
    pub fn set_serving(&self) {
        self.reason.send_replace(None);
        self.ready.send_replace(true);
    }

    /// Health answers NOT_SERVING, and `/readyz` says why.
    pub fn set_not_serving_because(&self, reason: impl Into<Cow<'static, str>>) {
        self.reason.send_replace(Some(reason.into()));
        self.ready.send_replace(false);
    }

    /// Why health answers NOT_SERVING; `None` when it does not.
    pub fn reason(&self) -> Option<String> {
        self.reason.borrow().as_deref().map(str::to_owned)
    }

    /// Health answers NOT_SERVING.
    pub fn set_not_serving(&self) {
        self.set_not_serving_because("not ready");
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }
}

/// Carries what a [`Health`] says to the health service.
pub(super) struct HealthFeed {
    reporter: HealthReporter,
    ready: watch::Receiver<bool>,
    service_names: Vec<&'static str>,
}

impl HealthFeed {
    /// Once this is done, the health service answers NOT_SERVING for the server and each of `service_names`.
    pub(super) async fn begin(health: &Health, reporter: HealthReporter, service_names: &[&'static str]) -> Self {
        // The empty name stands for the server as a whole, by the health protocol.
        let service_names = [""].iter().chain(service_names).copied().collect();
        let feed = Self {
            reporter,
            ready: health.subscribe(),
            service_names,
        };
        feed.tell(ServingStatus::NotServing).await;
        feed
    }

    /// Follows what is set until `shutdown`, and then says NOT_SERVING for good.
    pub(super) async fn follow(&mut self, shutdown: &CancellationToken) {
        while !shutdown.is_cancelled() {
            let ready = *self.ready.borrow_and_update();
            self.tell(if ready {
                ServingStatus::Serving
            } else {
                ServingStatus::NotServing
            })
            .await;
            if let Some(Err(_)) = shutdown.run_until_cancelled(self.ready.changed()).await {
                // Nobody is left who could set anything.
                shutdown.cancelled().await;
            }
        }
        self.tell(ServingStatus::NotServing).await;
    }

    /// Ends the streams of those who watch health, which would otherwise outlast every deadline.
    pub(super) async fn end(mut self) {
        for name in self.service_names {
            self.reporter.clear_service_status(name).await;
        }
    }

    async fn tell(&self, status: ServingStatus) {
        for name in &self.service_names {
            self.reporter.set_service_status(name, status).await;
        }
    }
}
