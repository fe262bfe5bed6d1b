//! What allocations are added up by.

use std::{borrow::Cow, fmt};

use super::{Alias, Key, LabelAliases, PARAMETER, after_prefix};
use crate::{
    ParameterError,
    naming::{self, Labels, NoLabels, UNALLOCATED, UNMOUNTED, sanitize_label_name},
};

const TAKES: &str = "a comma list of cluster, node, namespace, controllerKind, controller, deployment, daemonset, \
                     statefulset, job, service, pod, container, providerID, department, environment, owner, product, \
                     team, label:NAME and annotation:NAME, or all alone";

/// A property of allocations to add up by.
///
/// [`Display`](fmt::Display) writes the form that services send each other, which [`Key::parse`] reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AllocationKey {
    /// Cluster id.
    Cluster,
    /// Node name.
    Node,
    /// Namespace.
    Namespace,
    /// Kind of the controller.
    ControllerKind,
    /// Kind and name of the controller.
    Controller,
    /// Name of the controller, if it is a deployment.
    Deployment,
    /// Name of the controller, if it is a daemonset.
    DaemonSet,
    /// Name of the controller, if it is a statefulset.
    StatefulSet,
    /// Name of the controller, if it is a job.
    Job,
    /// The first service that selects the pod.
    Service,
    /// Pod name.
    Pod,
    /// Container name.
    Container,
    /// The node's id at the cloud provider.
    ProviderId,
    /// What the configuration says that a department, owner and so on is.
    Alias(Alias),
    /// The value of a pod label, by the name that agents store it under.
    Label(String),
    /// The value of a pod annotation, by the name that agents store it under.
    Annotation(String),
}

/// What identifies a workload, as far as keys ask for it. Empty means unknown.
#[derive(Clone, Copy)]
pub struct Workload<'a> {
    /// Cluster id.
    pub cluster: &'a str,
    /// Node name.
    pub node: &'a str,
    /// Namespace.
    pub namespace: &'a str,
    /// Controller kind, in lower case.
    pub controller_kind: &'a str,
    /// Controller name.
    pub controller: &'a str,
    /// The first service that selects the pod.
    pub first_service: Option<&'a str>,
    /// Pod name.
    pub pod: &'a str,
    /// Container name.
    pub container: &'a str,
    /// The node's id at the cloud provider.
    pub provider_id: &'a str,
    /// Pod labels.
    pub labels: &'a dyn Labels,
    /// Pod annotations.
    pub annotations: &'a dyn Labels,
}

impl Default for Workload<'_> {
    fn default() -> Self {
        Self {
            cluster: "",
            node: "",
            namespace: "",
            controller_kind: "",
            controller: "",
            first_service: None,
            pod: "",
            container: "",
            provider_id: "",
            labels: &NoLabels,
            annotations: &NoLabels,
        }
    }
}

impl Workload<'_> {
    /// True for volumes and load balancers of no pod.
    pub fn is_unmounted(&self) -> bool {
        [self.pod, self.namespace, self.container].contains(&UNMOUNTED)
    }
}

impl Key for AllocationKey {
    type Member<'a> = Workload<'a>;

    const FINEST: &'static [Self] = &[Self::Cluster, Self::Node, Self::Namespace, Self::Pod, Self::Container];

    fn parse(text: &str) -> Result<Self, ParameterError> {
        if let Some(name) = after_prefix(text, "label") {
            return Ok(Self::Label(sanitize_label_name(name)));
        }
        if let Some(name) = after_prefix(text, "annotation") {
            return Ok(Self::Annotation(sanitize_label_name(name)));
        }
        Ok(match text.trim().to_ascii_lowercase().as_str() {
            "cluster" => Self::Cluster,
            "node" => Self::Node,
            "namespace" => Self::Namespace,
            "controllerkind" => Self::ControllerKind,
            "controller" => Self::Controller,
            "deployment" => Self::Deployment,
            "daemonset" => Self::DaemonSet,
            "statefulset" => Self::StatefulSet,
            "job" => Self::Job,
            "service" => Self::Service,
            "pod" => Self::Pod,
            "container" => Self::Container,
            "providerid" => Self::ProviderId,
            "department" => Self::Alias(Alias::Department),
            "environment" => Self::Alias(Alias::Environment),
            "owner" => Self::Alias(Alias::Owner),
            "product" => Self::Alias(Alias::Product),
            "team" => Self::Alias(Alias::Team),
            _ => {
                return Err(ParameterError::Malformed {
                    parameter: PARAMETER,
                    got: text.to_owned(),
                    takes: TAKES,
                });
            }
        })
    }

    /// A property that every container has stays empty where it is unknown, such as the node of an unmounted
    /// volume; what a workload may lack is [`UNALLOCATED`].
    fn value<'a>(&self, workload: &Self::Member<'a>, aliases: &LabelAliases) -> Cow<'a, str> {
        let of_kind = |kind| naming::controller_of_kind(kind, workload.controller_kind, workload.controller);
        Cow::Borrowed(match self {
            Self::Controller => return naming::controller(workload.controller_kind, workload.controller),
            Self::Cluster => workload.cluster,
            Self::Node => workload.node,
            Self::Namespace => workload.namespace,
            Self::Pod => workload.pod,
            Self::Container => workload.container,
            Self::ProviderId => workload.provider_id,
            Self::ControllerKind => naming::non_empty(workload.controller_kind, UNALLOCATED),
            Self::Deployment => of_kind("deployment"),
            Self::DaemonSet => of_kind("daemonset"),
            Self::StatefulSet => of_kind("statefulset"),
            Self::Job => of_kind("job"),
            Self::Service => naming::service(workload.first_service, workload.is_unmounted()),
            Self::Alias(alias) => aliases
                .value(*alias, workload.labels, workload.annotations)
                .unwrap_or(UNALLOCATED),
            Self::Label(name) => workload.labels.label(name).unwrap_or(UNALLOCATED),
            Self::Annotation(name) => workload.annotations.label(name).unwrap_or(UNALLOCATED),
        })
    }
}

impl fmt::Display for AllocationKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Cluster => "cluster",
            Self::Node => "node",
            Self::Namespace => "namespace",
            Self::ControllerKind => "controllerKind",
            Self::Controller => "controller",
            Self::Deployment => "deployment",
            Self::DaemonSet => "daemonset",
            Self::StatefulSet => "statefulset",
            Self::Job => "job",
            Self::Service => "service",
            Self::Pod => "pod",
            Self::Container => "container",
            Self::ProviderId => "providerID",
            Self::Alias(alias) => return alias.fmt(formatter),
            Self::Label(name) => return write!(formatter, "label:{name}"),
            Self::Annotation(name) => return write!(formatter, "annotation:{name}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::{super::Aggregation, *};

    const EVERY_KEY: &str = "cluster,node,namespace,controllerKind,controller,deployment,daemonset,statefulset,job,\
                             service,pod,container,providerID,department,environment,owner,product,team,label:x,\
                             annotation:x";

    #[test]
    fn every_key_is_read_in_any_case_and_written_canonically() {
        let aggregation = Aggregation::parse(EVERY_KEY).unwrap();
        assert_eq!(aggregation.to_items().join(","), EVERY_KEY);
        assert_eq!(
            Aggregation::parse(&EVERY_KEY.to_uppercase()).unwrap().name_keys().len(),
            20
        );
        let key = AllocationKey::parse("LABEL:App.kubernetes.io/Name").unwrap();
        assert_eq!(key.to_string(), "label:App_kubernetes_io_Name");
    }

    #[test]
    fn all_stands_alone_and_nothing_means_containers() {
        for text in ["", " , "] {
            assert_eq!(Aggregation::parse(text).unwrap(), Aggregation::None);
        }
        assert_eq!(Aggregation::parse("ALL").unwrap(), Aggregation::All);
        for (text, got) in [
            ("all,node", "all"),
            ("node,nodes", "nodes"),
            ("label:", "label:"),
            ("label", "label"),
        ] {
            let message = Aggregation::parse(text).unwrap_err().to_string();
            assert_eq!(message, format!("parameter aggregate got {got:?}; it takes {TAKES}"));
        }
    }

    #[test]
    fn names_join_values() {
        let labels = BTreeMap::from([
            ("app".to_owned(), "shop".to_owned()),
            ("empty".to_owned(), String::new()),
        ]);
        let annotations = BTreeMap::from([("owner".to_owned(), "Zoë/ünïcode".to_owned())]);
        let workload = Workload {
            cluster: "prod",
            node: "node-0",
            namespace: "web",
            controller_kind: "deployment",
            controller: "shop",
            first_service: Some("shop-http"),
            pod: "shop-1",
            container: "app",
            provider_id: "i-1",
            labels: &labels,
            annotations: &annotations,
        };
        let unmounted = Workload {
            cluster: "prod",
            namespace: UNMOUNTED,
            pod: UNMOUNTED,
            container: UNMOUNTED,
            ..Workload::default()
        };
        let cases = [
            (
                "",
                "prod/node-0/web/shop-1/app",
                "prod//__unmounted__/__unmounted__/__unmounted__",
            ),
            ("all", "", ""),
            (
                "cluster,namespace,controller",
                "prod/web/deployment:shop",
                "prod/__unmounted__/__unallocated__",
            ),
            (
                "controllerKind,deployment,job",
                "deployment/shop/__unallocated__",
                "__unallocated__/__unallocated__/__unallocated__",
            ),
            ("service,providerID", "shop-http/i-1", "__unallocated__/"),
            (
                "product,owner,team",
                "shop/Zoë/ünïcode/__unallocated__",
                "__unallocated__/__unallocated__/__unallocated__",
            ),
            (
                "label:app,label:empty,annotation:app",
                "shop//__unallocated__",
                "__unallocated__/__unallocated__/__unallocated__",
            ),
        ];
        for (text, of_workload, of_unmounted) in cases {
            let aggregation = Aggregation::parse(text).unwrap();
            assert_eq!(
                aggregation.name(&workload, &LabelAliases::default()),
                of_workload,
                "{text}"
            );
            assert_eq!(
                aggregation.name(&unmounted, &LabelAliases::default()),
                of_unmounted,
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(text in "[a-zA-Z:,_./]{0,40}") {
            if let Ok(aggregation) = Aggregation::parse(&text) {
                let items = aggregation.to_items();
                prop_assert_eq!(Aggregation::from_items(items.iter().map(String::as_str)).unwrap(), aggregation);
            }
        }
    }
}
