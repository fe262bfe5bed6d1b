//! What allocations and assets are added up by.

mod alias;
mod allocation_key;
mod asset_key;

use std::{borrow::Cow, fmt};

pub use alias::{Alias, LabelAliases};
pub use allocation_key::{AllocationKey, Workload};
pub use asset_key::{Asset, AssetKey};

use crate::ParameterError;

/// What allocations are added up to.
pub type Aggregation = Grouping<AllocationKey>;

/// What assets are added up to.
pub type AssetAggregation = Grouping<AssetKey>;

const PARAMETER: &str = "aggregate";

/// A property to add up by. What [`fmt::Display`] writes, [`Key::parse`] reads.
pub trait Key: fmt::Display + Sized + 'static {
    /// What has the property.
    type Member<'a>;

    /// The keys that tell any two members apart, in the order in which their values name one.
    const FINEST: &'static [Self];

    /// Reads one key.
    ///
    /// # Errors
    /// [`ParameterError::Malformed`] for a key that does not exist.
    fn parse(text: &str) -> Result<Self, ParameterError>;

    /// What `member` is called under this key.
    fn value<'a>(&self, member: &Self::Member<'a>, aliases: &LabelAliases) -> Cow<'a, str>;
}

/// What members are added up to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Grouping<K> {
    /// Nothing but themselves.
    #[default]
    None,
    /// One in all, whose name is empty.
    All,
    /// One per combination of values; never without keys.
    Keys(Vec<K>),
}

impl<K: Key> Grouping<K> {
    /// The word that asks for one in all.
    pub const ALL: &str = "all";

    /// Reads the parameter `aggregate`.
    ///
    /// # Errors
    /// [`ParameterError::Malformed`] for a key that does not exist, or `all` beside another.
    pub fn parse(text: &str) -> Result<Self, ParameterError> {
        Self::from_items(text.split(',').map(str::trim).filter(|item| !item.is_empty()))
    }

    /// Reads keys that are a list already, as services send them.
    ///
    /// # Errors
    /// As [`Grouping::parse`].
    pub fn from_items<'a>(items: impl IntoIterator<Item = &'a str>) -> Result<Self, ParameterError> {
        let items: Vec<_> = items.into_iter().collect();
        match items.as_slice() {
            [] => Ok(Self::None),
            [only] if only.eq_ignore_ascii_case(Self::ALL) => Ok(Self::All),
            keys => keys
                .iter()
                .map(|key| K::parse(key))
                .collect::<Result<_, _>>()
                .map(Self::Keys),
        }
    }

    /// The list that [`Grouping::from_items`] reads.
    pub fn to_items(&self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::All => vec![Self::ALL.to_owned()],
            Self::Keys(keys) => keys.iter().map(ToString::to_string).collect(),
        }
    }

    /// The keys whose values, joined by `/`, are a name.
    pub fn name_keys(&self) -> &[K] {
        match self {
            Self::None => K::FINEST,
            Self::All => &[],
            Self::Keys(keys) => keys,
        }
    }

    /// The name of what `member` is added to.
    pub fn name(&self, member: &K::Member<'_>, aliases: &LabelAliases) -> String {
        let mut name = String::new();
        for (index, key) in self.name_keys().iter().enumerate() {
            if index > 0 {
                name.push('/');
            }
            name.push_str(&key.value(member, aliases));
        }
        name
    }
}

/// The name after a prefix such as `label:`, in whatever case the prefix is.
fn after_prefix<'a>(item: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, name) = item.split_once(':')?;
    let name = name.trim();
    (head.trim().eq_ignore_ascii_case(prefix) && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_read_in_any_case_and_want_a_name() {
        assert_eq!(after_prefix("Label:App:x", "label"), Some("App:x"));
        for item in ["label:", "label", "annotation:x"] {
            assert_eq!(after_prefix(item, "label"), None, "{item}");
        }
    }
}
