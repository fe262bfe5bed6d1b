//! Asset sets: what each node, disk, load balancer and so on cost in a window.

pub(crate) mod details;
pub(crate) mod owned;
pub(crate) mod record;
