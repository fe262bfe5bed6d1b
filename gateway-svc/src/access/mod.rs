//! Who may see what: people by an issuer's or a proxy's word, machines by API tokens, and roles that say what of all
//! clusters each may see.
//!
//! What somebody may see goes along with every question to query-svc, which answers it from nothing else. The rest of the
//! gateway is told by [`Need`], which every path has.

mod admit;
mod audit;
mod config;
mod oidc;
mod roles;
pub mod tokens;
mod trusted_header;
mod who;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;

pub use self::config::AccessConfig;
pub(crate) use self::{
    admit::{Peer, admit},
    config::RawAccess,
    oidc::SignInError,
    who::who,
};
use self::{
    audit::AuditLog,
    config::People,
    oidc::{Provider, Sessions},
    roles::{Rights, Roles},
    tokens::Tokens,
    trusted_header::TrustedHeader,
};
use crate::Gateway;

/// The paths of signing in.
pub(crate) mod sign_in {
    pub(crate) use super::oidc::{callback, login, logout};
}

/// What somebody must be allowed to ask at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing: it holds nothing of anybody's.
    Nothing,
    /// To see some costs; the answer holds no more than those.
    View,
    /// To see all costs, or to operate all clusters, as the answer does not tell apart of which cluster it speaks.
    ViewAll,
    /// To keep views of the web page.
    Save,
    /// To have files read again, of the clusters that the handler is asked about.
    Operate,
}

/// By what somebody is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Means {
    /// By nothing, as access is open.
    Open,
    /// By a session, after an issuer's word.
    Session,
    /// By a proxy's word.
    Proxy,
    /// By an API token.
    Token,
}

/// Who asks, and what it may see and do.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) means: Means,
    /// By what roles know it; empty where access is open.
    pub(crate) user: String,
    /// By what people do.
    pub(crate) name: String,
    pub(crate) groups: Vec<String>,
    pub(crate) rights: Rights,
    /// When a session ends, in Unix seconds.
    pub(crate) until: Option<i64>,
}

impl Caller {
    fn anybody() -> Self {
        Self {
            means: Means::Open,
            user: String::new(),
            name: String::new(),
            groups: Vec::new(),
            rights: Rights::all(),
            until: None,
        }
    }

    /// Whoever has not been let in.
    pub(crate) fn nobody() -> Self {
        Self {
            rights: Rights::none(),
            ..Self::anybody()
        }
    }

    /// Whether a browser sends along by what it is known, whoever made it ask.
    fn is_ambient(&self) -> bool {
        matches!(self.means, Means::Session | Means::Proxy)
    }

    /// Whether all costs may be seen.
    pub(crate) fn sees_everything(&self) -> bool {
        self.rights.view.is_everything()
    }

    /// Whether everything may be read again, or this cluster.
    pub(crate) fn may_operate(&self, cluster: &str) -> bool {
        let scope = &self.rights.operate;
        scope.is_everything() || (!cluster.is_empty() && scope.sees_whole_cluster(cluster))
    }

    /// Whether everything may be read again.
    pub(crate) fn operates_everything(&self) -> bool {
        self.rights.operate.is_everything()
    }

    /// Whose views of the web page it keeps; none where nobody is told apart.
    pub(crate) fn owner(&self) -> Option<String> {
        match self.means {
            Means::Open => None,
            Means::Session | Means::Proxy => Some(format!("user:{}", self.user)),
            Means::Token => Some(format!("token:{}", self.user)),
        }
    }
}

/// Who may see what, as the gateway knows it while it runs.
#[derive(Debug)]
pub(crate) struct Access {
    people: Known,
    tokens: Option<Tokens>,
    roles: Roles,
    audit: AuditLog,
}

/// How people are known.
#[derive(Debug)]
enum Known {
    Open,
    Nobody,
    Oidc(Box<Provider>, Sessions),
    TrustedHeader(TrustedHeader),
}

/// Why access cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The client that asks the issuer.
    #[error("access.oidc: no client to ask the issuer: {0}")]
    Issuer(#[from] reqwest::Error),
    /// The audit log.
    #[error("access.audit.file: {0}")]
    Audit(#[from] std::io::Error),
}

impl Access {
    pub(crate) fn new(config: AccessConfig) -> Result<Self, AccessError> {
        let AccessConfig {
            people,
            tokens,
            roles,
            audit,
        } = config;
        let people = match people {
            People::Open => Known::Open,
            People::Nobody => Known::Nobody,
            People::Oidc(oidc) => {
                let sessions = Sessions::new(&oidc);
                Known::Oidc(Box::new(Provider::new(*oidc)?), sessions)
            }
            People::TrustedHeader(header) => Known::TrustedHeader(header),
        };
        Ok(Self {
            people,
            tokens: tokens.map(Tokens::new),
            roles,
            audit: AuditLog::open(audit.as_deref())?,
        })
    }

    fn is_open(&self) -> bool {
        matches!(self.people, Known::Open)
    }

    fn oidc(&self) -> Option<(&Provider, &Sessions)> {
        match &self.people {
            Known::Oidc(provider, sessions) => Some((provider, sessions)),
            Known::Open | Known::Nobody | Known::TrustedHeader(_) => None,
        }
    }

    /// Whether a role is held by this group.
    fn names_group(&self, group: &str) -> bool {
        self.roles.name_group(group)
    }
}

#[cfg(test)]
impl Default for Access {
    fn default() -> Self {
        Self {
            people: Known::Open,
            tokens: None,
            roles: Roles::default(),
            audit: AuditLog::default(),
        }
    }
}

/// The gateway on behalf of who asks: what it asks of query-svc, it asks within what that one may see. Whoever takes the
/// bare state asks for nobody, and is told nothing.
impl FromRequestParts<Gateway> for Gateway {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Result<Self, Self::Rejection> {
        let gateway = gateway.clone();
        let Some(caller) = parts.extensions.get::<Arc<Caller>>() else {
            return Ok(gateway);
        };
        Ok(Self {
            upstream: gateway.upstream.within(Arc::clone(&caller.rights.view)),
            caller: Arc::clone(caller),
            ..gateway
        })
    }
}
