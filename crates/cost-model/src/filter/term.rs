//! Conditions on single fields.

use std::fmt;

use super::{AllocationField, AssetField, FilterField, Shape};
use crate::{
    LabelAliases,
    aggregation::{Asset, Workload},
    naming::{Labels, UNALLOCATED, sanitize_label_name},
};

/// How a value is compared with the values of a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `:`
    Equals,
    /// `~:`
    Contains,
    /// `<~:`
    StartsWith,
    /// `~>:`
    EndsWith,
}

impl Comparison {
    fn holds(self, value: &str, wanted: &str) -> bool {
        match self {
            Self::Equals => value == wanted,
            Self::Contains => value.contains(wanted),
            Self::StartsWith => value.starts_with(wanted),
            Self::EndsWith => value.ends_with(wanted),
        }
    }
}

/// An operator: a comparison, or its opposite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Op {
    /// How values are compared.
    pub comparison: Comparison,
    /// Whether the comparison must fail, for each value, instead of holding for one.
    pub negated: bool,
}

impl From<Comparison> for Op {
    fn from(comparison: Comparison) -> Self {
        Self {
            comparison,
            negated: false,
        }
    }
}

impl std::ops::Not for Op {
    type Output = Self;

    fn not(self) -> Self {
        Self {
            negated: !self.negated,
            ..self
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negated {
            formatter.write_str("!")?;
        }
        formatter.write_str(match self.comparison {
            Comparison::Equals => ":",
            Comparison::Contains => "~:",
            Comparison::StartsWith => "<~:",
            Comparison::EndsWith => "~>:",
        })
    }
}

/// A condition on one field: that it compares with one of the values or, negated, with none of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Term<F> {
    field: F,
    op: Op,
    values: Vec<String>,
}

impl<F> Term<F> {
    /// The field.
    pub fn field(&self) -> &F {
        &self.field
    }

    /// The operator.
    pub fn op(&self) -> Op {
        self.op
    }

    /// The values, at least one, in the form that they are compared in.
    pub fn values(&self) -> &[String] {
        &self.values
    }
}

impl<F: FilterField> Term<F> {
    /// A condition on `field`; none without values.
    ///
    /// [`UNALLOCATED`] stands for an empty text, as which what is missing is compared. Items of a list and names of
    /// a map are never asked for a part in their middle: there, `~:` means what `:` does.
    pub fn new(field: F, op: Op, values: Vec<String>) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let shape = field.shape();
        let comparison = match (shape, op.comparison) {
            (Shape::List | Shape::Names, Comparison::Contains) => Comparison::Equals,
            (_, comparison) => comparison,
        };
        let values = values.into_iter().map(|value| normal(shape, value)).collect();
        Some(Self {
            field,
            op: Op { comparison, ..op },
            values,
        })
    }

    /// Whether the condition holds for the value of a field that holds one, which is empty if it is missing.
    pub fn matches_str(&self, value: &str) -> bool {
        let compares = match self.field.shape() {
            Shape::Word => self.compares(&value.to_ascii_lowercase()),
            Shape::Text | Shape::List | Shape::Names => self.compares(value),
        };
        compares != self.op.negated
    }

    /// Whether the condition holds for a field that holds `items`. Having none equals the empty text.
    pub fn matches_list<'a>(&self, items: impl IntoIterator<Item = &'a str>) -> bool {
        let mut items = items.into_iter().peekable();
        let compares = if items.peek().is_none() {
            self.op.comparison == Comparison::Equals && self.values.iter().any(String::is_empty)
        } else {
            items.any(|item| self.compares(item))
        };
        compares != self.op.negated
    }

    /// Whether the condition holds for a field of a map, its names or the value under one of them.
    pub fn matches_labels(&self, labels: &dyn Labels) -> bool {
        if let Some(name) = self.field.name_in_map() {
            return self.matches_str(labels.label(name).unwrap_or_default());
        }
        let compares = match self.op.comparison {
            Comparison::Equals => self.values.iter().any(|name| labels.label(name).is_some()),
            _ => labels.any_key(&mut |name| self.compares(name)),
        };
        compares != self.op.negated
    }

    fn compares(&self, value: &str) -> bool {
        self.values.iter().any(|wanted| self.op.comparison.holds(value, wanted))
    }
}

impl Term<AllocationField> {
    /// Whether the condition holds for `workload`, which the services `services` select.
    pub fn matches(&self, workload: &Workload<'_>, services: &[&str], aliases: &LabelAliases) -> bool {
        self.matches_str(match &self.field {
            AllocationField::Cluster => workload.cluster,
            AllocationField::Node => workload.node,
            AllocationField::Namespace => workload.namespace,
            AllocationField::ControllerName => workload.controller,
            AllocationField::ControllerKind => workload.controller_kind,
            AllocationField::Pod => workload.pod,
            AllocationField::Container => workload.container,
            AllocationField::ProviderId => workload.provider_id,
            AllocationField::Services => return self.matches_list(services.iter().copied()),
            AllocationField::LabelNames | AllocationField::Label(_) => return self.matches_labels(workload.labels),
            AllocationField::AnnotationNames | AllocationField::Annotation(_) => {
                return self.matches_labels(workload.annotations);
            }
            AllocationField::Alias(alias) => aliases
                .value(*alias, workload.labels, workload.annotations)
                .unwrap_or_default(),
        })
    }
}

impl Term<AssetField> {
    /// Whether the condition holds for `asset`.
    pub fn matches(&self, asset: &Asset<'_>) -> bool {
        self.matches_str(match &self.field {
            AssetField::Name => asset.name,
            AssetField::Type => asset.kind,
            AssetField::Category => asset.category,
            AssetField::Cluster => asset.cluster,
            AssetField::Project => asset.project,
            AssetField::Provider => asset.provider,
            AssetField::ProviderId => asset.provider_id,
            AssetField::Account => asset.account,
            AssetField::Service => asset.service,
            AssetField::LabelNames | AssetField::Label(_) => return self.matches_labels(asset.labels),
        })
    }
}

fn normal(shape: Shape, value: String) -> String {
    let value = match shape {
        Shape::Text | Shape::List => value,
        Shape::Word => value.to_ascii_lowercase(),
        Shape::Names => sanitize_label_name(&value),
    };
    if value == UNALLOCATED { String::new() } else { value }
}

impl<F: fmt::Display> fmt::Display for Term<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.field, self.op)?;
        for (index, value) in self.values.iter().enumerate() {
            if index > 0 {
                formatter.write_str(",")?;
            }
            write!(formatter, "\"{}\"", value.replace('"', "\"\""))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{
        super::{AllocationFilter, AssetFilter, Filter, Leniency},
        *,
    };
    use crate::aggregation::Alias;

    #[test]
    fn allocations() {
        let labels = BTreeMap::from([
            ("app_kubernetes_io_name".to_owned(), "web".to_owned()),
            ("empty".to_owned(), String::new()),
            ("owner".to_owned(), "zoë".to_owned()),
        ]);
        let annotations: &[(&str, &str)] = &[("owner", "annotated"), ("team", "core"), ("note", "say \"hi\"")];
        let workload = Workload {
            cluster: "prod-us",
            node: "node-0",
            namespace: "web",
            controller_kind: "deployment",
            controller: "shop",
            pod: "shop-1",
            provider_id: "i-1",
            labels: &labels,
            annotations: &annotations,
            ..Workload::default()
        };
        let services = ["shop-http", "shop-grpc"];
        let aliases = LabelAliases::default().with(Alias::Product, "product,app.kubernetes.io/name");
        let cases = [
            ("", true),
            (r#"cluster:"prod-us""#, true),
            (r#"cluster:"PROD-US""#, false),
            (r#"cluster:"staging","prod-us""#, true),
            (r#"cluster!:"staging","prod-us""#, false),
            (r#"cluster!:"staging","edge""#, true),
            (r#"node~:"x","de-""#, true),
            (r#"node!~:"x","de-""#, false),
            (r#"namespace<~:"we""#, true),
            (r#"namespace<~:"eb""#, false),
            (r#"namespace!<~:"eb","x""#, true),
            (r#"namespace!<~:"eb","w""#, false),
            (r#"namespace~>:"eb""#, true),
            (r#"namespace!~>:"eb""#, false),
            (
                r#"controllerName:"shop"+controllerKind:"deployment"+pod:"shop-1"+provider:"i-1""#,
                true,
            ),
            // What is missing is empty, and so is what is unallocated.
            (r#"container:"""#, true),
            (r#"container:"__unallocated__""#, true),
            (r#"container!:"__unallocated__""#, false),
            (r#"namespace:"__unallocated__""#, false),
            (r#"container~:"""#, true),
            (r#"container~:"x""#, false),
            (r#"namespace<~:"__unallocated__""#, true),
            // Lists are asked for whole items, or the ends of them.
            (r#"services:"shop-grpc""#, true),
            (r#"services:"x","shop-http""#, true),
            (r#"services:"shop""#, false),
            (r#"services~:"shop""#, false),
            (r#"services~:"shop-grpc""#, true),
            (r#"services<~:"shop""#, true),
            (r#"services~>:"grpc""#, true),
            (r#"services!:"shop-grpc""#, false),
            (r#"services!:"x","y""#, true),
            (r#"services!~>:"grpc""#, false),
            (r#"services:"__unallocated__""#, false),
            // Maps are asked for names.
            (r#"label:"owner""#, true),
            (r#"label~:"app.kubernetes.io/name""#, true),
            (r#"label~:"own""#, false),
            (r#"label<~:"app.kube""#, true),
            (r#"label~>:"name""#, true),
            (r#"label!~>:"name""#, false),
            (r#"label:"team","note""#, false),
            (r#"label!:"team","note""#, true),
            (r#"annotation:"team""#, true),
            (r#"annotation!:"team""#, false),
            (r#"label:"""#, false),
            // Or for the value under a name.
            (r#"label[app.kubernetes.io/name]:"web""#, true),
            (r#"label[app.kubernetes.io/name]!:"web""#, false),
            (r#"label[owner]~:"o""#, true),
            (r#"label[none]:"x""#, false),
            (r#"label[none]!:"x""#, true),
            (r#"label[none]~:"x""#, false),
            (r#"label[none]!~:"x""#, true),
            (r#"label[none]:"""#, true),
            (r#"label[none]:"__unallocated__","x""#, true),
            (r#"label[none]!:"__unallocated__""#, false),
            (r#"label[empty]:"__unallocated__""#, true),
            (r#"label[owner]!:"__unallocated__""#, true),
            (r#"annotation[owner]:"annotated""#, true),
            (r#"annotation[note]~:"""hi""""#, true),
            // Aliases are the label, else the annotation.
            (r#"owner:"zoë""#, true),
            (r#"owner:"annotated""#, false),
            (r#"owner!:"annotated""#, true),
            (r#"team:"core""#, true),
            (r#"team<~:"co""#, true),
            (r#"product:"web""#, true),
            (r#"department:"x""#, false),
            (r#"department!:"x""#, true),
            (r#"department:"__unallocated__""#, true),
            (r#"department!:"__unallocated__""#, false),
            (r#"team:"__unallocated__""#, false),
            // Groups.
            (r#"namespace:"web"+pod:"x""#, false),
            (r#"namespace:"web"|pod:"x""#, true),
            (r#"(namespace:"web"|namespace:"data")+label[env]!:"prod""#, true),
            (r#"(namespace:"x"|namespace:"data")+label[env]!:"prod""#, false),
        ];
        for (text, expected) in cases {
            let filter = AllocationFilter::parse(text, Leniency::Strict).unwrap();
            assert_eq!(filter.matches(&workload, &services, &aliases), expected, "{text}");
        }
        for (text, expected) in [
            (r#"services:"__unallocated__""#, true),
            (r#"services!:"__unallocated__""#, false),
            (r#"services!:"x""#, true),
            (r#"services<~:"""#, false),
        ] {
            let filter = AllocationFilter::parse(text, Leniency::Strict).unwrap();
            assert_eq!(filter.matches(&workload, &[], &aliases), expected, "{text}");
        }
    }

    #[test]
    fn assets() {
        let labels: &[(&str, &str)] = &[("label_team", "core")];
        let asset = Asset {
            kind: "Node",
            cluster: "prod-us",
            provider: "AWS",
            account: "111122223333",
            project: "p",
            category: "Compute",
            service: "Kubernetes",
            name: "node-0",
            provider_id: "i-0",
            labels: &labels,
        };
        let cases = [
            (r#"assetType:"node""#, true),
            (r#"type:"Node","x""#, true),
            (r#"assetType<~:"NO""#, true),
            (r#"assetType!:"node""#, false),
            (r#"assetType:"disk""#, false),
            (r#"assetType:"node"+provider:"AWS""#, true),
            (r#"provider:"aws""#, false),
            (
                r#"cluster:"prod-us"+account~:"222"+project:"p"+category:"Compute""#,
                true,
            ),
            (r#"service:"Kubernetes"+name~>:"-0"+providerID:"i-0""#, true),
            (r#"label:"label_team"+label[label_team]:"core""#, true),
            (r#"label[none]!:"x""#, true),
        ];
        for (text, expected) in cases {
            let filter = AssetFilter::parse(text, Leniency::Strict).unwrap();
            assert_eq!(filter.matches(&asset), expected, "{text}");
        }
    }

    #[test]
    fn a_term_has_values() {
        assert_eq!(Term::new(AssetField::Name, Comparison::Equals.into(), Vec::new()), None);
        let term = Term::new(AssetField::Name, !Op::from(Comparison::EndsWith), vec!["a".to_owned()]).unwrap();
        assert_eq!(Filter::from(term.clone()).to_string(), "name!~>:\"a\"");
        assert_eq!((term.values(), term.op().negated), (&["a".to_owned()][..], true));
    }
}
