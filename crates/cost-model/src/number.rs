//! Numbers as answers write them.

/// Rounded to five decimals, as allocations are; halves go away from zero. None for what JSON cannot write (not a
/// number, infinite).
pub fn round_to_five_decimals(value: f64) -> Option<f64> {
    round(value, 1e5)
}

/// Rounded to six decimals, as assets are; otherwise like [`round_to_five_decimals`].
pub fn round_to_six_decimals(value: f64) -> Option<f64> {
    round(value, 1e6)
}

fn round(value: f64, units: f64) -> Option<f64> {
    let scaled = value * units;
    // From here on an f64 has no halves left to round away, and scaling would only lose digits.
    let rounded = if scaled.abs() < 2_f64.powi(52) {
        scaled.round() / units
    } else {
        value
    };
    // No sign on a zero: readers would show it.
    rounded.is_finite().then_some(rounded + 0.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rounds_halves_away_from_zero_and_refuses_what_is_no_number() {
        let cases = [
            (0.0, 0.0),
            (1.234_564, 1.234_56),
            (0.000_015, 0.000_02),
            (-0.000_015, -0.000_02),
            (515_396_075_520.0, 515_396_075_520.0),
            (f64::MAX, f64::MAX),
        ];
        for (value, expected) in cases {
            assert_eq!(round_to_five_decimals(value), Some(expected), "{value}");
        }
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(round_to_five_decimals(value), None, "{value}");
        }
        assert!(round_to_five_decimals(-0.000_001).unwrap().is_sign_positive());
        assert_eq!(round_to_six_decimals(0.000_000_5), Some(0.000_001));
    }

    proptest! {
        #[test]
        fn stays_close(value in -1e12..1e12_f64) {
            let rounded = round_to_five_decimals(value).unwrap();
            prop_assert!((rounded - value).abs() <= 0.500_001e-5 + value.abs() * 1e-15);
        }
    }
}
