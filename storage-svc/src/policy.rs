//! Who may do what where. Whatever no rule names is denied.

use std::fmt;

use object_store::path::Path;
use prometheus_client::encoding::EncodeLabelValue;
use service_kit::{Identity, Principal};

use crate::path::{FolderPath, ObjectPath};

/// What a caller can ask for. A copy is a read of its source and a write of its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Operation {
    /// Learn which objects there are below a folder.
    List,
    /// Read an object's content or metadata.
    Read,
    /// Write an object.
    Write,
    /// Delete an object.
    Delete,
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::List => "list",
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
        })
    }
}

/// Whom a rule speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Who {
    /// The service of this name.
    Service(&'static str),
    /// Any federated cluster.
    AnyCluster,
    /// Exactly this identity.
    Exactly(Identity),
}

/// Which part of the bucket a rule opens.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Below {
    /// All of it.
    Everything,
    /// A folder at the top.
    Folder(&'static str),
    /// `federated/<id>` of the cluster that calls.
    OwnClusterFolder,
}

#[derive(Debug, Clone)]
struct Rule {
    who: Who,
    may: &'static [Operation],
    below: Below,
}

use Operation::{Delete, List, Read, Write};

/// The rules of the product.
const RULES: [Rule; 4] = [
    // Ingest finds the clusters' files and builds the lake beside them. It has no business in changing the files.
    Rule {
        who: Who::Service("ingest-svc"),
        may: &[List, Read],
        below: Below::Everything,
    },
    Rule {
        who: Who::Service("ingest-svc"),
        may: &[Write, Delete],
        below: Below::Folder("derived"),
    },
    // Query answers from the lake alone, so a flaw in it cannot reach the raw files.
    Rule {
        who: Who::Service("query-svc"),
        may: &[List, Read],
        below: Below::Folder("derived"),
    },
    // A cluster adds to its own files. It cannot delete: a stolen certificate must not erase history.
    Rule {
        who: Who::AnyCluster,
        may: &[List, Read, Write],
        below: Below::OwnClusterFolder,
    },
];

/// Folder that holds one folder for each cluster.
const CLUSTERS: &str = "federated";

/// Who may do what where.
#[derive(Debug, Clone)]
pub struct Policy {
    rules: Vec<Rule>,
}

impl Default for Policy {
    /// The rules of the product.
    fn default() -> Self {
        Self { rules: RULES.to_vec() }
    }
}

impl Policy {
    /// The rules of the product, and one identity that may do everything. For tests that write anywhere; no
    /// configuration file can ask for it.
    #[must_use]
    pub fn allow_all_for(identity: Identity) -> Self {
        let mut policy = Self::default();
        policy.rules.push(Rule {
            who: Who::Exactly(identity),
            may: &[List, Read, Write, Delete],
            below: Below::Everything,
        });
        policy
    }

    /// Whether a caller may list a folder.
    pub(crate) fn allows_listing(&self, caller: &Identity, folder: &FolderPath) -> bool {
        self.rules
            .iter()
            .any(|rule| rule.covers(caller, List, folder.as_path(), Target::Folder))
    }

    /// Whether a caller may do something with an object.
    pub(crate) fn allows(&self, caller: &Identity, operation: Operation, object: &ObjectPath) -> bool {
        self.rules
            .iter()
            .any(|rule| rule.covers(caller, operation, object.as_path(), Target::Object))
    }
}

/// What a path stands for: a folder may be the rule's own, an object lies below it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Folder,
    Object,
}

impl Rule {
    fn covers(&self, caller: &Identity, operation: Operation, path: &Path, target: Target) -> bool {
        let speaks_of_caller = match (&self.who, caller.principal()) {
            (Who::Service(name), Principal::Service(caller)) => name == caller,
            (Who::AnyCluster, Principal::Cluster(_)) => true,
            (Who::Exactly(identity), _) => identity == caller,
            (Who::Service(_), Principal::Cluster(_)) | (Who::AnyCluster, Principal::Service(_)) => false,
        };
        speaks_of_caller && self.may.contains(&operation) && self.below.holds(caller, path, target)
    }
}

impl Below {
    fn holds(&self, caller: &Identity, path: &Path, target: Target) -> bool {
        let folder = match (self, caller.principal()) {
            (Self::Everything, _) => return true,
            (Self::Folder(folder), _) => vec![*folder],
            (Self::OwnClusterFolder, Principal::Cluster(id)) => vec![CLUSTERS, id],
            (Self::OwnClusterFolder, Principal::Service(_)) => return false,
        };
        // Whole segments are compared, so that `derived2` is not taken for a part of `derived`.
        let mut segments = path.as_ref().split('/');
        folder.into_iter().all(|segment| segments.next() == Some(segment))
            && (target == Target::Folder || segments.next().is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(path: &str) -> Identity {
        format!("spiffe://fedcost/{path}").parse().unwrap()
    }

    /// The letters of the operations that are allowed on a path: `l` for a listing of it, `r`, `w` and `d` for it as
    /// an object.
    fn allowed(policy: &Policy, caller: &Identity, path: &str) -> String {
        let mut letters = String::new();
        if policy.allows_listing(caller, &FolderPath::parse(path).unwrap()) {
            letters.push('l');
        }
        for (operation, letter) in [(Read, 'r'), (Write, 'w'), (Delete, 'd')] {
            if ObjectPath::parse(path).is_ok_and(|path| policy.allows(caller, operation, &path)) {
                letters.push(letter);
            }
        }
        letters
    }

    #[test]
    fn each_identity_gets_its_part_of_the_bucket_and_nothing_else() {
        let callers = [
            "service/ingest-svc",
            "service/query-svc",
            "cluster/a",
            "cluster/derived",
            "service/gateway-svc",
        ];
        let table = [
            ("", ["l", "", "", "", ""]),
            ("readme", ["lr", "", "", "", ""]),
            ("derived", ["lr", "l", "", "", ""]),
            ("derived/x", ["lrwd", "lr", "", "", ""]),
            ("derived/tables/x.parquet", ["lrwd", "lr", "", "", ""]),
            ("derived2/x", ["lr", "", "", "", ""]),
            ("Derived/x", ["lr", "", "", "", ""]),
            ("federated", ["lr", "", "", "", ""]),
            ("federated/x", ["lr", "", "", "", ""]),
            ("federated/a", ["lr", "", "l", "", ""]),
            ("federated/a/x", ["lr", "", "lrw", "", ""]),
            ("federated/a/etl/bingen/x", ["lr", "", "lrw", "", ""]),
            ("federated/ab/x", ["lr", "", "", "", ""]),
            ("federated/b/x", ["lr", "", "", "", ""]),
            ("federated/derived/x", ["lr", "", "", "lrw", ""]),
            ("federated/a%2Fx", ["lr", "", "", "", ""]),
            ("x/federated/a/x", ["lr", "", "", "", ""]),
            ("x/derived/x", ["lr", "", "", "", ""]),
        ];
        for (path, expected) in table {
            for (caller, expected) in callers.iter().zip(expected) {
                assert_eq!(
                    allowed(&Policy::default(), &identity(caller), path),
                    expected,
                    "{caller} on {path:?}"
                );
            }
        }
    }

    #[test]
    fn a_service_and_a_cluster_of_one_name_are_not_confused() {
        let policy = Policy::default();
        assert_eq!(allowed(&policy, &identity("cluster/ingest-svc"), "derived/x"), "");
        assert_eq!(allowed(&policy, &identity("service/a"), "federated/a/x"), "");
    }

    #[test]
    fn the_exception_is_for_one_identity() {
        let policy = Policy::allow_all_for(identity("service/tester"));
        assert_eq!(allowed(&policy, &identity("service/tester"), "anywhere/x"), "lrwd");
        assert_eq!(allowed(&policy, &identity("service/query-svc"), "anywhere/x"), "");
        let elsewhere: Identity = "spiffe://elsewhere/service/tester".parse().unwrap();
        assert_eq!(allowed(&policy, &elsewhere, "anywhere/x"), "");
    }
}
