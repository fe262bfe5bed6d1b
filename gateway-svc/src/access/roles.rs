//! Roles: what those who hold one may see and do.

use std::{collections::BTreeSet, sync::Arc};

use cost_model::{
    Scope,
    scope::{Grant, Pattern},
};
use serde::Deserialize;

/// What a role lets its holders do with what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Permission {
    /// See costs.
    View,
    /// Keep views of the web page of one's own.
    Save,
    /// Have files read again, and see how ingest is doing.
    Operate,
}

/// A role that is fit for use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Role {
    pub(super) name: String,
    pub(super) grant: Grant,
    pub(super) permissions: BTreeSet<Permission>,
    pub(super) users: BTreeSet<String>,
    pub(super) groups: BTreeSet<String>,
    pub(super) tokens: BTreeSet<String>,
    /// Held by everybody who is known, by whatever means.
    pub(super) everyone: bool,
}

/// The roles there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Roles(Vec<Role>);

/// Who asks, as far as roles are concerned.
#[derive(Clone, Copy, Debug)]
pub(super) enum Holder<'a> {
    Person { user: &'a str, groups: &'a [String] },
    Token { name: &'a str },
}

/// What somebody may see and do.
#[derive(Clone, Debug)]
pub(crate) struct Rights {
    /// By name, in the order of the file.
    pub(crate) roles: Vec<String>,
    /// Costs that may be seen.
    pub(crate) view: Arc<Scope>,
    /// Clusters whose files may be read again.
    pub(crate) operate: Arc<Scope>,
    /// Whether views of the web page may be kept.
    pub(crate) save: bool,
}

impl Rights {
    /// Those of everybody where access is open.
    pub(super) fn all() -> Self {
        Self {
            roles: Vec::new(),
            view: Arc::new(Scope::Everything),
            operate: Arc::new(Scope::Everything),
            save: true,
        }
    }
}

impl Rights {
    /// Those of whoever has not been let in.
    pub(super) fn none() -> Self {
        Self {
            roles: Vec::new(),
            view: Arc::new(Scope::NOTHING),
            operate: Arc::new(Scope::NOTHING),
            save: false,
        }
    }
}

impl Roles {
    pub(super) fn new(roles: Vec<Role>) -> Self {
        Self(roles)
    }

    /// Whether a role is held by this group.
    pub(super) fn name_group(&self, group: &str) -> bool {
        self.0.iter().any(|role| role.groups.contains(group))
    }

    /// What somebody may see and do: all that any role allows.
    pub(super) fn rights(&self, holder: Holder<'_>) -> Rights {
        let held: Vec<&Role> = self.0.iter().filter(|role| role.is_held_by(holder)).collect();
        let scope = |permission| {
            let grants = held.iter().filter(|role| role.permissions.contains(&permission));
            Arc::new(Scope::of(grants.map(|role| role.grant.clone()).collect()))
        };
        Rights {
            roles: held.iter().map(|role| role.name.clone()).collect(),
            view: scope(Permission::View),
            operate: scope(Permission::Operate),
            save: held.iter().any(|role| role.permissions.contains(&Permission::Save)),
        }
    }
}

impl Role {
    fn is_held_by(&self, holder: Holder<'_>) -> bool {
        self.everyone
            || match holder {
                Holder::Person { user, groups } => {
                    self.users.contains(user) || groups.iter().any(|group| self.groups.contains(group))
                }
                Holder::Token { name } => self.tokens.contains(name),
            }
    }
}

/// A role as it stands in the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRole {
    name: String,
    clusters: Vec<String>,
    #[serde(default = "all")]
    namespaces: Vec<String>,
    #[serde(default = "view")]
    permissions: BTreeSet<Permission>,
    #[serde(default)]
    users: BTreeSet<String>,
    #[serde(default)]
    groups: BTreeSet<String>,
    #[serde(default)]
    tokens: BTreeSet<String>,
    #[serde(default)]
    everyone: bool,
}

fn all() -> Vec<String> {
    vec!["*".to_owned()]
}

fn view() -> BTreeSet<Permission> {
    [Permission::View].into()
}

/// What is wrong with a role: the key within it, what was found, and what is allowed.
pub(super) type RoleError = (&'static str, String, String);

impl RawRole {
    pub(super) fn validate(self) -> Result<Role, RoleError> {
        let is_word = |text: &str| !text.trim().is_empty() && !text.chars().any(char::is_control);
        if !is_word(&self.name) {
            return Err(("name", format!("{:?}", self.name), "a name".to_owned()));
        }
        for (key, found, allowed) in [
            (
                "clusters",
                self.clusters.is_empty(),
                "ids of clusters, such as [\"prod-*\"]",
            ),
            (
                "namespaces",
                self.namespaces.is_empty(),
                "namespaces, such as [\"team-a-*\"], or [\"*\"] for all",
            ),
            (
                "permissions",
                self.permissions.is_empty(),
                "some of view, save and operate",
            ),
        ] {
            if found {
                return Err((key, "none".to_owned(), allowed.to_owned()));
            }
        }
        for (key, holders) in [
            ("users", &self.users),
            ("groups", &self.groups),
            ("tokens", &self.tokens),
        ] {
            if let Some(wrong) = holders.iter().find(|holder| !is_word(holder)) {
                return Err((key, format!("{wrong:?}"), "names that are not empty".to_owned()));
            }
        }
        let nobody = self.users.is_empty() && self.groups.is_empty() && self.tokens.is_empty() && !self.everyone;
        if nobody {
            let allowed = "at least one of users, groups and tokens, or everyone: true";
            return Err(("users", "nobody who holds the role".to_owned(), allowed.to_owned()));
        }
        let patterns = |key, texts: &[String]| -> Result<Vec<Pattern>, RoleError> {
            let patterns = texts.iter().map(|text| text.parse::<Pattern>());
            let patterns: Result<_, _> = patterns.collect();
            patterns.map_err(|error| (key, error.to_string(), "names, with * for any characters".to_owned()))
        };
        Ok(Role {
            grant: Grant::new(
                patterns("clusters", &self.clusters)?,
                patterns("namespaces", &self.namespaces)?,
            ),
            name: self.name,
            permissions: self.permissions,
            users: self.users,
            groups: self.groups,
            tokens: self.tokens,
            everyone: self.everyone,
        })
    }
}
