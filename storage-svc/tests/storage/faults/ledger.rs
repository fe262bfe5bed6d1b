//! What the writers have done, and what they found.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use object_store::Error;
use tonic::{Code, Status};

use super::{
    model::{Act, Event, NEVER, Outcome, Value, check_chain, check_created, check_object},
    script::Tally,
};

/// What failed, as far as a caller has to tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    NotFound,
    AlreadyExists,
    Precondition,
    /// Any other of the documented codes.
    Other(Code),
}

/// The codes of errors that faults may lead to, beside those that are variants of the library.
const CODES: [Code; 4] = [
    Code::Unavailable,
    Code::DeadlineExceeded,
    Code::Aborted,
    Code::ResourceExhausted,
];

#[derive(Debug, Default)]
pub(super) struct Ledger {
    clock: AtomicU64,
    books: Mutex<Books>,
    pub(super) failures: Tally<String>,
}

#[derive(Debug, Default)]
struct Books {
    /// Objects that are written, read and deleted at will.
    objects: BTreeMap<String, Vec<Event>>,
    /// Objects that are only created.
    created: BTreeMap<String, Vec<(Value, Outcome)>>,
    /// Objects that only grow.
    chains: BTreeMap<String, Chain>,
    /// Values that copies may show.
    sources: Vec<Value>,
    violations: Vec<String>,
}

#[derive(Debug, Default)]
struct Chain {
    /// Lines that were to be added.
    attempts: Vec<(String, Outcome)>,
    /// What was read.
    reads: Vec<String>,
}

impl Ledger {
    /// The next moment.
    pub(super) fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    fn books<T>(&self, change: impl FnOnce(&mut Books) -> T) -> T {
        change(&mut self.books.lock().unwrap())
    }

    pub(super) fn violation(&self, text: String) {
        self.books(|books| books.violations.push(text));
    }

    /// Notes what was done to an object, or found. `ended` is [`NEVER`] for what may yet take place.
    pub(super) fn note(&self, path: &str, begun: u64, ended: u64, act: Act) {
        let event = Event { begun, ended, act };
        self.books(|books| books.objects.entry(path.to_owned()).or_default().push(event));
    }

    /// Notes a write that begins, as it may be read before it ends. The result is for [`end`](Self::end).
    pub(super) fn begin(&self, path: &str, act: Act) -> usize {
        let begun = self.now();
        self.note(path, begun, NEVER, act);
        self.books(|books| {
            books.objects[path]
                .iter()
                .rposition(|event| event.begun == begun)
                .unwrap()
        })
    }

    /// Notes that the write was acknowledged.
    pub(super) fn end(&self, path: &str, begun: usize) {
        let now = self.now();
        self.books(|books| books.objects.get_mut(path).unwrap()[begun].ended = now);
    }

    pub(super) fn note_creation(&self, path: &str, value: Value, outcome: Outcome) {
        self.books(|books| books.created.entry(path.to_owned()).or_default().push((value, outcome)));
    }

    pub(super) fn note_line(&self, path: &str, line: String, outcome: Outcome) {
        self.books(|books| {
            books
                .chains
                .entry(path.to_owned())
                .or_default()
                .attempts
                .push((line, outcome))
        });
    }

    pub(super) fn note_chain(&self, path: &str, read: String) {
        self.books(|books| books.chains.entry(path.to_owned()).or_default().reads.push(read));
    }

    pub(super) fn note_source(&self, value: Value) {
        self.books(|books| books.sources.push(value));
    }

    /// Objects that are there for certain: those whose creation was acknowledged.
    pub(super) fn certain(&self) -> Vec<(String, usize)> {
        self.books(|books| {
            let done = books.created.iter().filter_map(|(path, attempts)| {
                let (value, _) = attempts.iter().find(|(_, outcome)| *outcome == Outcome::Done)?;
                Some((path.clone(), value.size))
            });
            done.collect()
        })
    }

    /// Whether anybody has begun to write so many bytes to this object.
    pub(super) fn knows(&self, path: &str, size: usize) -> bool {
        self.books(|books| {
            let mut events = books.objects.get(path).into_iter().flatten();
            events.any(|event| matches!(event.act, Act::Write(value) if value.size == size))
        })
    }

    /// Sorts an error; one that is not typed, or not of those that may come here, is a violation.
    pub(super) fn sort(&self, what: &str, error: &Error) -> Failure {
        let failure = match error {
            Error::NotFound { .. } => Some(Failure::NotFound),
            Error::AlreadyExists { .. } => Some(Failure::AlreadyExists),
            Error::Precondition { .. } => Some(Failure::Precondition),
            Error::Generic { source, .. } => status_in(source.as_ref())
                .filter(|status| CODES.contains(&status.code()))
                .map(|status| Failure::Other(status.code())),
            _ => None,
        };
        self.failures.count(format!("{what}: {failure:?}"));
        failure.unwrap_or_else(|| {
            self.violation(format!("{what}: an error without a type: {error:?}"));
            Failure::Other(Code::Unknown)
        })
    }

    /// Everything that does not hold, given what the bucket holds in the end.
    pub(super) fn violations(&self, contents: &BTreeMap<String, Bytes>) -> Vec<String> {
        let now = self.now();
        let read = |bytes: &Bytes| Value::of(bytes, 0);
        self.books(|books| {
            let mut violations = books.violations.clone();
            let mut require = |path: &str, held: Result<(), String>| {
                violations.extend(held.err().map(|violation| format!("{path}: {violation}")));
            };
            for (path, bytes) in contents {
                let known = books.objects.contains_key(path)
                    || books.created.contains_key(path)
                    || books.chains.contains_key(path)
                    || path.starts_with("copies/");
                let known = known
                    .then_some(())
                    .ok_or_else(|| "nobody has made this object".to_owned());
                require(path, known);
                if !books.chains.contains_key(path) {
                    require(path, read(bytes).map(|_| ()));
                }
            }
            let found = |path: &str| contents.get(path).and_then(|bytes| read(bytes).ok());
            for (path, events) in &books.objects {
                let mut events = events.clone();
                let act = Act::Read(found(path));
                events.push(Event {
                    begun: now,
                    ended: now + 1,
                    act,
                });
                require(path, check_object(&events));
            }
            for (path, attempts) in &books.created {
                require(path, check_created(attempts, found(path)));
            }
            for (path, Chain { attempts, reads }) in &books.chains {
                let bytes = contents.get(path).cloned().unwrap_or_default();
                require(path, check_chain(attempts, reads, &String::from_utf8_lossy(&bytes)));
            }
            for (path, _) in contents.iter().filter(|(path, _)| path.starts_with("copies/")) {
                let known = found(path).is_some_and(|value| books.sources.contains(&value));
                let known = known.then_some(()).ok_or_else(|| "a copy of nothing".to_owned());
                require(path, known);
            }
            violations
        })
    }
}

/// The gateway's answer, or what the connection came to.
fn status_in<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Status> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(status) = error.downcast_ref() {
            return Some(status);
        }
        next = error.source();
    }
    None
}
