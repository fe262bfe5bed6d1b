//! Changes of one object, one after the other.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use object_store::path::Path;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Lets the changes of an object wait for one another.
///
/// A change goes on when its caller's connection has broken, and the caller then repeats it. Without turns the first
/// attempt could end after the second, and after whatever the caller, sure of the second, has let others do since: the
/// object would fall back to what it was.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turns {
    /// Objects that are being changed, each with the one permit to do so.
    objects: Arc<Mutex<HashMap<Path, Arc<Semaphore>>>>,
}

/// The right to change an object, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
    _queue: Queue,
}

/// A place among those who want to change an object.
#[derive(Debug)]
struct Queue {
    turns: Turns,
    path: Path,
    permits: Arc<Semaphore>,
}

impl Turns {
    /// Waits until nobody else changes the object.
    pub(crate) async fn take(&self, path: &Path) -> Turn {
        let permits = {
            let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
            let permits = objects
                .entry(path.clone())
                .or_insert_with(|| Arc::new(Semaphore::new(1)));
            Arc::clone(permits)
        };
        let queue = Queue {
            turns: self.clone(),
            path: path.clone(),
            permits,
        };
        // It is an error only of a semaphore that was closed, which nobody does.
        let permit = Arc::clone(&queue.permits).acquire_owned().await.ok();
        Turn {
            _permit: permit,
            _queue: queue,
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let mut objects = self.turns.objects.lock().unwrap_or_else(PoisonError::into_inner);
        // One is the map's and one is ours. The permit was given back before, and new ones come only by the map.
        if Arc::strong_count(&self.permits) == 2 {
            objects.remove(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::poll;

    use super::*;

    #[tokio::test]
    async fn one_object_is_changed_by_one_at_a_time() {
        let turns = Turns::default();
        let (one, other) = (Path::from("one"), Path::from("other"));
        let first = turns.take(&one).await;
        let mut second = pin!(turns.take(&one));
        assert!(poll!(&mut second).is_pending());
        // Somebody who gives up waiting stands in nobody's way.
        {
            let third = pin!(turns.take(&one));
            assert!(poll!(third).is_pending());
        }
        let another = turns.take(&other).await;
        drop(first);
        let second = second.await;
        drop((second, another));
        assert!(turns.objects.lock().unwrap().is_empty());
        turns.take(&one).await;
    }
}
