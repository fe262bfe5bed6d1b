//! Seeded scripts: what is to go wrong, and what is asked for.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a script is for. Each has a sequence of its own, so that a change of one leaves the others as they are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    Request = 1,
    Upstream = 2,
    Downstream = 3,
    Writer = 4,
}

/// The script of the `number`th of a kind: the same whenever and wherever it is asked for.
pub(super) fn script(seed: u64, purpose: Purpose, number: u64) -> ChaCha8Rng {
    let mut script = ChaCha8Rng::seed_from_u64(seed);
    script.set_stream(((purpose as u64) << 48) | number);
    script
}

/// How often each fault was met, to show that a test has tested something.
#[derive(Debug)]
pub(super) struct Tally<K>(Arc<Mutex<BTreeMap<K, usize>>>);

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K> Clone for Tally<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Ord + Clone> Tally<K> {
    pub(super) fn count(&self, kind: K) {
        *self.0.lock().unwrap().entry(kind).or_default() += 1;
    }

    pub(super) fn counts(&self) -> BTreeMap<K, usize> {
        self.0.lock().unwrap().clone()
    }
}
