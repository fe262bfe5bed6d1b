//! `/start`: what there is, and how far ingest has come. It needs nothing to be built, and is what `/` shows when the web
//! page is not there.

use axum::response::Response;

use super::page;

const PAGE: &str = include_str!("../start_page/index.html");
const WITHOUT_WEB_PAGE: &str = include_str!("../start_page/without_web_page.html");
const NOTE: &str = "<!-- note -->";

pub(crate) async fn page() -> Response {
    page::html(PAGE)
}

/// The same with a note that says what is missing.
pub(crate) fn without_web_page() -> Response {
    page::html(PAGE.replacen(NOTE, WITHOUT_WEB_PAGE, 1))
}

pub(crate) async fn style() -> Response {
    page::css(include_str!("../start_page/start.css"))
}

pub(crate) async fn script() -> Response {
    page::javascript(include_str!("../start_page/start.js"))
}
