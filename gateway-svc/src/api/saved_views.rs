//! `/views`: views of the web page that were given a name, kept for who saved them where people are told apart.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, rejection::JsonRejection},
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use crate::{
    Gateway,
    error::ApiError,
    views::{View, ViewsError},
};

const NO_STORE: (HeaderName, HeaderValue) = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));

#[derive(Serialize)]
struct List {
    /// Why none can be kept.
    unavailable: Option<String>,
    views: Vec<View>,
}

/// What a view is saved with; its name is in the path.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Content {
    query: String,
}

/// The caller's views by name, and those of nobody, who may name anything. Where none are kept, why.
pub(crate) async fn list(gateway: Gateway) -> Result<Response, ApiError> {
    let views = Arc::clone(&gateway.views);
    let (owner, unowned) = (gateway.caller.owner(), gateway.caller.sees_everything());
    let list = match blocking(move || views.list(owner.as_deref(), unowned)).await {
        Ok(views) => List {
            unavailable: None,
            views,
        },
        Err(off @ ViewsError::Off) => List {
            unavailable: Some(off.to_string()),
            views: Vec::new(),
        },
        Err(error) => return Err(error.into()),
    };
    Ok(([NO_STORE], Json(list)).into_response())
}

/// Keeps a view, in the place of one that is called so already.
pub(crate) async fn save(
    gateway: Gateway,
    Path(name): Path<String>,
    // A page of another host cannot send JSON without asking first, which nobody answers.
    content: Result<Json<Content>, JsonRejection>,
) -> Result<Response, ApiError> {
    let Json(Content { query }) = content.map_err(|rejection| ViewsError::Body(rejection.body_text()))?;
    let views = Arc::clone(&gateway.views);
    let owner = gateway.caller.owner();
    let view = blocking(move || views.save(owner.as_deref(), View { name, query })).await?;
    Ok(([NO_STORE], Json(view)).into_response())
}

/// Forgets a view.
pub(crate) async fn remove(gateway: Gateway, Path(name): Path<String>) -> Result<Response, ApiError> {
    let views = Arc::clone(&gateway.views);
    // Views of nobody are everybody's, so to forget one is an operator's affair.
    let (owner, unowned) = (gateway.caller.owner(), gateway.caller.operates_everything());
    blocking(move || views.remove(owner.as_deref(), unowned, &name)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ViewsError> + Send + 'static,
) -> Result<T, ViewsError> {
    spawn_blocking(work).await.map_err(|_| ViewsError::Task)?
}
