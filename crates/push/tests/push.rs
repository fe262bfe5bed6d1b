//! Pushers against the real storage gateway: over mutual TLS, with a local folder or S3 as the bucket.

#[cfg(test)]
mod push {
    mod doubles;
    mod harness;
    #[path = "../../../../storage-svc/tests/storage/moto.rs"]
    #[expect(dead_code, reason = "the tests of the gateway use the rest")]
    mod moto;
    mod s3;
    #[path = "../../../../storage-svc/tests/storage/server.rs"]
    mod server;
    mod uploads;
}
