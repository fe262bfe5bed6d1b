//! fedcost
