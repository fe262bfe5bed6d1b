//! What each FedCost service needs alike, and nothing of what any one of them does: configuration files, mutual
//! TLS with reload, the identity of a caller, the gRPC server and client around them, shutdown and telemetry.
//!
//! A service's `main` reads its arguments and hands over to [`process::run`]; its `serve` builds a
//! [`server::GrpcServer`].

pub mod admin;
mod causes;
pub mod certs;
pub mod client;
pub mod config;
pub mod identity;
pub mod metrics;
pub mod process;
pub mod server;
pub mod shutdown;
pub mod telemetry;
pub mod tls;

pub use causes::with_causes;
pub use identity::{Identity, Principal, TrustDomain};
pub use server::{peer_address, peer_identity};

/// The largest gRPC message that services send each other, in bytes.
///
/// tonic sets the limit per generated client and server, so each service applies this one with
/// `max_decoding_message_size` and `max_encoding_message_size`. Bulk data is streamed in far smaller messages.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
