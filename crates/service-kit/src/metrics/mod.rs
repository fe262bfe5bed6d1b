//! What every server counts. The exposition over HTTP is the edge's matter; here are only the numbers.

pub mod process;

use std::{
    convert::Infallible,
    time::{Duration, SystemTime},
};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use tokio::time::sleep;
use tonic::Code;

use crate::tls::TlsMaterial;

/// How often it is looked which certificate is in use.
const CERTIFICATE_LOOK: Duration = Duration::from_secs(15);

/// A registry for one process: with the numbers of the process itself, and `fedcost` before all else that is registered
/// through `fill`.
pub fn registry<T>(fill: impl FnOnce(&mut Registry) -> T) -> (Registry, T) {
    let mut registry = Registry::default();
    process::register(&mut registry);
    let filled = fill(registry.sub_registry_with_prefix("fedcost"));
    (registry, filled)
}

/// The handles that a [`GrpcServer`](crate::server::GrpcServer) records into.
///
/// Cloning shares the numbers, so that the servers of one process count into one registry, told apart by the
/// label `server`. A default value counts into nothing that is ever read.
#[derive(Clone, Debug)]
pub struct ServerMetrics {
    handshakes: Family<HandshakeLabels, Counter>,
    certificates: CertificateMetrics,
    in_flight: Family<ServerLabels, Gauge>,
    rpcs: Family<RpcLabels, Counter>,
    durations: Family<MethodLabels, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandshakeLabels {
    server: String,
    outcome: HandshakeOutcome,
}

/// How a TLS handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum HandshakeOutcome {
    /// The peer proved an identity of the trust domain.
    Accepted,
    /// TLS failed: no certificate, a foreign authority, a time-out, or bytes that are not TLS.
    Failed,
    /// TLS succeeded, but the certificate carries no identity of the trust domain.
    Denied,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServerLabels {
    server: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RpcLabels {
    server: String,
    method: String,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabels {
    server: String,
    method: String,
}

/// When the certificates in use expire.
#[derive(Clone, Debug, Default)]
pub struct CertificateMetrics(Family<ServerLabels, Gauge>);

impl CertificateMetrics {
    /// Registers the gauge of a server that is no [`GrpcServer`](crate::server::GrpcServer), which does so itself.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        metrics.register_into(registry);
        metrics
    }

    fn register_into(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "tls_certificate_not_after_timestamp",
            "When the certificate in use expires, since 1970",
            Unit::Seconds,
            self.0.clone(),
        );
    }

    /// Notes the certificate that `server` shows, for as long as somebody polls this.
    pub async fn follow(&self, server: &str, tls: &TlsMaterial) -> Infallible {
        let labels = ServerLabels {
            server: server.to_owned(),
        };
        loop {
            let since = tls
                .not_after()
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default();
            self.0
                .get_or_create(&labels)
                .set(i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
            sleep(CERTIFICATE_LOOK).await;
        }
    }
}

// From a call answered out of memory to a bulk stream.
const DURATION_BUCKETS_SECONDS: [f64; 11] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0];

fn duration_histogram() -> Histogram {
    Histogram::new(DURATION_BUCKETS_SECONDS)
}

impl Default for ServerMetrics {
    fn default() -> Self {
        Self {
            handshakes: Family::default(),
            certificates: CertificateMetrics::default(),
            in_flight: Family::default(),
            rpcs: Family::default(),
            durations: Family::new_with_constructor(duration_histogram),
        }
    }
}

impl ServerMetrics {
    /// Creates the handles and registers them. Call it once per registry.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "tls_handshakes",
            "TLS handshakes by outcome",
            metrics.handshakes.clone(),
        );
        metrics.certificates.register_into(registry);
        registry.register(
            "grpc_server_rpcs_in_flight",
            "RPCs under way",
            metrics.in_flight.clone(),
        );
        registry.register(
            "grpc_server_rpcs",
            "Ended RPCs by method and status code",
            metrics.rpcs.clone(),
        );
        registry.register_with_unit(
            "grpc_server_rpc_duration",
            "Time from the request's head to the end of the response",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        metrics
    }

    /// Where the certificate of a further server of this process is noted.
    pub fn certificates(&self) -> CertificateMetrics {
        self.certificates.clone()
    }

    pub(crate) fn handshake(&self, server: &str, outcome: HandshakeOutcome) {
        self.handshakes
            .get_or_create(&HandshakeLabels {
                server: server.to_owned(),
                outcome,
            })
            .inc();
    }

    pub(crate) fn rpc_begun(&self, server: &str) {
        self.in_flight
            .get_or_create(&ServerLabels {
                server: server.to_owned(),
            })
            .inc();
    }

    pub(crate) fn rpc_ended(&self, server: &str, method: &str, code: Code, duration: Duration) {
        self.in_flight
            .get_or_create(&ServerLabels {
                server: server.to_owned(),
            })
            .dec();
        let (server, method) = (server.to_owned(), method.to_owned());
        self.rpcs
            .get_or_create(&RpcLabels {
                server: server.clone(),
                method: method.clone(),
                code: code_name(code),
            })
            .inc();
        self.durations
            .get_or_create(&MethodLabels { server, method })
            .observe(duration.as_secs_f64());
    }

    /// Calls that have begun and not ended.
    pub(crate) fn in_flight(&self, server: &str) -> i64 {
        self.in_flight
            .get_or_create(&ServerLabels {
                server: server.to_owned(),
            })
            .get()
    }
}

/// The code as the gRPC specification writes it, such as `NOT_FOUND`.
pub(crate) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
