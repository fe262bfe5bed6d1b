//! Which allocations or assets a question is about.
//!
//! The rules are those of OpenCost's filters, which clients were written against, but for what [`Filter::parse`]
//! reads beyond them.

mod fault;
mod field;
mod lists;
mod parse;
mod term;

use std::fmt;

pub use field::{AllocationField, AssetField, FilterField, Shape};
pub use lists::{allocation_filter_from_v1, asset_filter_from_v1};
pub use parse::{Leniency, MAX_DEPTH, MAX_LENGTH};
pub use term::{Comparison, Op, Term};

use crate::{
    LabelAliases,
    aggregation::{Asset, Workload},
};

/// Which allocations a question is about.
pub type AllocationFilter = Filter<AllocationField>;

/// Which assets a question is about.
pub type AssetFilter = Filter<AssetField>;

/// A condition on what has the fields `F`.
///
/// [`Filter::and`] and [`Filter::or`] build it flat: no group holds a group of its own kind, fewer than two parts, or
/// [`Filter::All`]. [`Display`](fmt::Display) writes what is built so in the form that services send each other,
/// which [`Filter::parse`] reads back as the same filter within its limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Filter<F> {
    /// No condition.
    #[default]
    All,
    /// A condition on one field.
    Term(Term<F>),
    /// Each of these holds.
    And(Vec<Filter<F>>),
    /// At least one of these holds.
    Or(Vec<Filter<F>>),
}

impl<F> Filter<F> {
    /// Both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, filter) | (filter, Self::All) => filter,
            (one, other) => {
                let mut parts = one.into_parts_of_and();
                parts.append(&mut other.into_parts_of_and());
                Self::And(parts)
            }
        }
    }

    /// At least one holds.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, _) | (_, Self::All) => Self::All,
            (one, other) => {
                let mut parts = one.into_parts_of_or();
                parts.append(&mut other.into_parts_of_or());
                Self::Or(parts)
            }
        }
    }

    fn into_parts_of_and(self) -> Vec<Self> {
        match self {
            Self::And(parts) => parts,
            filter => vec![filter],
        }
    }

    fn into_parts_of_or(self) -> Vec<Self> {
        match self {
            Self::Or(parts) => parts,
            filter => vec![filter],
        }
    }

    /// True for no condition at all.
    pub fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }

    /// The conditions on single fields, in the order in which they are written.
    pub fn terms(&self) -> impl Iterator<Item = &Term<F>> {
        let mut pending = vec![self];
        std::iter::from_fn(move || {
            loop {
                match pending.pop()? {
                    Self::All => {}
                    Self::Term(term) => return Some(term),
                    Self::And(parts) | Self::Or(parts) => pending.extend(parts.iter().rev()),
                }
            }
        })
    }

    /// The fields that the answer depends on, each as often as there are conditions on it.
    pub fn fields(&self) -> impl Iterator<Item = &F> {
        self.terms().map(Term::field)
    }

    /// Whether the condition holds where `test` tells which terms do. Terms that cannot change the outcome are not
    /// asked about.
    pub fn evaluate(&self, test: &mut impl FnMut(&Term<F>) -> bool) -> bool {
        match self {
            Self::All => true,
            Self::Term(term) => test(term),
            Self::And(parts) => parts.iter().all(|part| part.evaluate(test)),
            Self::Or(parts) => parts.iter().any(|part| part.evaluate(test)),
        }
    }
}

impl<F: FilterField> Filter<F> {
    /// False only if nothing of this cluster can match, whatever its other fields are.
    pub fn may_match_cluster(&self, cluster: &str) -> bool {
        self.evaluate(&mut |term| !term.field().is_cluster() || term.matches_str(cluster))
    }
}

impl AllocationFilter {
    /// Whether the condition holds for `workload`, which the services `services` select.
    pub fn matches(&self, workload: &Workload<'_>, services: &[&str], aliases: &LabelAliases) -> bool {
        self.evaluate(&mut |term| term.matches(workload, services, aliases))
    }
}

impl AssetFilter {
    /// Whether the condition holds for `asset`.
    pub fn matches(&self, asset: &Asset<'_>) -> bool {
        self.evaluate(&mut |term| term.matches(asset))
    }
}

impl<F> From<Term<F>> for Filter<F> {
    fn from(term: Term<F>) -> Self {
        Self::Term(term)
    }
}

impl<F: fmt::Display> fmt::Display for Filter<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parts, joint) = match self {
            Self::All => return Ok(()),
            Self::Term(term) => return term.fmt(formatter),
            Self::And(parts) => (parts, "+"),
            Self::Or(parts) => (parts, "|"),
        };
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                formatter.write_str(joint)?;
            }
            match part {
                Self::All | Self::Term(_) => part.fmt(formatter)?,
                Self::And(_) | Self::Or(_) => write!(formatter, "({part})")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> AllocationFilter {
        Filter::parse(text, Leniency::Strict).unwrap()
    }

    #[test]
    fn groups_are_flat() {
        let (a, b, c) = (parse(r#"node:"a""#), parse(r#"node:"b""#), parse(r#"node:"c""#));
        let all = AllocationFilter::All;
        assert_eq!(all.clone().and(a.clone()), a);
        assert_eq!(a.clone().or(all.clone()), all);
        let flat = Filter::And(vec![a.clone(), b.clone(), c.clone()]);
        assert_eq!(a.clone().and(b.clone()).and(c.clone()), flat);
        assert_eq!(a.clone().and(b.clone().and(c.clone())), flat);
        assert_eq!(parse(r#"(node:"a"+(node:"b"))+node:"c""#), flat);
        let mixed = a.and(b.or(c));
        assert_eq!(mixed.to_string(), r#"node:"a"+(node:"b"|node:"c")"#);
    }

    #[test]
    fn fields_are_in_order() {
        let filter = parse(r#"(namespace:"a"|label[x]:"b")+team!:"c""#);
        let fields: Vec<_> = filter.fields().map(ToString::to_string).collect();
        assert_eq!(fields, ["namespace", "label[x]", "team"]);
        assert!(!filter.is_all());
        assert!(parse("").is_all());
    }

    #[test]
    fn clusters_are_skipped_only_if_nothing_of_theirs_can_match() {
        let cases = [
            ("", true),
            (r#"namespace:"web""#, true),
            (r#"cluster:"a""#, true),
            (r#"cluster:"b","c""#, false),
            (r#"cluster!:"a""#, false),
            (r#"cluster!:"b""#, true),
            (r#"cluster<~:"b"+namespace:"web""#, false),
            (r#"cluster:"b"|namespace:"web""#, true),
            (r#"(cluster:"b"|cluster!~:"a")+namespace:"web""#, false),
            (r#"(cluster:"b"+pod:"x")|cluster:"a""#, true),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).may_match_cluster("a"), expected, "{text}");
        }
        let assets = AssetFilter::parse(r#"cluster:"b""#, Leniency::Strict).unwrap();
        assert!(!assets.may_match_cluster("a"));
    }
}
