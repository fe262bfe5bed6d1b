//! Why a question was not answered, and how callers are told.

use cost_model::ParameterError;
use datafusion::error::DataFusionError;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::plan::TooManySteps;

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueryError {
    #[error("no release is published yet: ingest has not ended its first cycle")]
    NoRelease,
    #[error("{0}")]
    Parameter(#[from] ParameterError),
    #[error("parameter {field} got {got:?}; it takes {takes}")]
    Field {
        field: &'static str,
        got: String,
        takes: &'static str,
    },
    #[error("window is missing, does not start before it ends, or is in no year from -10000 to 10000")]
    Window,
    #[error("{0}")]
    TooManySteps(#[from] TooManySteps),
    #[error("{waiting} questions are waiting already; ask again later")]
    Busy { waiting: usize },
    #[error(
        "the answer has {items} items, allowed are {most}: ask for fewer keys, a filter, a shorter window, or a page \
         by limit and offset"
    )]
    TooManyItems { items: usize, most: usize },
    #[error("scope is not given: a gateway must say what of all may be seen")]
    NoScope,
    #[error("scope has too many patterns: {got}; it takes at most {most}")]
    LongScope { got: usize, most: usize },
    #[error("scope has a wrong pattern: {0}")]
    Scope(#[from] cost_model::scope::PatternError),
    #[error("parameter asOf got {got:?}: that release is not on record any more, or never was")]
    NotOnRecord { got: String },
    #[error("{0}")]
    Lake(#[from] lake::LakeError),
    #[error("{0}")]
    Engine(#[from] DataFusionError),
    #[error("{0}")]
    Columns(#[from] cost_answer::ColumnsError),
}

impl From<QueryError> for Status {
    fn from(error: QueryError) -> Self {
        let bad_field = |field: &str| {
            let details = ErrorDetails::with_bad_request_violation(field, error.to_string());
            Self::with_error_details(Code::InvalidArgument, error.to_string(), details)
        };
        match &error {
            QueryError::NoRelease => Self::failed_precondition(error.to_string()),
            QueryError::Parameter(parameter) => bad_field(parameter.parameter()),
            QueryError::Field { field, .. } => bad_field(field),
            QueryError::Window | QueryError::TooManySteps(_) => bad_field("window"),
            QueryError::Busy { .. } => Self::resource_exhausted(error.to_string()),
            QueryError::NotOnRecord { .. } => bad_field("asOf"),
            QueryError::NoScope | QueryError::LongScope { .. } | QueryError::Scope(_) => {
                tracing::error!(%error, "a gateway's question is refused");
                Self::permission_denied(error.to_string())
            }
            QueryError::Lake(_) => {
                tracing::warn!(%error, "an older release cannot be read");
                Self::unavailable("the lake cannot be read; try again later")
            }
            QueryError::TooManyItems { .. } => bad_field("aggregate"),
            QueryError::Columns(_) => {
                tracing::error!(%error, "answer cannot be read back");
                Self::internal("the answer could not be written; the log of query-svc says why")
            }
            QueryError::Engine(engine) => match engine.find_root() {
                DataFusionError::ResourcesExhausted(_) => {
                    tracing::warn!(%error, "query needs too much memory");
                    Self::resource_exhausted(
                        "the answer needs more memory than queries may use: ask for a shorter window or fewer keys",
                    )
                }
                DataFusionError::ObjectStore(_) => {
                    tracing::warn!(%error, "query cannot read the lake");
                    Self::unavailable("the lake cannot be read; try again later")
                }
                _ => {
                    tracing::error!(%error, "query failed");
                    Self::internal("the query failed; the log of query-svc says why")
                }
            },
        }
    }
}
