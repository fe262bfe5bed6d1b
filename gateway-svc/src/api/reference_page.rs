//! `/api`: the description of the API for people, made from `/openapi.json` in the browser.

use axum::response::Response;

use super::page;

pub(crate) async fn page() -> Response {
    page::html(include_str!("../reference_page/index.html"))
}

pub(crate) async fn style() -> Response {
    page::css(include_str!("../reference_page/api.css"))
}

pub(crate) async fn script() -> Response {
    page::javascript(include_str!("../reference_page/api.js"))
}
