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
        serialize(number::round_to_five_decimals(self.0), serializer)
    }
}

impl Serialize for SixDecimals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(number::round_to_six_decimals(self.0), serializer)
    }
}

// Every whole number up to here is one f64.
const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;

/// Null for what is no number, and no fraction where there is none, as in large answers.
fn serialize<S: Serializer>(number: Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match number {
        Some(whole) if whole.fract() == 0.0 && whole.abs() <= LARGEST_EXACT => serializer.serialize_i64(whole as i64),
        other => other.serialize(serializer),
    }
}
