//! The checks of every bucket, over real servers that have to be installed first: `make test-stores`.

#[cfg(test)]
#[path = "storage"]
mod stores {
    mod checks;
    #[expect(dead_code, reason = "the tests of the service itself use the rest")]
    mod harness;
    mod installed;
    mod large;
    mod process;
    mod server;
}
