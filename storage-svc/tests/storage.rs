//! The service as its callers see it: over mutual TLS, on a port of its own, with a real bucket behind it.

#[cfg(test)]
mod storage {
    mod access;
    mod checks;
    mod conformance;
    mod faults;
    mod google;
    mod harness;
    #[expect(dead_code, reason = "the tests of installed servers use the rest")]
    mod large;
    mod limits;
    mod moto;
    mod process;
    mod reads;
    mod refusals;
    mod renewal;
    mod server;
    mod sizes;
    mod writes;
}
