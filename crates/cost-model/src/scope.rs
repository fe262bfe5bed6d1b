//! What of all clusters a caller may see.
//!
//! A scope is a rule about rows: a row is seen or not, before anything is added up. So an answer within a scope is the one
//! over a bucket that holds nothing else.

use std::{fmt, str::FromStr};

use glob::MatchOptions;

use crate::naming::UNALLOCATED;

/// The longest pattern, in bytes: that of a DNS name.
pub const LONGEST_PATTERN: usize = 253;

/// The most `*` in a pattern, as each may double the work of comparing.
const MOST_STARS: usize = 4;

/// A name, in which each `*` stands for any characters, or none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: String,
    compiled: glob::Pattern,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a name or pattern: it takes 1 to {LONGEST_PATTERN} characters, of which at most {MOST_STARS} are `*`, \
     each for any characters"
)]
pub struct PatternError(String);

impl Pattern {
    /// The pattern of every name.
    fn is_all(&self) -> bool {
        self.text == "*"
    }

    /// Whether this is one of the names that are meant.
    pub fn matches(&self, name: &str) -> bool {
        // Names are compared as they are: neither `/` nor a leading dot is special in them.
        let options = MatchOptions {
            case_sensitive: true,
            require_literal_separator: false,
            require_literal_leading_dot: false,
        };
        self.compiled.matches_with(name, options)
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let wrong = || PatternError(text.chars().take(LONGEST_PATTERN).collect());
        let stars = text.bytes().filter(|byte| *byte == b'*').count();
        // Only `*` is a sign; `**` would be one of its own, for folders.
        let is_plain = !text.contains("**") && !text.chars().any(char::is_control);
        if !(1..=LONGEST_PATTERN).contains(&text.len()) || stars > MOST_STARS || !is_plain {
            return Err(wrong());
        }
        let escaped: Vec<String> = text.split('*').map(glob::Pattern::escape).collect();
        Ok(Self {
            text: text.to_owned(),
            compiled: glob::Pattern::new(&escaped.join("*")).map_err(|_| wrong())?,
        })
    }
}

impl fmt::Display for Pattern {
    /// As it was read.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Namespaces of clusters that may be seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Grant {
    clusters: Vec<Pattern>,
    namespaces: Vec<Pattern>,
}

impl Grant {
    /// These namespaces of these clusters. Without any of either, it grants nothing.
    pub fn new(clusters: Vec<Pattern>, namespaces: Vec<Pattern>) -> Self {
        Self { clusters, namespaces }
    }

    /// The clusters.
    pub fn clusters(&self) -> &[Pattern] {
        &self.clusters
    }

    /// The namespaces.
    pub fn namespaces(&self) -> &[Pattern] {
        &self.namespaces
    }

    fn has_cluster(&self, cluster: &str) -> bool {
        self.clusters.iter().any(|pattern| pattern.matches(cluster))
    }

    fn has_namespace(&self, namespace: &str) -> bool {
        let name = if namespace.is_empty() { UNALLOCATED } else { namespace };
        self.namespaces.iter().any(|pattern| pattern.matches(name))
    }

    fn has_all_namespaces(&self) -> bool {
        self.namespaces.iter().any(Pattern::is_all)
    }

    fn is_everything(&self) -> bool {
        self.has_all_namespaces() && self.clusters.iter().any(Pattern::is_all)
    }
}

/// What a caller may see.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All there is.
    Everything,
    /// What any of these grants; so without any, nothing.
    Granted(Vec<Grant>),
}

impl Scope {
    /// A scope in which there is nothing.
    pub const NOTHING: Self = Self::Granted(Vec::new());

    /// What any of `grants` grants.
    pub fn of(grants: Vec<Grant>) -> Self {
        if grants.iter().any(Grant::is_everything) {
            Self::Everything
        } else {
            Self::Granted(grants)
        }
    }

    /// Whether all there is may be seen.
    pub fn is_everything(&self) -> bool {
        matches!(self, Self::Everything)
    }

    /// Whether nothing may be seen.
    pub fn is_nothing(&self) -> bool {
        match self {
            Self::Everything => false,
            Self::Granted(grants) => grants
                .iter()
                .all(|grant| grant.clusters.is_empty() || grant.namespaces.is_empty()),
        }
    }

    /// The grants; none for everything.
    pub fn grants(&self) -> &[Grant] {
        match self {
            Self::Everything => &[],
            Self::Granted(grants) => grants,
        }
    }

    /// Whether some namespaces of some cluster are seen where others are not, so that namespaces must be told apart.
    pub fn tells_namespaces(&self) -> bool {
        !self.grants().iter().all(Grant::has_all_namespaces)
    }

    /// Whether an allocation is seen. `federated_cluster` is whose files it stands in, which the cluster that it names
    /// should be, but need not.
    pub fn sees_allocation(&self, federated_cluster: &str, cluster: &str, namespace: &str) -> bool {
        self.sees(|grant| {
            grant.has_cluster(federated_cluster) && grant.has_cluster(cluster) && grant.has_namespace(namespace)
        })
    }

    /// Whether an asset is seen. What a cluster costs tells of all that runs in it, so all its namespaces must be seen.
    pub fn sees_asset(&self, federated_cluster: &str, cluster: &str) -> bool {
        self.sees(|grant| {
            grant.has_all_namespaces() && grant.has_cluster(federated_cluster) && grant.has_cluster(cluster)
        })
    }

    /// Whether all of a cluster is seen.
    pub fn sees_whole_cluster(&self, cluster: &str) -> bool {
        self.sees_asset(cluster, cluster)
    }

    /// Whether anything of a cluster may be seen.
    pub fn sees_of_cluster(&self, cluster: &str) -> bool {
        self.sees(|grant| !grant.namespaces.is_empty() && grant.has_cluster(cluster))
    }

    fn sees(&self, grants: impl Fn(&Grant) -> bool) -> bool {
        self.is_everything() || self.grants().iter().any(grants)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn grant(clusters: &[&str], namespaces: &[&str]) -> Grant {
        Grant::new(patterns(clusters), patterns(namespaces))
    }

    #[test]
    fn only_stars_are_signs() {
        for (pattern, name, expected) in [
            ("prod-*", "prod-eu", true),
            ("prod-*", "prod-", true),
            ("prod-*", "my-prod-eu", false),
            ("*-eu", "prod-eu", true),
            ("p*-*u", "prod-eu", true),
            ("*", "", true),
            ("*", ".hidden/with", true),
            ("prod", "Prod", false),
            ("prod", "prod-eu", false),
            ("pro?", "prod", false),
            ("pro?", "pro?", true),
            ("pro[d]", "prod", false),
        ] {
            assert_eq!(
                pattern.parse::<Pattern>().unwrap().matches(name),
                expected,
                "{pattern} {name}"
            );
        }
        for wrong in ["", "a**b", "*a*b*c*d*", "a\nb", &"x".repeat(LONGEST_PATTERN + 1)] {
            assert!(wrong.parse::<Pattern>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn rows_are_seen_by_one_grant_as_a_whole() {
        let scope = Scope::of(vec![grant(&["prod-*"], &["web", "team-*"]), grant(&["dev"], &["*"])]);
        assert!(!scope.is_everything() && !scope.is_nothing() && scope.tells_namespaces());
        for (folder, cluster, namespace, expected) in [
            ("prod-eu", "prod-eu", "web", true),
            ("prod-eu", "prod-eu", "team-a", true),
            ("prod-eu", "prod-eu", "kube-system", false),
            ("prod-eu", "prod-eu", "", false),
            ("dev", "dev", "kube-system", true),
            ("dev", "dev", "", true),
            ("other", "other", "web", false),
            // What another cluster's files say of a cluster, or the other way round.
            ("other", "prod-eu", "web", false),
            ("prod-eu", "other", "web", false),
            ("dev", "prod-eu", "kube-system", false),
            ("dev", "prod-eu", "web", false),
        ] {
            assert_eq!(
                scope.sees_allocation(folder, cluster, namespace),
                expected,
                "{folder} {cluster} {namespace}"
            );
        }
        assert!(scope.sees_whole_cluster("dev") && !scope.sees_whole_cluster("prod-eu"));
        assert!(scope.sees_of_cluster("prod-eu") && !scope.sees_of_cluster("other"));
        assert!(!scope.sees_asset("dev", "prod-eu"));
    }

    #[test]
    fn everything_and_nothing() {
        assert_eq!(
            Scope::of(vec![grant(&["a"], &["b"]), grant(&["*"], &["*"])]),
            Scope::Everything
        );
        for nothing in [
            Scope::NOTHING,
            Scope::of(vec![grant(&["*"], &[])]),
            Scope::of(vec![grant(&[], &["*"])]),
        ] {
            assert!(nothing.is_nothing() && !nothing.is_everything());
            assert!(!nothing.sees_allocation("a", "a", "b") && !nothing.sees_asset("a", "a"));
            assert!(!nothing.sees_of_cluster("a"));
        }
        let unallocated = Scope::of(vec![grant(&["*"], &["__unallocated__"])]);
        assert!(unallocated.sees_allocation("a", "a", "") && !unallocated.sees_allocation("a", "a", "web"));
        assert!(!Scope::of(vec![grant(&["a"], &["*"])]).tells_namespaces());
    }
}
