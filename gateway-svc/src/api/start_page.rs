//! `/`: what there is, and how far ingest has come.

use axum::response::Response;

use super::page;

pub(crate) async fn page() -> Response {
    page::html(include_str!("../start_page/index.html"))
}

pub(crate) async fn style() -> Response {
    page::css(include_str!("../start_page/start.css"))
}

pub(crate) async fn script() -> Response {
    page::javascript(include_str!("../start_page/start.js"))
}
