//! What assets are added up by.

use std::{borrow::Cow, fmt};

use super::{Key, LabelAliases, PARAMETER, after_prefix};
use crate::{
    ParameterError,
    naming::{Labels, NoLabels, UNDEFINED, non_empty, sanitize_label_name},
};

const TAKES: &str = "a comma list of type, cluster, provider, account, project, category, service, name, providerID \
                     and label:NAME, or all alone";

/// A property of assets to add up by.
///
/// [`Display`](fmt::Display) writes the form that services send each other, which [`Key::parse`] reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AssetKey {
    /// Kind of asset, such as `Node`.
    Type,
    /// Cluster id.
    Cluster,
    /// Cloud provider.
    Provider,
    /// Account at the provider.
    Account,
    /// Project at the provider.
    Project,
    /// Such as `Compute`.
    Category,
    /// Such as `Kubernetes`.
    Service,
    /// Name.
    Name,
    /// Id at the provider.
    ProviderId,
    /// The value of a label, by the name that agents store it under.
    Label(String),
}

/// What identifies an asset, as far as keys ask for it. Empty means unknown.
#[derive(Clone, Copy)]
pub struct Asset<'a> {
    /// Kind of asset, such as `Node`.
    pub kind: &'a str,
    /// Cluster id.
    pub cluster: &'a str,
    /// Cloud provider.
    pub provider: &'a str,
    /// Account at the provider.
    pub account: &'a str,
    /// Project at the provider.
    pub project: &'a str,
    /// Such as `Compute`.
    pub category: &'a str,
    /// Such as `Kubernetes`.
    pub service: &'a str,
    /// Name.
    pub name: &'a str,
    /// Id at the provider.
    pub provider_id: &'a str,
    /// Labels.
    pub labels: &'a dyn Labels,
}

impl Default for Asset<'_> {
    fn default() -> Self {
        Self {
            kind: "",
            cluster: "",
            provider: "",
            account: "",
            project: "",
            category: "",
            service: "",
            name: "",
            provider_id: "",
            labels: &NoLabels,
        }
    }
}

impl Key for AssetKey {
    type Member<'a> = Asset<'a>;

    const FINEST: &'static [Self] = &[
        Self::Provider,
        Self::Account,
        Self::Project,
        Self::Category,
        Self::Cluster,
        Self::Type,
        Self::Service,
        Self::ProviderId,
        Self::Name,
    ];

    fn parse(text: &str) -> Result<Self, ParameterError> {
        if let Some(name) = after_prefix(text, "label") {
            return Ok(Self::Label(sanitize_label_name(name)));
        }
        Ok(match text.trim().to_ascii_lowercase().as_str() {
            "type" => Self::Type,
            "cluster" => Self::Cluster,
            "provider" => Self::Provider,
            "account" => Self::Account,
            "project" => Self::Project,
            "category" => Self::Category,
            "service" => Self::Service,
            "name" => Self::Name,
            "providerid" => Self::ProviderId,
            _ => {
                return Err(ParameterError::Malformed {
                    parameter: PARAMETER,
                    got: text.to_owned(),
                    takes: TAKES,
                });
            }
        })
    }

    /// The value, for a label `name=value`; [`UNDEFINED`] for what is missing.
    fn value<'a>(&self, asset: &Self::Member<'a>, _: &LabelAliases) -> Cow<'a, str> {
        let value = match self {
            Self::Type => asset.kind,
            Self::Cluster => asset.cluster,
            Self::Provider => asset.provider,
            Self::Account => asset.account,
            Self::Project => asset.project,
            Self::Category => asset.category,
            Self::Service => asset.service,
            Self::Name => asset.name,
            Self::ProviderId => asset.provider_id,
            Self::Label(name) => match asset.labels.label(name) {
                None | Some("") => "",
                Some(value) => return Cow::Owned(format!("{name}={value}")),
            },
        };
        Cow::Borrowed(non_empty(value, UNDEFINED))
    }
}

impl fmt::Display for AssetKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Type => "type",
            Self::Cluster => "cluster",
            Self::Provider => "provider",
            Self::Account => "account",
            Self::Project => "project",
            Self::Category => "category",
            Self::Service => "service",
            Self::Name => "name",
            Self::ProviderId => "providerID",
            Self::Label(name) => return write!(formatter, "label:{name}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::AssetAggregation, *};

    const EVERY_KEY: &str = "type,cluster,provider,account,project,category,service,name,providerID,label:x";

    #[test]
    fn every_key_is_read_in_any_case_and_written_canonically() {
        assert_eq!(
            AssetAggregation::parse(EVERY_KEY).unwrap().to_items().join(","),
            EVERY_KEY
        );
        assert_eq!(
            AssetAggregation::parse(&EVERY_KEY.to_uppercase())
                .unwrap()
                .name_keys()
                .len(),
            10
        );
        let message = AssetAggregation::parse("type,node").unwrap_err().to_string();
        assert_eq!(message, format!("parameter aggregate got \"node\"; it takes {TAKES}"));
    }

    #[test]
    fn names_join_values() {
        let labels: &[(&str, &str)] = &[("label_team", "core"), ("empty", "")];
        let asset = Asset {
            kind: "Node",
            cluster: "prod-us",
            provider: "AWS",
            account: "111122223333",
            category: "Compute",
            service: "Kubernetes",
            name: "node-0",
            provider_id: "i-0",
            labels: &labels,
            ..Asset::default()
        };
        let cases = [
            (
                "",
                "AWS/111122223333/__undefined__/Compute/prod-us/Node/Kubernetes/i-0/node-0",
            ),
            ("provider,type", "AWS/Node"),
            ("label:label_team", "label_team=core"),
            (
                "label:empty,label:none,project",
                "__undefined__/__undefined__/__undefined__",
            ),
            ("all", ""),
        ];
        for (text, expected) in cases {
            let aggregation = AssetAggregation::parse(text).unwrap();
            assert_eq!(aggregation.name(&asset, &LabelAliases::default()), expected, "{text}");
        }
    }
}
