//! Allocation sets: what each container cost in a window.

pub(crate) mod amounts;
pub(crate) mod gpu;
pub(crate) mod owned;
pub(crate) mod record;
