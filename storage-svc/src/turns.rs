//! Changes of one object, one after the other, and none twice out of order.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use object_store::path::Path;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// How many repeated changes are remembered: hours of them in a network that breaks every second, and ten megabytes.
const REMEMBERED: usize = 100_000;

/// Lets the changes of an object wait for one another.
///
/// A caller whose connection breaks repeats its change, and goes on when the repetition is acknowledged. The first
/// attempt must not take place after that: the object would fall back to what it was. It may be at work in the store,
/// so the repetition waits for its turn; or still be in the buffers of the broken connection, and is then refused when
/// it comes, because a later one has come before it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turns {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Objects that are being changed.
    objects: Mutex<HashMap<Path, Object>>,
    repetitions: Mutex<Repetitions>,
}

#[derive(Debug)]
struct Object {
    /// The one permit to change it.
    permits: Arc<Semaphore>,
    /// How many have the permit or wait for it.
    queue: usize,
}

/// Which attempt at which change.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    pub(crate) change: Uuid,
    pub(crate) number: u32,
}

/// A later attempt at the same change has come.
#[derive(Debug)]
pub(crate) struct Superseded;

/// The right to change an object, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    // In the order in which they are to be dropped.
    _permit: Option<OwnedSemaphorePermit>,
    _place: Place,
}

/// A place among those who want to change an object.
#[derive(Debug)]
struct Place {
    turns: Turns,
    path: Path,
}

/// The last changes that were repeated. First attempts need not be known: they are superseded by those that are.
#[derive(Debug, Default)]
struct Repetitions {
    /// The number of the last attempt that has come.
    last: HashMap<Uuid, u32>,
    /// The changes in the order in which they were first repeated.
    order: VecDeque<Uuid>,
}

impl Turns {
    /// Waits until nobody else changes the object.
    ///
    /// # Errors
    /// When a later attempt at the same change has come, before or meanwhile.
    pub(crate) async fn take(&self, path: &Path, attempt: Option<Attempt>) -> Result<Turn, Superseded> {
        if let Some(attempt) = attempt {
            self.repetitions().note(attempt);
        }
        let permits = {
            let mut objects = self.objects();
            let object = objects.entry(path.clone()).or_insert_with(|| Object {
                permits: Arc::new(Semaphore::new(1)),
                queue: 0,
            });
            object.queue += 1;
            Arc::clone(&object.permits)
        };
        let place = Place {
            turns: self.clone(),
            path: path.clone(),
        };
        // It is an error only of a semaphore that was closed, which nobody does.
        let permit = permits.acquire_owned().await.ok();
        if attempt.is_some_and(|attempt| self.repetitions().supersede(attempt)) {
            return Err(Superseded);
        }
        Ok(Turn {
            _permit: permit,
            _place: place,
        })
    }

    fn objects(&self) -> MutexGuard<'_, HashMap<Path, Object>> {
        self.shared.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn repetitions(&self) -> MutexGuard<'_, Repetitions> {
        self.shared.repetitions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut objects = self.turns.objects();
        if let Some(object) = objects.get_mut(&self.path) {
            object.queue -= 1;
            if object.queue == 0 {
                objects.remove(&self.path);
            }
        }
    }
}

impl Repetitions {
    fn note(&mut self, Attempt { change, number }: Attempt) {
        if number == 0 {
            return;
        }
        match self.last.entry(change) {
            Entry::Occupied(mut last) => {
                let last = last.get_mut();
                *last = number.max(*last);
            }
            Entry::Vacant(vacant) => {
                vacant.insert(number);
                self.order.push_back(change);
            }
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.last.remove(&oldest);
        }
    }

    fn supersede(&self, Attempt { change, number }: Attempt) -> bool {
        self.last.get(&change).is_some_and(|last| *last > number)
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, sync::Barrier, thread};

    use futures::{FutureExt, poll};

    use super::*;

    #[tokio::test]
    async fn one_object_is_changed_by_one_at_a_time() {
        let turns = Turns::default();
        let (one, other) = (Path::from("one"), Path::from("other"));
        let first = turns.take(&one, None).await.unwrap();
        let mut second = pin!(turns.take(&one, None));
        assert!(poll!(&mut second).is_pending());
        // Somebody who gives up waiting stands in nobody's way.
        {
            let third = pin!(turns.take(&one, None));
            assert!(poll!(third).is_pending());
        }
        let another = turns.take(&other, None).await.unwrap();
        drop(first);
        let second = second.await.unwrap();
        drop((second, another));
        assert!(turns.objects().is_empty());
        turns.take(&one, None).await.unwrap();
    }

    #[tokio::test]
    async fn an_attempt_is_refused_once_a_later_one_has_come() {
        let turns = Turns::default();
        let path = Path::from("a");
        let change = Uuid::new_v4();
        let take = |number| turns.take(&path, Some(Attempt { change, number }));
        // The first waits for somebody else, the second comes and is done, the first comes once more.
        let somebody = turns.take(&path, None).await.unwrap();
        let mut first = pin!(take(0));
        assert!(poll!(&mut first).is_pending());
        let mut second = pin!(take(1));
        assert!(poll!(&mut second).is_pending());
        drop(somebody);
        first.await.unwrap_err();
        drop(second.await.unwrap());
        take(0).await.unwrap_err();
        take(1).await.unwrap();
        take(2).await.unwrap();
        take(1).await.unwrap_err();
        assert!(turns.objects().is_empty());
        let another = Attempt {
            change: Uuid::new_v4(),
            number: 0,
        };
        turns.take(&path, Some(another)).await.unwrap();
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut repetitions = Repetitions::default();
        let first = Uuid::new_v4();
        repetitions.note(Attempt {
            change: first,
            number: 1,
        });
        for number in 0..2 * REMEMBERED {
            // First attempts are nothing to remember.
            let number = u32::from(number >= REMEMBERED);
            repetitions.note(Attempt {
                change: Uuid::new_v4(),
                number,
            });
        }
        assert_eq!(
            (repetitions.last.len(), repetitions.order.len()),
            (REMEMBERED, REMEMBERED)
        );
        assert!(!repetitions.last.contains_key(&first));
    }

    #[test]
    fn those_who_give_up_at_the_same_moment_leave_nothing() {
        let path = Path::from("a");
        for _ in 0..2_000 {
            let turns = Turns::default();
            let holder = turns.take(&path, None).now_or_never().unwrap().unwrap();
            let at_once = Barrier::new(3);
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        let waiting = pin!(turns.take(&path, None));
                        assert!(waiting.now_or_never().is_none());
                        at_once.wait();
                    });
                }
                at_once.wait();
                drop(holder);
            });
            assert!(turns.objects().is_empty());
        }
    }
}
