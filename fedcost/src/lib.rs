//! FedCost in one process: the four services as they run in production, wired together over mutual TLS on loopback.
//! `fedcost up` is this on a terminal, and tests run it in a temporary folder.

pub mod all_in_one;
pub mod certificates;

pub use self::all_in_one::{Addresses, AllInOne, Options, ServiceError, StartError};
