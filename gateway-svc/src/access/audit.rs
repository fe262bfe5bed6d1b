//! Who asked what, and whether they were answered: one JSON object a line, in the log under the target `audit`, or in a
//! file of its own.

use std::{
    fmt,
    io::{self, Write as _},
    path::Path,
    sync::{Mutex, PoisonError},
};

use axum::extract::Request;
use chrono::{SecondsFormat, Utc};
use cost_model::Scope;
use file_rotate::{ContentLimit, FileRotate, compression::Compression, suffix::AppendCount};
use http::{HeaderName, StatusCode};
use serde::Serialize;
use service_kit::telemetry;
use tracing::Span;

use super::{Access, Caller, Means, Peer, oidc::SignInError};

/// A file that grows past this is put aside, and a new one begun.
const LARGEST_FILE: usize = 64 << 20;
/// How many are kept beside the one that is written.
const FILES_ASIDE: usize = 10;

/// The most bytes of a query that are noted.
const LONGEST_QUERY: usize = 4096;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Where lines go.
#[derive(Default)]
pub(super) struct AuditLog(Option<Mutex<FileRotate<AppendCount>>>);

impl fmt::Debug for AuditLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.is_some() {
            "AuditLog(file)"
        } else {
            "AuditLog(log)"
        })
    }
}

impl AuditLog {
    /// Into this file, or else the log.
    pub(super) fn open(file: Option<&Path>) -> io::Result<Self> {
        let Some(path) = file else {
            return Ok(Self(None));
        };
        // The library panics on what cannot be written, so that is found out first.
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::OpenOptions::new().append(true).create(true).open(path)?;
        let file = FileRotate::new(
            path,
            AppendCount::new(FILES_ASIDE),
            ContentLimit::BytesSurpassed(LARGEST_FILE),
            Compression::None,
            None,
        );
        Ok(Self(Some(Mutex::new(file))))
    }

    fn write(&self, line: &Line<'_>) {
        let Ok(mut text) = serde_json::to_string(line) else {
            return;
        };
        let Some(file) = &self.0 else {
            tracing::info!(target: "audit", "{text}");
            return;
        };
        text.push('\n');
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.flush()) {
            // What cannot be noted there must be noted somewhere.
            tracing::error!(%error, "the audit log cannot be written");
            tracing::info!(target: "audit", "{}", text.trim_end());
        }
    }
}

/// A line, as it is written.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    /// `answered`, `denied`, `signed in` or `not signed in`.
    event: &'a str,
    /// `session`, `proxy` or `token`; none for who is not known.
    by: Option<&'static str>,
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    groups: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    roles: &'a [String],
    /// What of all clusters the answer was made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<ScopeLine>,
    #[serde(flatten)]
    request: Option<&'a Record>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// Why somebody was denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ScopeLine {
    Word(&'static str),
    Grants(Vec<GrantLine>),
}

#[derive(Serialize)]
struct GrantLine {
    clusters: Vec<String>,
    namespaces: Vec<String>,
}

impl ScopeLine {
    fn of(scope: &Scope) -> Self {
        let texts = |patterns: &[cost_model::scope::Pattern]| patterns.iter().map(ToString::to_string).collect();
        match scope {
            Scope::Everything => Self::Word("everything"),
            nothing if nothing.is_nothing() => Self::Word("nothing"),
            Scope::Granted(grants) => Self::Grants(
                grants
                    .iter()
                    .map(|grant| GrantLine {
                        clusters: texts(grant.clusters()),
                        namespaces: texts(grant.namespaces()),
                    })
                    .collect(),
            ),
        }
    }
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn by(means: Means) -> Option<&'static str> {
    match means {
        Means::Open => None,
        Means::Session => Some("session"),
        Means::Proxy => Some("proxy"),
        Means::Token => Some("token"),
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome<'a> {
    Answered,
    /// And why.
    Denied(&'a str),
}

/// What is noted of a request before it is answered. Headers are none of it, as they hold credentials.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Record {
    method: String,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

impl Record {
    pub(super) fn of(request: &Request) -> Self {
        let header = |name: &HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
        let cut = |text: &str| text.chars().take(LONGEST_QUERY).collect::<String>();
        // The caller's, where spans are not recorded here.
        let sent = || header(&telemetry::TRACEPARENT).and_then(|parent| parent.split('-').nth(1));
        Self {
            method: request.method().to_string(),
            path: cut(request.uri().path()),
            query: request.uri().query().map(cut),
            peer: request
                .extensions()
                .get::<Peer>()
                .map(|Peer(address)| address.to_string()),
            request_id: header(&REQUEST_ID).filter(|id| id.len() <= 128).map(str::to_owned),
            trace_id: telemetry::trace_id(&Span::current())
                .or_else(|| sent().filter(|id| id.len() == 32).map(str::to_owned)),
        }
    }

    pub(super) fn write(&self, access: &Access, caller: Option<&Caller>, status: StatusCode, outcome: Outcome<'_>) {
        let (event, reason) = match outcome {
            Outcome::Answered => ("answered", None),
            Outcome::Denied(reason) => ("denied", Some(reason)),
        };
        access.audit.write(&Line {
            time: now(),
            event,
            by: caller.and_then(|caller| by(caller.means)),
            user: caller.map(|caller| caller.user.as_str()),
            groups: caller.map_or(&[], |caller| &caller.groups),
            roles: caller.map_or(&[], |caller| &caller.rights.roles),
            scope: caller.map(|caller| ScopeLine::of(&caller.rights.view)),
            request: Some(self),
            status: Some(status.as_u16()),
            reason,
        });
    }
}

fn sign_in<'a>(event: &'a str, user: Option<&'a str>, groups: &'a [String], reason: Option<&'a str>) -> Line<'a> {
    Line {
        time: now(),
        event,
        by: by(Means::Session),
        user,
        groups,
        roles: &[],
        scope: None,
        request: None,
        status: None,
        reason,
    }
}

pub(super) fn signed_in(access: &Access, user: &str, groups: &[String]) {
    access.audit.write(&sign_in("signed in", Some(user), groups, None));
}

pub(super) fn not_signed_in(access: &Access, error: &SignInError) {
    access
        .audit
        .write(&sign_in("not signed in", None, &[], Some(&error.to_string())));
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use serde_json::Value;

    use super::*;

    #[test]
    fn lines_say_who_asked_what_and_hold_no_credentials() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/audit.jsonl");
        let access = Access {
            audit: AuditLog::open(Some(&path)).unwrap(),
            ..Access::default()
        };
        let request = Request::get("/model/allocation?window=7d")
            .header("authorization", "Bearer fct_secret")
            .header("cookie", "fedcost-session=secret")
            .header("x-api-key", "secret")
            .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
            .body(Body::empty())
            .unwrap();
        let record = Record::of(&request);
        record.write(&access, Some(&Caller::anybody()), StatusCode::OK, Outcome::Answered);
        record.write(&access, None, StatusCode::UNAUTHORIZED, Outcome::Denied("why"));
        signed_in(&access, "alice", &["dev".to_owned()]);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("secret"), "{text}");
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(
            (&lines[0]["event"], &lines[0]["scope"]),
            (&"answered".into(), &"everything".into())
        );
        assert_eq!(lines[0]["query"], "window=7d");
        assert_eq!(lines[0]["trace_id"], "0af7651916cd43dd8448eb211c80319c");
        assert_eq!((&lines[1]["status"], &lines[1]["reason"]), (&401.into(), &"why".into()));
        assert_eq!(
            (&lines[2]["event"], &lines[2]["user"]),
            (&"signed in".into(), &"alice".into())
        );
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told_at_once() {
        let folder = tempfile::tempdir().unwrap();
        assert!(AuditLog::open(Some(folder.path())).is_err());
    }
}
