//! Pieces of JSON that allocations and assets have in common.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, SecondsFormat, Utc};
use cost_model::{Window, number};
use fedcost_proto::query::v1 as proto;
use prost_types::Timestamp;
use serde::{Serialize, Serializer};

/// A number as it is; null when JSON cannot write it, and without a fraction when it has none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number(pub(crate) f64);

/// A number rounded to five decimals, as allocations have them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FiveDecimals(pub(crate) f64);

/// A number rounded to six decimals, as assets have them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SixDecimals(pub(crate) f64);

// Every whole number up to here is one f64, and is written with as many digits as an integer has.
const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && self.0.abs() <= LARGEST_EXACT {
            serializer.serialize_i64(self.0 as i64)
        } else {
            // serde_json writes null for what is not finite.
            serializer.serialize_f64(self.0)
        }
    }
}

impl Serialize for FiveDecimals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        number::round_to_five_decimals(self.0).map(Number).serialize(serializer)
    }
}

impl Serialize for SixDecimals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        number::round_to_six_decimals(self.0).map(Number).serialize(serializer)
    }
}

/// A time as `2026-03-01T00:00:00Z`: clients compare the text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time(pub(crate) DateTime<Utc>);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}

impl Time {
    /// None when the message has none, or one that no calendar has.
    pub(crate) fn of(timestamp: Option<&Timestamp>) -> Option<Self> {
        let timestamp = timestamp?;
        DateTime::from_timestamp(timestamp.seconds, timestamp.nanos.try_into().ok()?).map(Self)
    }

    pub(crate) fn to_message(time: DateTime<Utc>) -> Timestamp {
        Timestamp {
            seconds: time.timestamp(),
            nanos: time.timestamp_subsec_nanos().cast_signed(),
        }
    }
}

/// `{"start": …, "end": …}`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct WindowJson {
    start: Option<Time>,
    end: Option<Time>,
}

impl WindowJson {
    pub(crate) fn of(window: Option<&proto::Window>) -> Self {
        window.map_or_else(Self::default, |window| Self {
            start: Time::of(window.start.as_ref()),
            end: Time::of(window.end.as_ref()),
        })
    }
}

/// The span between two times of a message; none when one is missing or they are not in order.
pub(crate) fn span(start: Option<Time>, end: Option<Time>) -> Option<Window> {
    Window::new(start?.0, end?.0)
}

/// A map in order of its keys, so that equal answers are equal texts.
pub(crate) fn sorted<'a, S: Serializer>(map: &&'a HashMap<String, String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(map.iter().collect::<BTreeMap<&'a String, &'a String>>())
}

/// For fields that are left out when the message does not know them.
pub(crate) fn is_empty(text: &&str) -> bool {
    text.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: impl Serialize) -> String {
        serde_json::to_string(&value).unwrap()
    }

    #[test]
    fn numbers() {
        assert_eq!(text(Number(24.0)), "24");
        assert_eq!(text(Number(-0.0)), "0");
        assert_eq!(text(Number(0.1)), "0.1");
        assert_eq!(text(Number(1e300)).parse(), Ok(1e300));
        assert_eq!(text(FiveDecimals(0.065_753_424)), "0.06575");
        assert_eq!(text(SixDecimals(2_422_054_771_565.714_3)), "2422054771565.7144");
        for value in [f64::NAN, f64::INFINITY] {
            assert_eq!(text(Number(value)), "null");
            assert_eq!(text(FiveDecimals(value)), "null");
        }
    }

    #[test]
    fn times() {
        let timestamp = Timestamp {
            seconds: 1_772_323_200,
            nanos: 5,
        };
        assert_eq!(text(Time::of(Some(&timestamp))), "\"2026-03-01T00:00:00Z\"");
        assert_eq!(Time::to_message(Time::of(Some(&timestamp)).unwrap().0), timestamp);
        assert_eq!(text(WindowJson::of(None)), "{\"start\":null,\"end\":null}");
        assert!(
            Time::of(Some(&Timestamp {
                seconds: i64::MAX,
                nanos: 0
            }))
            .is_none()
        );
    }
}
