//! Organisational keys that stand for labels.

use std::fmt;

use crate::naming::{Labels, sanitize_label_name};

/// A key that stands for a label or annotation, which one being a matter of configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alias {
    /// `department`
    Department,
    /// `environment`
    Environment,
    /// `owner`
    Owner,
    /// `product`
    Product,
    /// `team`
    Team,
}

impl fmt::Display for Alias {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Department => "department",
            Self::Environment => "environment",
            Self::Owner => "owner",
            Self::Product => "product",
            Self::Team => "team",
        })
    }
}

/// The labels or annotations that each [`Alias`] stands for, in order of preference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelAliases {
    department: Vec<String>,
    environment: Vec<String>,
    owner: Vec<String>,
    product: Vec<String>,
    team: Vec<String>,
}

impl Default for LabelAliases {
    fn default() -> Self {
        let one = |name: &str| vec![name.to_owned()];
        Self {
            department: one("department"),
            environment: one("env"),
            owner: one("owner"),
            product: one("app"),
            team: one("team"),
        }
    }
}

impl LabelAliases {
    /// Replaces what `alias` stands for by a comma list of names, of which the first that a workload has counts. A
    /// list of nothing leaves the default.
    #[must_use]
    pub fn with(mut self, alias: Alias, names: &str) -> Self {
        let names: Vec<_> = names
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(sanitize_label_name)
            .collect();
        if !names.is_empty() {
            match alias {
                Alias::Department => self.department = names,
                Alias::Environment => self.environment = names,
                Alias::Owner => self.owner = names,
                Alias::Product => self.product = names,
                Alias::Team => self.team = names,
            }
        }
        self
    }

    /// The names that `alias` stands for, as agents store them.
    pub fn names(&self, alias: Alias) -> &[String] {
        match alias {
            Alias::Department => &self.department,
            Alias::Environment => &self.environment,
            Alias::Owner => &self.owner,
            Alias::Product => &self.product,
            Alias::Team => &self.team,
        }
    }

    /// The value of the first name that is there, of each name the label before the annotation.
    pub fn value<'a>(&self, alias: Alias, labels: &'a dyn Labels, annotations: &'a dyn Labels) -> Option<&'a str> {
        self.names(alias)
            .iter()
            .find_map(|name| labels.label(name).or_else(|| annotations.label(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_before_annotations_and_names_in_order() {
        let aliases = LabelAliases::default()
            .with(Alias::Team, "squad, example.com/team")
            .with(Alias::Owner, " , ");
        assert_eq!(aliases.names(Alias::Team), ["squad", "example_com_team"]);
        assert_eq!(aliases.names(Alias::Owner), ["owner"]);
        assert_eq!(aliases.names(Alias::Environment), ["env"]);
        assert_eq!(aliases.names(Alias::Product), ["app"]);
        let labels: &[(&str, &str)] = &[("example_com_team", "label")];
        let annotations: &[(&str, &str)] = &[("squad", "first"), ("example_com_team", "annotation"), ("owner", "")];
        assert_eq!(aliases.value(Alias::Team, &labels, &annotations), Some("first"));
        assert_eq!(aliases.value(Alias::Team, &labels, &&annotations[1..]), Some("label"));
        assert_eq!(aliases.value(Alias::Owner, &labels, &annotations), Some(""));
        assert_eq!(aliases.value(Alias::Department, &labels, &annotations), None);
    }
}
