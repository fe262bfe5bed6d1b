//! What must be allowed to who asks at a path.

use http::Method;

use super::endpoints::ENDPOINTS;
use crate::access::Need;

/// Paths that hold nothing of anybody's: our own pages, which ask for what they show, and signing in.
const PAGES: [&str; 13] = [
    "/",
    "/static/{name}",
    "/start",
    "/start.css",
    "/start.js",
    "/api",
    "/api.css",
    "/api.js",
    "/openapi.json",
    "/auth/me",
    "/auth/login",
    "/auth/callback",
    "/auth/logout",
];

/// What must be allowed at a route, as the router has it; none where no route takes the path.
pub(crate) fn need(route: Option<&str>, method: &Method) -> Need {
    let Some(route) = route else {
        // That there is nothing at a path is told to those who may see something.
        return Need::View;
    };
    if PAGES.contains(&route) {
        return Need::Nothing;
    }
    match route {
        "/views/{name}" => Need::Save,
        "/metrics" => Need::ViewAll,
        _ => match ENDPOINTS.iter().find(|endpoint| endpoint.paths.contains(&route)) {
            Some(endpoint) if matches!(*method, Method::GET | Method::HEAD) => endpoint.need,
            // What is not on any list is not for everybody.
            Some(_) | None => Need::Operate,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_listed_is_not_for_everybody() {
        let get = |route| need(Some(route), &Method::GET);
        assert_eq!(get("/"), Need::Nothing);
        assert_eq!(get("/model/allocation"), Need::View);
        assert_eq!(get("/model/etl/asset/repair"), Need::Operate);
        assert_eq!(get("/model/debug/orchestrator"), Need::ViewAll);
        assert_eq!(get("/metrics"), Need::ViewAll);
        assert_eq!(get("/some/new/path"), Need::Operate);
        assert_eq!(need(Some("/model/allocation"), &Method::POST), Need::Operate);
        assert_eq!(need(Some("/views/{name}"), &Method::DELETE), Need::Save);
        assert_eq!(need(None, &Method::GET), Need::View);
        let without = ENDPOINTS.iter().filter(|endpoint| endpoint.need == Need::Nothing);
        let paths: Vec<_> = without.flat_map(|endpoint| endpoint.paths).copied().collect();
        assert_eq!(paths, ["/readyz", "/healthz"]);
    }
}
