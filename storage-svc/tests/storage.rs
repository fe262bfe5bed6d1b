//! The service as its callers see it: over mutual TLS, on a port of its own, with a real bucket behind it.

#[cfg(test)]
mod storage {
    mod access;
    mod checks;
    mod conformance;
    mod faults;
    mod google;
    mod harness;
    mod limits;
    mod moto;
    mod reads;
    mod refusals;
    mod renewal;
    mod server;
    mod writes;
}
