//! Sets as JSON: `{"code":200,"data":…}` around the items.

use cost_answer::{ColumnsError, RecordBatch};
use http::HeaderValue;

use super::{
    explanation::Explanation,
    incoming::{SetHead, Sets},
    json,
    outgoing::{Writer, has_room},
};
use crate::error::ApiError;

/// Sets in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A list of maps, one per set.
    List,
    /// One map. For questions that have one set.
    Map,
    /// `{"step": …, "sets": [{"allocations": {…}, "window": …}], "window": …}`.
    Summary,
}

/// What a set holds.
pub(crate) trait Item: Send + 'static {
    type Columns<'a>;
    /// What is remembered from item to item.
    type Memo: Default + Send;

    fn columns(batch: &RecordBatch) -> Result<Self::Columns<'_>, ColumnsError>;

    /// The number of the set that `row` is of.
    fn set(columns: &Self::Columns<'_>, row: usize) -> u32;

    /// Writes `"name":{…}`.
    fn write(columns: &Self::Columns<'_>, row: usize, set: &SetHead, memo: &mut Self::Memo, out: &mut Vec<u8>);
}

/// Writes sets as JSON.
pub(crate) struct SetWriter<I: Item> {
    shape: Shape,
    sets: Sets,
    begun: usize,
    set_is_empty: bool,
    memo: I::Memo,
}

impl<I: Item> SetWriter<I> {
    pub(crate) fn new(shape: Shape) -> Self {
        Self {
            shape,
            sets: Sets::default(),
            begun: 0,
            set_is_empty: true,
            memo: I::Memo::default(),
        }
    }

    fn begin_set(&mut self, out: &mut Vec<u8>) {
        if self.begun > 0 {
            self.end_set(out);
            out.push(b',');
        }
        out.extend_from_slice(match self.shape {
            Shape::List | Shape::Map => b"{",
            Shape::Summary => b"{\"allocations\":{",
        });
        self.begun += 1;
        self.set_is_empty = true;
    }

    fn end_set(&self, out: &mut Vec<u8>) {
        out.push(b'}');
        if self.shape == Shape::Summary {
            out.extend_from_slice(b",\"window\":");
            match self.sets.heads.get(self.begun - 1) {
                Some(set) => out.extend_from_slice(&set.window),
                None => json::window(out, None),
            }
            out.push(b'}');
        }
    }

    fn step_nanoseconds(&self) -> i64 {
        let first = self.sets.heads.first();
        let span = first.and_then(|set| json::span(set.start, set.end));
        span.and_then(|span| span.duration().num_nanoseconds())
            .unwrap_or_default()
    }
}

impl<I: Item> Writer for SetWriter<I> {
    const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/json");
    const FILE: Option<HeaderValue> = None;

    fn begin(&mut self, sets: Sets, out: &mut Vec<u8>) -> Result<(), ApiError> {
        if self.shape == Shape::Map && sets.heads.len() > 1 {
            return Err(ApiError::OutOfOrder);
        }
        self.sets = sets;
        out.extend_from_slice(b"{\"code\":200,");
        if let Some(explanation) = &self.sets.explanation {
            out.extend_from_slice(b"\"explanation\":");
            serde_json::to_writer(&mut *out, &Explanation::of(explanation))?;
            out.push(b',');
        }
        out.extend_from_slice(b"\"data\":");
        match self.shape {
            Shape::List => out.push(b'['),
            Shape::Map => {}
            Shape::Summary => {
                out.extend_from_slice(b"{\"step\":");
                json::whole(out, self.step_nanoseconds());
                out.extend_from_slice(b",\"sets\":[");
            }
        }
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch, from: usize, out: &mut Vec<u8>) -> Result<usize, ApiError> {
        let columns = I::columns(batch)?;
        for row in from..batch.num_rows() {
            if !has_room(out) {
                return Ok(row);
            }
            let set = I::set(&columns, row) as usize;
            if set >= self.sets.heads.len() || set + 1 < self.begun {
                return Err(ApiError::OutOfOrder);
            }
            // A set without rows is empty, but there.
            while self.begun <= set {
                self.begin_set(out);
            }
            if !self.set_is_empty {
                out.push(b',');
            }
            self.set_is_empty = false;
            I::write(&columns, row, &self.sets.heads[set], &mut self.memo, out);
        }
        Ok(batch.num_rows())
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        // Clients read the first set without asking whether there is one.
        while self.begun < self.sets.heads.len().max(1) {
            self.begin_set(out);
        }
        self.end_set(out);
        match self.shape {
            Shape::List => out.push(b']'),
            Shape::Map => {}
            Shape::Summary => {
                out.extend_from_slice(b"],\"window\":");
                json::window(out, Some(&self.sets.window()));
                out.push(b'}');
            }
        }
        out.push(b'}');
    }
}
