//! The service as its callers see it: over mutual TLS, on a port of its own, with a real bucket behind it.

#[cfg(test)]
mod storage {
    mod access;
    mod conformance;
    mod harness;
    mod limits;
    mod moto;
    mod reads;
    mod refusals;
    mod writes;
}
