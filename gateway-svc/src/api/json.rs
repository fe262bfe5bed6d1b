//! Writing JSON as it is sent: straight into bytes, since answers are large and made of little but numbers.

use chrono::{DateTime, Datelike, SecondsFormat, Timelike, Utc};
use cost_model::{Window, number};
use fedcost_proto::query::v1 as proto;
use prost_types::Timestamp;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

// Every whole number up to here is one f64, and is written with as many digits as an integer has.
const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;
// Up to here a decimal number is the shortest that reads as its f64, so that digits can be written as they are.
const MOST_DIGITS: f64 = 1e15;
// A sign, those digits, and a point.
const LONGEST_DECIMAL: usize = 1 + 16 + 1;

/// A number as it is; null when JSON cannot write it, and without a fraction when it has none.
pub(crate) fn number(out: &mut Vec<u8>, value: f64) {
    if value.fract() == 0.0 && value.abs() <= LARGEST_EXACT {
        whole(out, value as i64);
    } else if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}

/// A number rounded to five decimals, as allocations have them.
pub(crate) fn five_decimals(out: &mut Vec<u8>, value: f64) {
    if !decimals::<5>(out, value) {
        number(out, number::round_to_five_decimals(value).unwrap_or(f64::NAN));
    }
}

/// A number rounded to six decimals, as assets have them.
pub(crate) fn six_decimals(out: &mut Vec<u8>, value: f64) {
    if !decimals::<6>(out, value) {
        number(out, number::round_to_six_decimals(value).unwrap_or(f64::NAN));
    }
}

/// Writes `value` rounded to `DIGITS` decimals, halves away from zero. False, and nothing written, when it has too many
/// digits for that.
fn decimals<const DIGITS: usize>(out: &mut Vec<u8>, value: f64) -> bool {
    if value == 0.0 {
        out.push(b'0');
        return true;
    }
    let units = const { 10_u64.pow(DIGITS as u32) };
    let scaled = value.abs() * units as f64;
    if scaled.is_nan() || scaled >= MOST_DIGITS {
        return false;
    }
    let whole = scaled as u64;
    let rounded = whole + u64::from(scaled - whole as f64 >= 0.5);
    let (mut whole, mut fraction) = (rounded / units, rounded % units);
    // From the right: the decimals, the point, the digits before it, the sign.
    let mut text = [b'0'; LONGEST_DECIMAL];
    let point = LONGEST_DECIMAL - DIGITS - 1;
    let mut end = point;
    if fraction > 0 {
        text[point] = b'.';
        for digit in text[point + 1..].iter_mut().rev() {
            // Below ten.
            *digit = b'0' + (fraction % 10) as u8;
            fraction /= 10;
        }
        end = LONGEST_DECIMAL;
        while text[end - 1] == b'0' {
            end -= 1;
        }
    }
    let mut start = point;
    loop {
        start -= 1;
        text[start] = b'0' + (whole % 10) as u8;
        whole /= 10;
        if whole == 0 {
            break;
        }
    }
    if value < 0.0 && rounded > 0 {
        start -= 1;
        text[start] = b'-';
    }
    out.extend_from_slice(&text[start..end]);
    true
}

/// A text that is so short that its copy needs no loop.
pub(crate) struct Short {
    bytes: [u8; Self::LONGEST],
    length: usize,
}

impl Short {
    const LONGEST: usize = 48;

    /// Does not compile when the text is longer than that.
    pub(crate) const fn new(text: &str) -> Self {
        let mut bytes = [0; Self::LONGEST];
        let length = text.len();
        bytes.split_at_mut(length).0.copy_from_slice(text.as_bytes());
        Self { bytes, length }
    }

    pub(crate) fn append_to(&self, out: &mut Vec<u8>) {
        let end = out.len() + self.length;
        // A copy of a fixed length is a few instructions, and one of a length that is not known a call.
        out.extend_from_slice(&self.bytes);
        out.truncate(end);
    }
}

/// A whole number.
pub(crate) fn whole(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// A text with its quotation marks.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    string_content(out, text);
    out.push(b'"');
}

/// A text without quotation marks around it.
pub(crate) fn string_content(out: &mut Vec<u8>, text: &str) {
    const fn wants_escape(byte: u8) -> bool {
        byte < 0x20 || byte == b'"' || byte == b'\\'
    }
    let mut rest = text.as_bytes();
    // No early end within a chunk, so that it is looked at in one go.
    let plain = rest
        .chunks(16)
        .all(|chunk| !chunk.iter().fold(false, |found, byte| found | wants_escape(*byte)));
    if plain {
        out.extend_from_slice(rest);
        return;
    }
    while let Some(at) = rest.iter().position(|byte| wants_escape(*byte)) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(control >> 4)], HEX[usize::from(control & 15)]]);
            }
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// A time as `2026-03-01T00:00:00Z`, since clients compare the text; null when there is none.
pub(crate) fn time(out: &mut Vec<u8>, time: Option<DateTime<Utc>>) {
    match time {
        None => out.extend_from_slice(b"null"),
        Some(time) => {
            out.push(b'"');
            time_content(out, time);
            out.push(b'"');
        }
    }
}

/// A time without quotation marks around it.
pub(crate) fn time_content(out: &mut Vec<u8>, time: DateTime<Utc>) {
    let pair = |number: u32| [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8];
    let Ok(year @ 0..=9999) = u32::try_from(time.year()) else {
        out.extend_from_slice(time.to_rfc3339_opts(SecondsFormat::Secs, true).as_bytes());
        return;
    };
    let [c, d] = pair(year / 100);
    let [y, e] = pair(year);
    let [m, n] = pair(time.month());
    let [a, b] = pair(time.day());
    let [h, i] = pair(time.hour());
    let [o, p] = pair(time.minute());
    let [s, t] = pair(time.second());
    out.extend_from_slice(&[
        c, d, y, e, b'-', m, n, b'-', a, b, b'T', h, i, b':', o, p, b':', s, t, b'Z',
    ]);
}

/// `{"start": …, "end": …}`.
pub(crate) fn window(out: &mut Vec<u8>, window: Option<&proto::Window>) {
    let (start, end) = window.map_or((None, None), |window| {
        (instant(window.start.as_ref()), instant(window.end.as_ref()))
    });
    out.extend_from_slice(b"{\"start\":");
    time(out, start);
    out.extend_from_slice(b",\"end\":");
    time(out, end);
    out.push(b'}');
}

/// The time of a message; none when there is none, or one that no calendar has.
pub(crate) fn instant(timestamp: Option<&Timestamp>) -> Option<DateTime<Utc>> {
    let timestamp = timestamp?;
    DateTime::from_timestamp(timestamp.seconds, timestamp.nanos.try_into().ok()?)
}

/// The span between two times; none when one is missing or they are not in order.
pub(crate) fn span(start: Option<DateTime<Utc>>, end: Option<DateTime<Utc>>) -> Option<Window> {
    Window::new(start?, end?)
}

/// A map of texts. Its entries are put in order, so that equal answers are equal texts.
pub(crate) fn texts<'a>(out: &mut Vec<u8>, entries: impl Iterator<Item = (&'a str, &'a str)> + Clone) {
    out.push(b'{');
    if entries.clone().is_sorted_by_key(|(key, _)| key) {
        write_texts(out, entries);
    } else {
        let mut entries: Vec<_> = entries.collect();
        entries.sort_unstable();
        write_texts(out, entries.into_iter());
    }
    out.push(b'}');
}

fn write_texts<'a>(out: &mut Vec<u8>, entries: impl Iterator<Item = (&'a str, &'a str)>) {
    for (index, (key, value)) in entries.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        string(out, key);
        out.push(b':');
        string(out, value);
    }
}

/// A time such as `2026-03-01T00:00:00Z`.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub(crate) struct Time(pub(crate) DateTime<Utc>);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}

impl Time {
    /// None when the message has none, or one that no calendar has.
    pub(crate) fn of(timestamp: Option<&Timestamp>) -> Option<Self> {
        instant(timestamp).map(Self)
    }

    pub(crate) fn to_message(time: DateTime<Utc>) -> Timestamp {
        Timestamp {
            seconds: time.timestamp(),
            nanos: time.timestamp_subsec_nanos().cast_signed(),
        }
    }
}

/// A half-open span of time.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
#[schema(as = Window)]
pub(crate) struct WindowJson {
    /// First instant.
    start: Option<Time>,
    /// One past the last instant.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers() {
        for (value, expected) in [(24.0, "24"), (-0.0, "0"), (0.1, "0.1")] {
            assert_eq!(text(|out| number(out, value)), expected);
        }
        assert_eq!(text(|out| number(out, 1e300)).parse(), Ok(1e300));
        let cases = [
            (0.0, "0"),
            (-0.000_001, "0"),
            (0.065_753_424, "0.06575"),
            (-1.000_005, "-1.00001"),
            (0.000_01, "0.00001"),
            (0.5, "0.5"),
            (100.1, "100.1"),
            (9_999_999_999.999_99, "9999999999.99999"),
            (82_831_512_137.142_85, "82831512137.14285"),
            (515_396_075_520.0, "515396075520"),
        ];
        for (value, expected) in cases {
            assert_eq!(text(|out| five_decimals(out, value)), expected.replace("-0", "0"));
        }
        assert_eq!(
            text(|out| six_decimals(out, 2_422_054_771_565.714_3)),
            "2422054771565.7144"
        );
        for value in [f64::NAN, f64::INFINITY] {
            assert_eq!(text(|out| number(out, value)), "null");
            assert_eq!(text(|out| five_decimals(out, value)), "null");
        }
    }

    #[test]
    fn decimals_read_as_the_number_that_rounding_gives() {
        let mut value = 1.234_567_89e-7;
        while value < 1e16 {
            for value in [value, -value, value / 3.0] {
                let read: f64 = text(|out| five_decimals(out, value)).parse().unwrap();
                assert_eq!(Some(read), number::round_to_five_decimals(value), "{value}");
                let read: f64 = text(|out| six_decimals(out, value)).parse().unwrap();
                assert_eq!(Some(read), number::round_to_six_decimals(value), "{value}");
            }
            value *= 1.37;
        }
    }

    #[test]
    fn texts_read_as_they_were() {
        for value in [
            "",
            "plain",
            "say \"x\"\\",
            "\u{0}\u{1f}\n\r\t",
            "größe, 16 bytes and more \"x\" 🦀",
        ] {
            let read: String = serde_json::from_str(&text(|out| string(out, value))).unwrap();
            assert_eq!(read, value);
        }
        let map = [("b", "1"), ("a", "2")];
        assert_eq!(text(|out| texts(out, map.into_iter())), r#"{"a":"2","b":"1"}"#);
    }

    #[test]
    fn times() {
        let timestamp = Timestamp {
            seconds: 1_772_323_200,
            nanos: 5,
        };
        let read = instant(Some(&timestamp));
        assert_eq!(text(|out| time(out, read)), "\"2026-03-01T00:00:00Z\"");
        assert_eq!(Time::to_message(read.unwrap()), timestamp);
        let odd = "1970-12-31T23:59:07Z".parse().unwrap();
        assert_eq!(text(|out| time_content(out, odd)), "1970-12-31T23:59:07Z");
        assert_eq!(text(|out| window(out, None)), "{\"start\":null,\"end\":null}");
        let beyond = Timestamp {
            seconds: i64::MAX,
            nanos: 0,
        };
        assert!(instant(Some(&beyond)).is_none());
    }
}
