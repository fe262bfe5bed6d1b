//! What must hold of a bucket, whatever failed on the way.
//!
//! Every write has content of its own, so that whatever is read tells which write it is from. An operation took place
//! at some moment between its begin and its end; one that failed without saying what became of it has no end.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;

/// Bytes of one block of content: writer, operation, size and the block's number.
const BLOCK: usize = 64;

/// The least size at which any [`RANGE`](Value::RANGE) bytes contain a whole block.
pub(super) const LEAST_SIZE: usize = 256;

/// An operation that never ended, as far as its caller knows.
pub(super) const NEVER: u64 = u64::MAX;

/// The content of one write: its size, and who wrote it in which operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Value {
    pub(super) writer: usize,
    pub(super) operation: usize,
    pub(super) size: usize,
}

impl Value {
    /// Bytes of any range that tell the value.
    pub(super) const RANGE: usize = 2 * BLOCK;

    /// The bytes. Each block carries its number, so that none can take the place of another.
    pub(super) fn content(self) -> Bytes {
        let Self {
            writer,
            operation,
            size,
        } = self;
        let head = format!("{writer:02}:{operation:05}:{size:07}:");
        let head = format!("{head:-<width$}", width = BLOCK - size_of::<u32>());
        let mut content = Vec::with_capacity(size + BLOCK);
        for number in 0..size.div_ceil(BLOCK) as u32 {
            content.extend_from_slice(head.as_bytes());
            content.extend_from_slice(&number.to_be_bytes());
        }
        content.truncate(size);
        content.into()
    }

    /// The value that this is the content of, from `offset` on.
    ///
    /// # Errors
    /// When it is no value's.
    pub(super) fn of(bytes: &[u8], offset: usize) -> Result<Self, String> {
        let skipped = offset.next_multiple_of(BLOCK) - offset;
        let read = || {
            let head = bytes.get(skipped..skipped + BLOCK - size_of::<u32>())?;
            let mut numbers = std::str::from_utf8(head).ok()?.split(':').map(str::parse);
            let mut next = || numbers.next()?.ok();
            Some(Self {
                writer: next()?,
                operation: next()?,
                size: next()?,
            })
        };
        let value = read().ok_or_else(|| format!("{} bytes of nobody", bytes.len()))?;
        let whole = value.content();
        if whole.get(offset..offset + bytes.len()) == Some(bytes) {
            Ok(value)
        } else {
            Err(format!("{} bytes at {offset} that are not quite {value}", bytes.len()))
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "writer {} operation {}", self.writer, self.operation)
    }
}

/// What an operation did to an object, or found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Write(Value),
    Delete,
    /// None: there was no object.
    Read(Option<Value>),
}

/// One operation on one object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    pub(super) begun: u64,
    /// [`NEVER`] for a write that may or may not have taken place, or may still do so.
    pub(super) ended: u64,
    pub(super) act: Act,
}

/// From the end of a write to the last moment at which its value was seen, all through which the object held it. When
/// there is no such time, the time of the write.
#[derive(Debug, Clone, Copy)]
struct Zone {
    from: u64,
    to: u64,
    certain: bool,
}

/// Checks that no acknowledged write is lost, and that none comes back after it was replaced. The object is absent
/// before the first.
///
/// This is the test of Gibbons and Korach (Testing Shared Memories, 1997) for a register whose writes all differ, with
/// two changes: absence does not tell which deletion it is from, and a write may take place several times, though none
/// after its end. For an unconditional write that fails without telling whether it took place is repeated, and meanwhile
/// others may have written.
pub(super) fn check_object(events: &[Event]) -> Result<(), String> {
    let mut zones: BTreeMap<Value, Zone> = BTreeMap::new();
    for value in events.iter().filter_map(|event| match event.act {
        Act::Write(value) => Some(value),
        Act::Delete | Act::Read(_) => None,
    }) {
        let belongs = |event: &&Event| matches!(event.act, Act::Write(of) | Act::Read(Some(of)) if of == value);
        let of_value = || events.iter().filter(belongs);
        let write = of_value().find(|event| event.act == Act::Write(value));
        let first_end = write.map_or(NEVER, |write| write.ended);
        let last_begin = of_value().map(|event| event.begun).max().unwrap_or(0);
        zones.insert(
            value,
            Zone {
                from: first_end.min(last_begin),
                to: first_end.max(last_begin),
                certain: first_end < last_begin,
            },
        );
    }
    for event in events {
        let Act::Read(Some(value)) = event.act else { continue };
        let write = events.iter().find(|other| other.act == Act::Write(value));
        match write {
            None => return Err(format!("{value} is read, and nobody has written it here")),
            Some(write) if write.begun > event.ended => return Err(format!("{value} is read before it is written")),
            Some(_) => {}
        }
    }
    for (value, zone) in zones.iter().filter(|(_, zone)| zone.certain) {
        let inside = |from: u64, to: u64| zone.from < from && to < zone.to;
        for (other, its) in zones.iter().filter(|(other, _)| *other != value) {
            let conflict = if its.certain {
                zone.from < its.to && its.from < zone.to
            } else {
                inside(its.from, its.to)
            };
            if conflict {
                return Err(format!(
                    "{value} and {other} were there at the same time: {zone:?}, {its:?}"
                ));
            }
        }
        for event in events {
            let absent = matches!(event.act, Act::Delete | Act::Read(None));
            if absent && inside(event.begun, event.ended) {
                return Err(format!("{value} was there at {zone:?}, in spite of {event:?}"));
            }
        }
    }
    absences_have_reasons(events)
}

/// An object that is not there was never written, or deleted since.
fn absences_have_reasons(events: &[Event]) -> Result<(), String> {
    let reasons: Vec<(u64, u64)> = [(0, 0)]
        .into_iter()
        .chain(
            events
                .iter()
                .filter(|event| event.act == Act::Delete)
                .map(|event| (event.begun, event.ended)),
        )
        .collect();
    for read in events.iter().filter(|event| event.act == Act::Read(None)) {
        let explained = reasons.iter().any(|(begun, ended)| {
            let replaced = events
                .iter()
                .any(|write| matches!(write.act, Act::Write(_)) && *ended < write.begun && write.ended < read.begun);
            *begun < read.ended && !replaced
        });
        if !explained {
            return Err(format!("what was written is gone at {read:?}"));
        }
    }
    Ok(())
}

/// What became of a conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was acknowledged.
    Done,
    /// Another was there first.
    Refused,
    /// It failed without saying whether it took place.
    Unknown,
}

/// Checks an object that is only ever created: one creator wins, and no other.
pub(super) fn check_created(attempts: &[(Value, Outcome)], found: Option<Value>) -> Result<(), String> {
    let with = |outcome: Outcome| {
        attempts
            .iter()
            .filter(move |attempt| attempt.1 == outcome)
            .map(|attempt| attempt.0)
    };
    let winners: Vec<_> = with(Outcome::Done).collect();
    match (winners.as_slice(), found) {
        ([], None) if with(Outcome::Refused).next().is_none() => Ok(()),
        ([], Some(found)) if with(Outcome::Unknown).any(|unknown| unknown == found) => Ok(()),
        ([winner], Some(found)) if *winner == found => Ok(()),
        _ => Err(format!("{found:?} is there after {attempts:?}")),
    }
}

/// Checks an object that is only ever replaced by itself and one line more, under the condition that nobody else has
/// done so meanwhile: acknowledged lines are there once, refused ones are not, and nothing is there twice.
pub(super) fn check_chain(attempts: &[(String, Outcome)], reads: &[String], found: &str) -> Result<(), String> {
    for (line, outcome) in attempts {
        let times = found.lines().filter(|present| present == line).count();
        let allowed = match outcome {
            Outcome::Done => 1..=1,
            Outcome::Refused => 0..=0,
            Outcome::Unknown => 0..=1,
        };
        if !allowed.contains(&times) {
            return Err(format!("{line}, which was {outcome:?}, is there {times} times"));
        }
    }
    for read in reads {
        if !found.starts_with(read.as_str()) {
            return Err(format!("{read:?} was read, which is no beginning of {found:?}"));
        }
    }
    Ok(())
}

mod tests {
    use super::*;

    fn value(operation: usize) -> Value {
        Value {
            writer: 1,
            operation,
            size: LEAST_SIZE,
        }
    }

    fn history(acts: &[(u64, u64, Act)]) -> Result<(), String> {
        let events = acts.iter().map(|&(begun, ended, act)| Event { begun, ended, act });
        check_object(&events.collect::<Vec<_>>())
    }

    #[test]
    fn content_tells_its_value_from_any_place() {
        let value = Value { size: 500, ..value(7) };
        let mut content = value.content().to_vec();
        assert_eq!(content.len(), 500);
        for offset in 0..content.len() - Value::RANGE {
            assert_eq!(Value::of(&content[offset..offset + Value::RANGE], offset), Ok(value));
            assert!(Value::of(&content[offset..offset + Value::RANGE], offset + BLOCK).is_err());
        }
        assert!(Value::of(&content[..400], 0).is_ok());
        content[100] ^= 1;
        assert!(Value::of(&content, 0).is_err());
    }

    #[test]
    fn histories_that_can_be_put_in_order_pass() {
        let (one, two) = (Act::Write(value(1)), Act::Write(value(2)));
        let (read_one, read_two) = (Act::Read(Some(value(1))), Act::Read(Some(value(2))));
        history(&[
            (1, 2, one),
            (3, 4, read_one),
            (5, 6, Act::Delete),
            (7, 8, Act::Read(None)),
        ])
        .unwrap();
        // Both at the same time, seen in either order.
        history(&[(1, 4, one), (2, 5, two), (6, 7, read_one)]).unwrap();
        history(&[(1, 4, one), (2, 5, two), (6, 7, read_two)]).unwrap();
        // It is repeated while it is under way.
        history(&[
            (1, 9, one),
            (2, 3, read_one),
            (4, 5, two),
            (6, 7, read_two),
            (10, 11, read_one),
        ])
        .unwrap();
        // One that failed may take place late, or never.
        history(&[(1, NEVER, one), (2, 3, two), (4, 5, read_two), (6, 7, read_one)]).unwrap();
        history(&[(1, NEVER, one), (2, 3, Act::Read(None))]).unwrap();
    }

    #[test]
    fn losses_and_repetitions_are_found() {
        let (one, two) = (Act::Write(value(1)), Act::Write(value(2)));
        let (read_one, read_two) = (Act::Read(Some(value(1))), Act::Read(Some(value(2))));
        for broken in [
            [(1, 2, one), (3, 4, Act::Read(None))].as_slice(),
            &[(1, 2, one), (3, 4, two), (5, 6, read_one)],
            &[(1, 3, one), (2, 4, read_one), (5, 6, two), (7, 8, read_one)],
            &[(1, 2, one), (3, 4, Act::Delete), (5, 6, read_one)],
            &[(1, 2, one), (4, 5, Act::Read(None)), (6, 7, read_one)],
            &[
                (1, 9, one),
                (2, 9, two),
                (10, 11, read_one),
                (12, 13, read_two),
                (14, 15, read_one),
            ],
            &[(1, 2, read_one), (3, 4, one)],
            &[(1, 2, read_two)],
        ] {
            assert!(history(broken).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn one_creator_wins() {
        let attempt = |operation, outcome| (value(operation), outcome);
        let (done, refused, unknown) = (Outcome::Done, Outcome::Refused, Outcome::Unknown);
        check_created(&[attempt(1, done), attempt(2, refused)], Some(value(1))).unwrap();
        check_created(&[attempt(1, unknown), attempt(2, refused)], Some(value(1))).unwrap();
        check_created(&[attempt(1, unknown)], None).unwrap();
        for (attempts, found) in [
            ([attempt(1, done), attempt(2, done)], Some(1)),
            ([attempt(1, done), attempt(2, unknown)], Some(2)),
            ([attempt(1, done), attempt(2, refused)], None),
            ([attempt(1, refused), attempt(2, unknown)], None),
            ([attempt(1, refused), attempt(2, unknown)], Some(1)),
        ] {
            assert!(check_created(&attempts, found.map(value)).is_err(), "{attempts:?}");
        }
    }

    #[test]
    fn a_chain_grows_by_each_line_once() {
        let attempts = [
            ("a".to_owned(), Outcome::Done),
            ("b".to_owned(), Outcome::Refused),
            ("c".to_owned(), Outcome::Unknown),
        ];
        check_chain(&attempts, &["a\n".to_owned()], "a\nc\n").unwrap();
        check_chain(&attempts, &[], "a\n").unwrap();
        for found in ["", "a\na\n", "a\nb\n", "a\nc\nc\n"] {
            assert!(check_chain(&attempts, &[], found).is_err(), "{found}");
        }
        assert!(check_chain(&attempts, &["c\n".to_owned()], "a\nc\n").is_err());
    }
}
