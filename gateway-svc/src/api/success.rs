//! `{"code": 200, "data": …}` around small answers.

use serde::Serialize;

/// An answer that is written in one piece.
#[derive(Debug, Serialize)]
pub(crate) struct Success<T> {
    code: u16,
    data: T,
}

impl<T> Success<T> {
    pub(crate) fn of(data: T) -> Self {
        Self { code: 200, data }
    }
}
