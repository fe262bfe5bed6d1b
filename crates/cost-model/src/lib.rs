//! What a question about costs means, and the figures that an answer derives from sums: windows and steps, keys to
//! aggregate by, filters, accumulation over time, efficiencies and rounding.
//!
//! Pure rules: no I/O, no wire formats. The clock is always an argument.

pub mod accumulate;
pub mod aggregation;
pub mod allocation;
pub mod calendar;
mod error;
pub mod filter;
pub mod flag;
pub mod naming;
pub mod number;
pub mod scope;
pub mod step;
pub mod window;

pub use accumulate::Accumulate;
pub use aggregation::{Aggregation, AllocationKey, AssetAggregation, AssetKey, Key, LabelAliases};
pub use calendar::Calendar;
pub use error::ParameterError;
pub use filter::{AllocationFilter, AssetFilter, Filter};
pub use scope::Scope;
pub use step::Step;
pub use window::Window;
