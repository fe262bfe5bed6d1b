//! Numbers of small answers, which serde writes.

use cost_model::number;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// A number rounded to five decimals, as allocations have them.
#[derive(Clone, Copy, Debug, ToSchema)]
pub(crate) struct FiveDecimals(pub(crate) f64);

/// A number rounded to six decimals, as assets have them.
#[derive(Clone, Copy, Debug, ToSchema)]
pub(crate) struct SixDecimals(pub(crate) f64);

impl Serialize for FiveDecimals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        number::round_to_five_decimals(self.0).serialize(serializer)
    }
}

impl Serialize for SixDecimals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        number::round_to_six_decimals(self.0).serialize(serializer)
    }
}
