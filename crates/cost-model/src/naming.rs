//! How allocations and assets are named by what identifies them.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    hash::BuildHasher,
};

/// What nothing used of a node.
pub const IDLE: &str = "__idle__";
/// A workload that lacks what was asked for, such as a controller or a label.
pub const UNALLOCATED: &str = "__unallocated__";
/// Volumes and load balancers of no pod.
pub const UNMOUNTED: &str = "__unmounted__";
/// An asset that lacks what was asked for.
pub const UNDEFINED: &str = "__undefined__";

/// Something that finds the value of a label or annotation by its name.
pub trait Labels {
    /// The value; none when there is no such label, which an empty value is not.
    fn label(&self, name: &str) -> Option<&str>;

    /// Whether there is a label whose name passes `test`.
    fn any_key(&self, test: &mut dyn FnMut(&str) -> bool) -> bool;
}

impl Labels for BTreeMap<String, String> {
    fn label(&self, name: &str) -> Option<&str> {
        self.get(name).map(String::as_str)
    }

    fn any_key(&self, test: &mut dyn FnMut(&str) -> bool) -> bool {
        self.keys().any(|key| test(key))
    }
}

impl<S: BuildHasher> Labels for HashMap<String, String, S> {
    fn label(&self, name: &str) -> Option<&str> {
        self.get(name).map(String::as_str)
    }

    fn any_key(&self, test: &mut dyn FnMut(&str) -> bool) -> bool {
        self.keys().any(|key| test(key))
    }
}

impl Labels for &[(&str, &str)] {
    fn label(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    fn any_key(&self, test: &mut dyn FnMut(&str) -> bool) -> bool {
        self.iter().any(|(key, _)| test(key))
    }
}

/// No labels at all.
#[derive(Clone, Copy, Debug)]
pub struct NoLabels;

impl Labels for NoLabels {
    fn label(&self, _: &str) -> Option<&str> {
        None
    }

    fn any_key(&self, _: &mut dyn FnMut(&str) -> bool) -> bool {
        false
    }
}

/// `kind:name`, the bare name when the kind is unknown, [`UNALLOCATED`] when there is no controller.
pub fn controller<'a>(kind: &str, name: &'a str) -> Cow<'a, str> {
    match (kind, name) {
        (_, "") => Cow::Borrowed(UNALLOCATED),
        ("", name) => Cow::Borrowed(name),
        (kind, name) => Cow::Owned(format!("{kind}:{name}")),
    }
}

/// The controller's name if it is of the kind `wanted`, else [`UNALLOCATED`].
pub fn controller_of_kind<'a>(wanted: &str, kind: &str, name: &'a str) -> &'a str {
    if kind == wanted {
        non_empty(name, UNALLOCATED)
    } else {
        UNALLOCATED
    }
}

/// The value, or `otherwise` when it is empty.
pub fn non_empty<'a>(value: &'a str, otherwise: &'static str) -> &'a str {
    if value.is_empty() { otherwise } else { value }
}

/// The first service. A load balancer of no pod knows its service, but stays [`UNMOUNTED`]: it must not be taken
/// for a workload.
pub fn service(first_service: Option<&str>, unmounted: bool) -> &str {
    match first_service {
        None => UNALLOCATED,
        Some(_) if unmounted => UNMOUNTED,
        Some(service) => service,
    }
}

/// A label's name as Prometheus writes it: what is no letter, digit or underscore becomes an underscore. Agents
/// store labels and annotations under such names.
pub fn sanitize_label_name(name: &str) -> String {
    name.chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn controllers() {
        let cases = [
            ("deployment", "api", "deployment:api"),
            ("", "api", "api"),
            ("deployment", "", UNALLOCATED),
            ("", "", UNALLOCATED),
        ];
        for (kind, name, expected) in cases {
            assert_eq!(controller(kind, name), expected);
        }
        assert_eq!(controller_of_kind("job", "job", "import"), "import");
        assert_eq!(controller_of_kind("job", "deployment", "api"), UNALLOCATED);
        assert_eq!(controller_of_kind("job", "job", ""), UNALLOCATED);
    }

    #[test]
    fn services() {
        assert_eq!(service(Some("web"), false), "web");
        assert_eq!(service(Some("web"), true), UNMOUNTED);
        assert_eq!(service(None, true), UNALLOCATED);
    }

    #[test]
    fn label_names() {
        let cases = [
            ("app.kubernetes.io/name", "app_kubernetes_io_name"),
            ("Team", "Team"),
            ("größe", "gr__e"),
        ];
        for (name, expected) in cases {
            assert_eq!(sanitize_label_name(name), expected);
        }
    }

    proptest! {
        #[test]
        fn sanitizing_twice_changes_nothing(name in "\\PC{0,30}") {
            let once = sanitize_label_name(&name);
            prop_assert_eq!(sanitize_label_name(&once), once);
        }
    }
}
