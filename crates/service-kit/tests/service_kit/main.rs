//! The service kit over real sockets and real TLS.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed; Clippy overlooks the helpers of tests"
)]

mod admin;
mod certificates;
mod lifecycle;
mod mutual_tls;
mod revocation;
mod server;
mod support;
