//! Cloud-cost sets: what the provider's bill says, by resource.

pub(crate) mod owned;
pub(crate) mod record;
