//! What filters ask about.

use std::{fmt, hash::Hash};

use crate::aggregation::Alias;

/// What a field holds, which decides what the comparisons mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One text; a missing one is empty.
    Text,
    /// One word, in whatever case.
    Word,
    /// Any number of texts, each compared as a whole or by its ends.
    List,
    /// The names of a map, each compared as a whole or by its ends.
    Names,
}

/// A field that filters ask about. What [`fmt::Display`] writes is read through [`FilterField::named`] and
/// [`FilterField::under`].
pub trait FilterField: Clone + fmt::Display + Eq + Hash + 'static {
    /// The fields there are, for messages.
    const TAKES: &'static str;

    /// The field of that name, in its exact case. Of a map, its names.
    fn named(name: &str) -> Option<Self>;

    /// Of a map, the value under one of its names, which must be as agents store it.
    fn under(&self, name: &str) -> Option<Self>;

    /// What the field holds.
    fn shape(&self) -> Shape;

    /// The name, if the field is the value under one name of a map.
    fn name_in_map(&self) -> Option<&str>;

    /// True for the field that holds the cluster id.
    fn is_cluster(&self) -> bool;
}

/// A field of allocations.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AllocationField {
    /// `cluster`: cluster id.
    Cluster,
    /// `node`: node name.
    Node,
    /// `namespace`
    Namespace,
    /// `controllerName`
    ControllerName,
    /// `controllerKind`, in lower case.
    ControllerKind,
    /// `pod`: pod name.
    Pod,
    /// `container`: container name.
    Container,
    /// `provider`, or `providerID`: the node's id at the cloud provider.
    ProviderId,
    /// `services`: the services that select the pod.
    Services,
    /// `label`: the names of the pod's labels.
    LabelNames,
    /// `label[name]`: the value of a pod label, by the name that agents store it under.
    Label(String),
    /// `annotation`: the names of the pod's annotations.
    AnnotationNames,
    /// `annotation[name]`: the value of a pod annotation, by the name that agents store it under.
    Annotation(String),
    /// What the configuration says that a department, owner and so on is.
    Alias(Alias),
}

impl FilterField for AllocationField {
    const TAKES: &'static str = "cluster, node, namespace, controllerName, controllerKind, pod, container, provider, \
                                 services, label, label[NAME], annotation, annotation[NAME], department, \
                                 environment, owner, product, team";

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "cluster" => Self::Cluster,
            "node" => Self::Node,
            "namespace" => Self::Namespace,
            "controllerName" => Self::ControllerName,
            "controllerKind" => Self::ControllerKind,
            "pod" => Self::Pod,
            "container" => Self::Container,
            "provider" | "providerID" => Self::ProviderId,
            "services" => Self::Services,
            "label" => Self::LabelNames,
            "annotation" => Self::AnnotationNames,
            "department" => Self::Alias(Alias::Department),
            "environment" => Self::Alias(Alias::Environment),
            "owner" => Self::Alias(Alias::Owner),
            "product" => Self::Alias(Alias::Product),
            "team" => Self::Alias(Alias::Team),
            _ => return None,
        })
    }

    fn under(&self, name: &str) -> Option<Self> {
        match self {
            Self::LabelNames => Some(Self::Label(name.to_owned())),
            Self::AnnotationNames => Some(Self::Annotation(name.to_owned())),
            _ => None,
        }
    }

    fn shape(&self) -> Shape {
        match self {
            Self::Services => Shape::List,
            Self::LabelNames | Self::AnnotationNames => Shape::Names,
            _ => Shape::Text,
        }
    }

    fn name_in_map(&self) -> Option<&str> {
        match self {
            Self::Label(name) | Self::Annotation(name) => Some(name),
            _ => None,
        }
    }

    fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster)
    }
}

impl fmt::Display for AllocationField {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Cluster => "cluster",
            Self::Node => "node",
            Self::Namespace => "namespace",
            Self::ControllerName => "controllerName",
            Self::ControllerKind => "controllerKind",
            Self::Pod => "pod",
            Self::Container => "container",
            Self::ProviderId => "provider",
            Self::Services => "services",
            Self::LabelNames => "label",
            Self::Label(name) => return write!(formatter, "label[{name}]"),
            Self::AnnotationNames => "annotation",
            Self::Annotation(name) => return write!(formatter, "annotation[{name}]"),
            Self::Alias(alias) => return alias.fmt(formatter),
        })
    }
}

/// A field of assets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AssetField {
    /// `name`
    Name,
    /// `assetType`, or `type`: kind of asset, such as `Node`, in whatever case.
    Type,
    /// `category`, such as `Compute`.
    Category,
    /// `cluster`: cluster id.
    Cluster,
    /// `project`: project at the provider.
    Project,
    /// `provider`: cloud provider.
    Provider,
    /// `providerID`: id at the provider.
    ProviderId,
    /// `account`: account at the provider.
    Account,
    /// `service`, such as `Kubernetes`.
    Service,
    /// `label`: the names of the labels.
    LabelNames,
    /// `label[name]`: the value of a label, by the name that agents store it under.
    Label(String),
}

impl FilterField for AssetField {
    const TAKES: &'static str = "name, assetType, category, cluster, project, provider, providerID, account, \
                                 service, label, label[NAME]";

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "name" => Self::Name,
            "assetType" | "type" => Self::Type,
            "category" => Self::Category,
            "cluster" => Self::Cluster,
            "project" => Self::Project,
            "provider" => Self::Provider,
            "providerID" => Self::ProviderId,
            "account" => Self::Account,
            "service" => Self::Service,
            "label" => Self::LabelNames,
            _ => return None,
        })
    }

    fn under(&self, name: &str) -> Option<Self> {
        match self {
            Self::LabelNames => Some(Self::Label(name.to_owned())),
            _ => None,
        }
    }

    fn shape(&self) -> Shape {
        match self {
            Self::Type => Shape::Word,
            Self::LabelNames => Shape::Names,
            _ => Shape::Text,
        }
    }

    fn name_in_map(&self) -> Option<&str> {
        match self {
            Self::Label(name) => Some(name),
            _ => None,
        }
    }

    fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster)
    }
}

impl fmt::Display for AssetField {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Name => "name",
            Self::Type => "assetType",
            Self::Category => "category",
            Self::Cluster => "cluster",
            Self::Project => "project",
            Self::Provider => "provider",
            Self::ProviderId => "providerID",
            Self::Account => "account",
            Self::Service => "service",
            Self::LabelNames => "label",
            Self::Label(name) => return write!(formatter, "label[{name}]"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_name_is_written_as_it_is_read<F: FilterField + fmt::Debug>() {
        for name in F::TAKES.split(", ") {
            let field = match name.split_once('[') {
                Some((map, _)) => F::named(map).and_then(|map| map.under("NAME")),
                None => F::named(name),
            };
            let field = field.unwrap_or_else(|| panic!("{name} is no field"));
            assert_eq!(field.to_string(), name);
            assert_eq!(F::named(&name.to_uppercase()), None);
            assert_eq!(field.is_cluster(), name == "cluster");
            assert_eq!(field.name_in_map().is_some(), name.contains('['));
        }
    }

    #[test]
    fn names() {
        every_name_is_written_as_it_is_read::<AllocationField>();
        every_name_is_written_as_it_is_read::<AssetField>();
        assert_eq!(AllocationField::named("providerID"), Some(AllocationField::ProviderId));
        assert_eq!(AssetField::named("type"), Some(AssetField::Type));
        assert_eq!(AllocationField::Pod.under("x"), None);
    }
}
