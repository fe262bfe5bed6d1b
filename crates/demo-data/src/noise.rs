//! Numbers that look random and are the same for the same names, in whatever order they are asked for.

/// Letters and digits of the suffixes that Kubernetes gives to pods: none that could spell a word.
const SUFFIX_ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// A point in a tree of names, each with its own number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// The point below this one with the given number.
    pub(crate) fn at(self, number: u64) -> Self {
        Self(mix(self.0 ^ mix(number.wrapping_add(0x9e37_79b9_7f4a_7c15))))
    }

    /// The point below this one for a purpose of its own.
    #[inline]
    pub(crate) fn of(self, purpose: &str) -> Self {
        // FNV-1a, which the compiler folds for purposes known in advance.
        let hash = purpose.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(mix(self.0 ^ hash))
    }

    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    /// From 0 up to but not including 1.
    pub(crate) fn unit(self) -> f64 {
        const UNITS: f64 = (1_u64 << 53) as f64;
        (self.0 >> 11) as f64 / UNITS
    }

    pub(crate) fn between(self, low: f64, high: f64) -> f64 {
        low + self.unit() * (high - low)
    }

    /// From 0 up to but not including `count`, which must not be 0.
    pub(crate) fn below(self, count: usize) -> usize {
        (self.0 % count as u64) as usize
    }

    pub(crate) fn chance(self, probability: f64) -> bool {
        self.unit() < probability
    }

    pub(crate) fn pick<T>(self, choices: &[T]) -> &T {
        &choices[self.below(choices.len())]
    }

    /// A suffix of `length` characters, as of pods and replica sets; at most 13 differ.
    pub(crate) fn push_suffix(self, length: usize, text: &mut String) {
        let mut bits = self.0;
        for _ in 0..length {
            let letter = SUFFIX_ALPHABET[(bits % SUFFIX_ALPHABET.len() as u64) as usize];
            text.push(char::from(letter));
            bits /= SUFFIX_ALPHABET.len() as u64;
        }
    }

    pub(crate) fn suffix(self, length: usize) -> String {
        let mut text = String::with_capacity(length);
        self.push_suffix(length, &mut text);
        text
    }
}

/// The finaliser of SplitMix64.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_names_give_the_same_numbers() {
        let noise = Noise::new(7).of("node").at(3);
        assert_eq!(noise.bits(), Noise::new(7).of("node").at(3).bits());
        assert_ne!(noise.bits(), Noise::new(7).of("node").at(4).bits());
        assert_ne!(noise.bits(), Noise::new(8).of("node").at(3).bits());
    }

    #[test]
    fn numbers_are_spread_evenly() {
        let numbers = 10_000;
        let mean = (0..numbers).map(|number| Noise::new(1).at(number).unit()).sum::<f64>() / numbers as f64;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
    }

    #[test]
    fn suffixes_look_like_those_of_pods() {
        let suffix = Noise::new(1).suffix(5);
        assert_eq!(suffix.len(), 5);
        assert!(suffix.bytes().all(|byte| SUFFIX_ALPHABET.contains(&byte)));
    }
}
