//! Changes of one object, one after the other, and each once.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use object_store::path::Path;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// How many changes are remembered. Callers repeat one within seconds; at a thousand changes a second these are fifty. Ten
/// megabytes.
const REMEMBERED: usize = 50_000;

/// Lets the changes of an object wait for one another.
///
/// A caller whose connection breaks repeats its change, and goes on when the repetition is acknowledged. The first
/// attempt must not take place after that: the object would fall back to what it was. It may be at work in the store,
/// so the repetition waits for its turn; or still be in the buffers of the broken connection, and is then refused when
/// it comes, because a later one has come before it. Nor must the repetition take place when the first attempt has, as
/// others may have changed the object meanwhile: it is answered as the first was.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turns {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Objects that are being changed.
    objects: Mutex<HashMap<Path, Object>>,
    changes: Mutex<Changes>,
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

/// What an object is after a change, as far as the store says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) e_tag: Option<String>,
    pub(crate) version: Option<String>,
}

/// What an attempt has to do when its turn has come.
#[derive(Debug)]
pub(crate) enum Taken {
    /// The change.
    Turn(Turn),
    /// Nothing: an earlier attempt at the same change has taken place.
    Done(Outcome),
}

/// The right to change an object, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    change: Option<Uuid>,
    // In the order in which they are to be dropped.
    _permit: Option<OwnedSemaphorePermit>,
    place: Place,
}

impl Turn {
    /// Ends the turn of a change that has taken place.
    pub(crate) fn end(self, outcome: &Outcome) {
        if let Some(change) = self.change {
            self.place.turns.changes().of(change).outcome = Some(outcome.clone());
        }
    }
}

/// A place among those who want to change an object.
#[derive(Debug)]
struct Place {
    turns: Turns,
    path: Path,
}

/// The last changes that were repeated or have taken place.
#[derive(Debug, Default)]
struct Changes {
    known: HashMap<Uuid, Change>,
    /// In the order in which they became known.
    order: VecDeque<Uuid>,
}

#[derive(Debug, Default)]
struct Change {
    /// The number of the last attempt that has come.
    last: u32,
    /// Once it has taken place.
    outcome: Option<Outcome>,
}

impl Turns {
    /// Waits until nobody else changes the object.
    ///
    /// # Errors
    /// When a later attempt at the same change has come, before or meanwhile.
    pub(crate) async fn take(&self, path: &Path, attempt: Option<Attempt>) -> Result<Taken, Superseded> {
        if let Some(attempt) = attempt {
            self.changes().note(attempt);
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
        if let Some(outcome) = attempt.map_or(Ok(None), |attempt| self.changes().before(attempt))? {
            return Ok(Taken::Done(outcome));
        }
        Ok(Taken::Turn(Turn {
            change: attempt.map(|attempt| attempt.change),
            _permit: permit,
            place,
        }))
    }

    fn objects(&self) -> MutexGuard<'_, HashMap<Path, Object>> {
        self.shared.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.shared.changes.lock().unwrap_or_else(PoisonError::into_inner)
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

impl Changes {
    /// The change, known from now on.
    fn of(&mut self, change: Uuid) -> &mut Change {
        if !self.known.contains_key(&change) {
            self.order.push_back(change);
            if self.order.len() > REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
        }
        self.known.entry(change).or_default()
    }

    /// Notes that an attempt has come. First ones need not be known: they are superseded by those that are.
    fn note(&mut self, Attempt { change, number }: Attempt) {
        if number > 0 {
            let known = self.of(change);
            known.last = number.max(known.last);
        }
    }

    /// What came of the attempts before this one, if any took place.
    fn before(&self, Attempt { change, number }: Attempt) -> Result<Option<Outcome>, Superseded> {
        match self.known.get(&change) {
            Some(known) if known.last > number => Err(Superseded),
            Some(known) if number > 0 => Ok(known.outcome.clone()),
            // A first attempt has none before it.
            _ => Ok(None),
        }
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

    #[tokio::test]
    async fn what_has_taken_place_is_told_to_its_repetitions() {
        let turns = Turns::default();
        let path = Path::from("a");
        let (change, other) = (Uuid::new_v4(), Uuid::new_v4());
        let take = |change, number| turns.take(&path, Some(Attempt { change, number }));
        let outcome = Outcome {
            e_tag: Some("tag".to_owned()),
            version: None,
        };
        let first = async |change| match take(change, 0).await {
            Ok(Taken::Turn(turn)) => turn,
            taken => panic!("{taken:?}"),
        };
        // A caller that numbers nothing, and names all its changes alike, loses none.
        for _ in 0..2 {
            first(other).await.end(&outcome);
        }
        let first = first(change).await;
        let mut second = pin!(take(change, 1));
        assert!(poll!(&mut second).is_pending());
        first.end(&outcome);
        for taken in [second.await, take(change, 2).await] {
            assert!(matches!(taken, Ok(Taken::Done(told)) if told == outcome));
        }
        // One that failed is tried again.
        let failed = Uuid::new_v4();
        drop(take(failed, 0).await.unwrap());
        assert!(matches!(take(failed, 1).await, Ok(Taken::Turn(_))));
        assert!(turns.objects().is_empty());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut changes = Changes::default();
        let first = Uuid::new_v4();
        changes.note(Attempt {
            change: first,
            number: 1,
        });
        for number in 0..2 * REMEMBERED {
            // First attempts are nothing to remember.
            let number = u32::from(number >= REMEMBERED);
            changes.note(Attempt {
                change: Uuid::new_v4(),
                number,
            });
        }
        assert_eq!((changes.known.len(), changes.order.len()), (REMEMBERED, REMEMBERED));
        assert!(!changes.known.contains_key(&first));
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
