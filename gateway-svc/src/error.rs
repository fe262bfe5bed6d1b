//! What clients are told when something goes wrong.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use cost_answer::{ColumnsError, DecodeError};
use cost_model::ParameterError;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use service_kit::telemetry;
use tonic::Code;
use tracing::Span;

use crate::{access::SignInError, face::Face, views::ViewsError};

/// Seconds after which a release may be there, or a service be back.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// How machines are known; browsers must not ask people for it.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"fedcost\"");

/// Why a request is not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// A parameter that is missing or wrong.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// A window of too many sets.
    #[error(
        "parameter {parameter} got {got:?}, which is {sets} sets of {step}; it takes at most {most} sets, so ask for \
             less time or a longer step"
    )]
    TooManySets {
        parameter: &'static str,
        got: String,
        sets: u64,
        step: cost_model::Step,
        most: u64,
    },
    /// No such path.
    #[error("there is nothing at {path}; see / for what there is")]
    NotFound { path: String },
    /// A path that is not answered by this method.
    #[error("{method} is not answered at {path}; the header Allow says what is")]
    Method { method: http::Method, path: String },
    /// The answer took longer than it may.
    #[error("the answer took too long; ask for less time, or for fewer or coarser sets")]
    TimedOut,
    /// Another service said no.
    #[error("{}", explain(.0))]
    Upstream(tonic::Status),
    /// A message of another service that cannot be: sets out of order, or more than were asked for.
    #[error("another service answered out of order")]
    OutOfOrder,
    /// Columns of another service that are not as agreed.
    #[error("another service answered in columns that are not known")]
    Columns(#[from] ColumnsError),
    /// Columns of another service that cannot be read.
    #[error("another service answered in columns that cannot be read")]
    Decode(#[from] DecodeError),
    /// JSON that cannot be written.
    #[error("the answer could not be written")]
    Write(#[from] serde_json::Error),
    /// A table that cannot be written.
    #[error("the table could not be written")]
    WriteTable(#[from] csv::Error),
    /// A view that cannot be kept.
    #[error(transparent)]
    Views(#[from] ViewsError),
    /// A handler that panicked.
    #[error("the answer could not be computed")]
    Panicked,
    /// Somebody who is not known.
    #[error("{why}; {}", if *.people { "sign in at /auth/login, or send an API token" } else { "send an API token, or come by the proxy that signs people in" })]
    NotSignedIn { why: String, people: bool },
    /// Somebody who is known, and may not.
    #[error("{who} may not {what}: no role allows it; ask who runs this for one that does")]
    Forbidden { who: String, what: &'static str },
    /// An explanation within less than everything.
    #[error(
        "parameter explain is for who sees all costs: an explanation tells how much there is of them; leave it out"
    )]
    Unexplained,
    /// A browser that a page of another site has made ask for a change.
    #[error("this changes something, and a page of another site asked for it; open it from the web page of this host")]
    OtherSite,
    /// Somebody who cannot be signed in.
    #[error(transparent)]
    SignIn(#[from] SignInError),
}

/// What a client is told of another service's failure: what it can act on, and nothing of our insides.
fn explain(status: &tonic::Status) -> Cow<'_, str> {
    match upstream_code(status.code()) {
        StatusCode::BAD_REQUEST => Cow::Borrowed(status.message()),
        StatusCode::SERVICE_UNAVAILABLE if status.code() == Code::FailedPrecondition => {
            Cow::Borrowed("no data has been ingested yet; try again shortly, / shows the progress")
        }
        StatusCode::SERVICE_UNAVAILABLE => Cow::Borrowed("cost data is out of reach for the moment; try again shortly"),
        StatusCode::GATEWAY_TIMEOUT => Cow::Owned(ApiError::TimedOut.to_string()),
        StatusCode::TOO_MANY_REQUESTS => Cow::Borrowed("too many questions at once; try again shortly"),
        _ => Cow::Owned(ApiError::Panicked.to_string()),
    }
}

/// The HTTP status of another service's failure.
fn upstream_code(code: Code) -> StatusCode {
    match code {
        Code::InvalidArgument | Code::OutOfRange => StatusCode::BAD_REQUEST,
        // Before the first release, and while the service is away.
        Code::FailedPrecondition | Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        // What is wrong between our services is nothing that a client could mend.
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::Aborted
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss
        | Code::Unauthenticated => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The HTTP status of a view that cannot be kept.
fn views_status(error: &ViewsError) -> StatusCode {
    match error {
        ViewsError::Off => StatusCode::NOT_IMPLEMENTED,
        ViewsError::Name(_) | ViewsError::Query(_) | ViewsError::Body(_) => StatusCode::BAD_REQUEST,
        ViewsError::TooMany | ViewsError::Full => StatusCode::CONFLICT,
        ViewsError::Unknown(_) => StatusCode::NOT_FOUND,
        ViewsError::Folder { .. } | ViewsError::Broken { .. } | ViewsError::TooLarge { .. } | ViewsError::Task => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

/// The HTTP status of somebody who cannot be signed in.
fn sign_in_status(error: &SignInError) -> StatusCode {
    match error {
        SignInError::Off => StatusCode::NOT_FOUND,
        SignInError::Issuer => StatusCode::SERVICE_UNAVAILABLE,
        SignInError::NotBegun => StatusCode::BAD_REQUEST,
        SignInError::Refused(_) | SignInError::NotBelieved | SignInError::NoUser(_) | SignInError::EmailNotVerified => {
            StatusCode::FORBIDDEN
        }
    }
}

impl ApiError {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Parameter(_) | Self::TooManySets { .. } => StatusCode::BAD_REQUEST,
            Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Views(error) => views_status(error),
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::NotSignedIn { .. } => StatusCode::UNAUTHORIZED,
            Self::Forbidden { .. } | Self::Unexplained | Self::OtherSite => StatusCode::FORBIDDEN,
            Self::SignIn(error) => sign_in_status(error),
            Self::Upstream(status) => upstream_code(status.code()),
            Self::OutOfOrder
            | Self::Columns(_)
            | Self::Decode(_)
            | Self::Write(_)
            | Self::WriteTable(_)
            | Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// What went wrong, for the layer that knows how the path writes it.
#[derive(Clone, Debug)]
struct Explanation(String);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            match &self {
                Self::Upstream(upstream) => {
                    tracing::warn!(code = ?upstream.code(), message = upstream.message(), "another service failed");
                }
                Self::Columns(cause) => tracing::error!(error = %cause, "answer not as agreed"),
                Self::Decode(cause) => tracing::error!(error = %cause, "answer cannot be read"),
                other => tracing::warn!(error = %other, "request failed"),
            }
        }
        let mut response = status.into_response();
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, CHALLENGE);
        }
        response.extensions_mut().insert(Explanation(self.to_string()));
        response
    }
}

#[derive(Serialize)]
struct Body<'a> {
    code: u16,
    message: &'a str,
    /// By which the answer is found among the traces, where they are recorded.
    #[serde(rename = "traceId", skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

/// Writes the text of an [`ApiError`] as the path's clients read it: JSON under `/model`, plain text elsewhere.
pub(crate) fn write_explanation(face: Face, mut response: Response) -> Response {
    let Some(Explanation(message)) = response.extensions_mut().remove() else {
        return response;
    };
    let status = response.status();
    let written = match face {
        Face::Kubecost => axum::Json(Body {
            code: status.as_u16(),
            message: &message,
            trace_id: telemetry::trace_id(&Span::current()),
        })
        .into_response(),
        Face::OpenCost => format!("{message}\n").into_response(),
    };
    let (mut parts, _) = response.into_parts();
    let (written_parts, body) = written.into_parts();
    // The old length is that of an empty body.
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.extend(written_parts.headers);
    Response::from_parts(parts, body)
}

#[cfg(test)]
mod tests {
    use tonic::Status;

    use super::*;

    #[test]
    fn upstream_failures_keep_what_clients_can_act_on() {
        let cases = [
            (
                Status::invalid_argument("parameter aggregate got \"x\""),
                400,
                "parameter aggregate got \"x\"",
            ),
            (
                Status::failed_precondition("no release"),
                503,
                "no data has been ingested yet",
            ),
            (Status::unavailable("10.0.0.7:7003: refused"), 503, "out of reach"),
            (Status::deadline_exceeded("query 17"), 504, "took too long"),
            (Status::resource_exhausted("queue of 8"), 429, "too many questions"),
            (
                Status::internal("panicked at src/secret.rs"),
                500,
                "could not be computed",
            ),
            (
                Status::permission_denied("spiffe://fedcost/service/x"),
                500,
                "could not be computed",
            ),
        ];
        for (status, code, text) in cases {
            let error = ApiError::Upstream(status);
            assert_eq!(error.status().as_u16(), code);
            assert!(error.to_string().contains(text), "{error}");
            let response = error.into_response();
            assert_eq!(
                response.headers().contains_key(header::RETRY_AFTER),
                matches!(code, 503 | 429)
            );
        }
        let hidden = ApiError::Upstream(Status::unavailable("10.0.0.7:7003: refused")).to_string();
        assert!(!hidden.contains("10.0.0.7"), "{hidden}");
    }
}
