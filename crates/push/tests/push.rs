//! Pushers against the real storage gateway: over mutual TLS, with a local folder as the bucket.

#[cfg(test)]
mod push {
    mod doubles;
    mod harness;
    mod uploads;
}
