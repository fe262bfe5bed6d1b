//! What became of a call that failed.

use std::error::Error;

use tonic::{Code, Status};

use super::ChannelError;
use crate::causes;

/// True when a call failed because the connection could not be made, or ended under it, so that another try may help.
///
/// To look for UNAVAILABLE is not enough: tonic makes it of a connection that could not be made, but UNKNOWN or CANCELLED
/// when one breaks, or comes of age as the call is handed over. Whether the server has seen the call is not known, so only
/// a call that may be made twice may be tried again.
pub fn is_connection_failure(status: &Status) -> bool {
    // A status that came from a server has no source, whatever its code. When the connection breaks while an answer
    // streams in, the source is hyper's.
    let broke = status.source().is_some_and(|source| {
        let ours = source.downcast_ref::<ChannelError>();
        ours.is_some_and(|error| !matches!(error, ChannelError::Closed)) || source.is::<hyper::Error>()
    });
    broke || status.code() == Code::Unavailable
}

/// True when the server has not begun with a call, because the connection ended before its turn, as it does when it
/// comes of age. Any such call may be tried again.
pub fn was_not_begun(status: &Status) -> bool {
    let mut next = status.source();
    while let Some(error) = next {
        let unconnected = matches!(error.downcast_ref(), Some(ChannelError::Unsent(_)));
        // In HTTP/2 it means that the call was not sent, and nothing else: what was sent fails in other ways.
        let unsent = error
            .downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_canceled);
        // The server has said goodbye, which concerns only calls that it has not taken and will not take.
        let refused = error.downcast_ref::<h2::Error>().is_some_and(|error| {
            error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR)
        });
        if unconnected || unsent || refused {
            return true;
        }
        next = error.source();
    }
    false
}

/// What a person should read about a failed call: the message, and what lies behind it if it was the connection.
pub fn reason(status: &Status) -> String {
    causes::followed_by(status.message().to_owned(), status.source())
}
