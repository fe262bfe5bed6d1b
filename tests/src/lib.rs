//! fedcost-tests
