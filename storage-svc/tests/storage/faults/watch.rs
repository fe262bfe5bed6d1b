//! What the callers and gateways of this process are at work on, for an operation that does not end.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    layer::{Context, SubscriberExt},
    registry::LookupSpan,
    util::SubscriberInitExt,
};

/// Open spans: since when, and what they say. tracing has one subscriber for the process.
static OPEN: Mutex<BTreeMap<u64, (Instant, String)>> = Mutex::new(BTreeMap::new());

/// What was told of operations with an attempt whose answer was lost.
static LOST: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn open<T>(change: impl FnOnce(&mut BTreeMap<u64, (Instant, String)>) -> T) -> T {
    change(&mut OPEN.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Begins to watch; a second time it does nothing.
pub(super) fn begin() {
    // A caller's repetitions are said at the level of debugging.
    let levels = Targets::new()
        .with_default(Level::INFO)
        .with_target("object_gateway", Level::DEBUG);
    let watched = tracing_subscriber::registry().with(Watch.with_filter(levels));
    let _before = watched.try_init();
}

/// What has been under way for so long.
pub(super) fn longer_than(age: Duration) -> String {
    open(|open| {
        let old = open.values().filter(|(since, _)| since.elapsed() > age);
        old.fold(String::new(), |mut text, (since, what)| {
            // Writing to a text does not fail.
            let _written = write!(text, "\n  for {:?}: {what}", since.elapsed());
            text
        })
    })
}

/// Operations that went on only because an attempt was given up, with all that they tried.
pub(super) fn lost_answers() -> String {
    let lost = LOST.lock().unwrap_or_else(PoisonError::into_inner);
    lost.join("\n")
}

struct Watch;

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _written = write!(self.0, " {field}={value:?}");
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Watch {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        let mut what = attributes.metadata().name().to_owned();
        attributes.record(&mut Fields(&mut what));
        open(|open| open.insert(id.into_u64(), (Instant::now(), what)));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        open(|open| {
            if let Some((_, what)) = open.get_mut(&id.into_u64()) {
                values.record(&mut Fields(what));
            }
        });
    }

    /// What is said within a span is told with it.
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(span) = context.event_span(event) else { return };
        open(|open| {
            if let Some((since, what)) = open.get_mut(&span.id().into_u64()) {
                let _written = write!(what, "\n    after {:?}:", since.elapsed());
                event.record(&mut Fields(what));
            }
        });
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        let closed = open(|open| open.remove(&id.into_u64()));
        if let Some((_, what)) = closed.filter(|(_, what)| what.contains("no answer within")) {
            LOST.lock().unwrap_or_else(PoisonError::into_inner).push(what);
        }
    }
}
