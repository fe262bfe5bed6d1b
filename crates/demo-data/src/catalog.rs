//! What the made-up clusters are made of: clouds, instance types, namespaces and applications.

/// Prices in US dollars per hour, as on demand.
#[derive(Debug)]
pub(crate) struct InstanceType {
    pub(crate) name: &'static str,
    pub(crate) cores: f64,
    pub(crate) ram_gib: f64,
    pub(crate) gpus: f64,
    pub(crate) core_price: f64,
    pub(crate) gib_price: f64,
    pub(crate) gpu_price: f64,
}

const fn instance(name: &'static str, cores: f64, ram_gib: f64, core_price: f64, gib_price: f64) -> InstanceType {
    InstanceType {
        name,
        cores,
        ram_gib,
        gpus: 0.0,
        core_price,
        gib_price,
        gpu_price: 0.0,
    }
}

const fn with_gpu(instance: InstanceType, gpu_price: f64) -> InstanceType {
    InstanceType {
        gpus: 1.0,
        gpu_price,
        ..instance
    }
}

/// How a provider names what its nodes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cloud {
    Aws,
    Gcp,
    Azure,
    OnPremises,
}

/// A place where clusters run.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) cluster: &'static str,
    pub(crate) cloud: Cloud,
    pub(crate) provider: &'static str,
    pub(crate) account: &'static str,
    pub(crate) project: &'static str,
    pub(crate) region: &'static str,
    pub(crate) environment: &'static str,
    /// Hours to add to UTC for the time of the site, from 0 to 23.
    pub(crate) utc_offset: usize,
    /// Part of the price of CPU and memory that is not paid, by commitments.
    pub(crate) discount: f64,
    /// The provider's fee for managing a cluster, per hour.
    pub(crate) management_price: f64,
    pub(crate) load_balancer_price: f64,
    pub(crate) storage_class: &'static str,
    /// Per GiB and month of 730 hours.
    pub(crate) storage_price: f64,
    pub(crate) instances: &'static [InstanceType],
    pub(crate) gpu_instances: &'static [InstanceType],
}

const AWS: &[InstanceType] = &[
    instance("m5.xlarge", 4.0, 16.0, 0.031_611, 0.004_237),
    instance("m6i.2xlarge", 8.0, 32.0, 0.031_611, 0.004_237),
    instance("r6g.2xlarge", 8.0, 64.0, 0.020_5, 0.003_738),
    instance("c6i.4xlarge", 16.0, 32.0, 0.034_03, 0.004_237),
];
const AWS_GPU: &[InstanceType] = &[
    with_gpu(instance("g5.2xlarge", 8.0, 32.0, 0.031_611, 0.004_237), 0.823),
    with_gpu(instance("p3.2xlarge", 8.0, 61.0, 0.031_611, 0.004_237), 2.48),
];
const GCP: &[InstanceType] = &[
    instance("e2-standard-4", 4.0, 16.0, 0.021_811, 0.002_923),
    instance("n2-standard-8", 8.0, 32.0, 0.031_611, 0.004_237),
    instance("n2-highmem-8", 8.0, 64.0, 0.031_611, 0.004_237),
];
const GCP_GPU: &[InstanceType] = &[with_gpu(
    instance("n1-standard-8", 8.0, 30.0, 0.031_611, 0.004_237),
    0.35,
)];
const AZURE: &[InstanceType] = &[
    instance("Standard_D4s_v5", 4.0, 16.0, 0.031_2, 0.004_2),
    instance("Standard_D8s_v5", 8.0, 32.0, 0.031_2, 0.004_2),
    instance("Standard_E8s_v5", 8.0, 64.0, 0.032_2, 0.003_85),
];
const AZURE_GPU: &[InstanceType] = &[with_gpu(
    instance("Standard_NC8as_T4_v3", 8.0, 56.0, 0.031_2, 0.004_2),
    0.3,
)];
const BARE_METAL: &[InstanceType] = &[instance("bare-metal", 32.0, 128.0, 0.015, 0.002)];
const BARE_METAL_GPU: &[InstanceType] = &[with_gpu(instance("bare-metal-gpu", 32.0, 256.0, 0.015, 0.002), 0.6)];

const AWS_SITE: Site = Site {
    cluster: "prod-us-east",
    cloud: Cloud::Aws,
    provider: "AWS",
    account: "111122223333",
    project: "",
    region: "us-east-1",
    environment: "production",
    utc_offset: 19,
    discount: 0.1,
    management_price: 0.1,
    load_balancer_price: 0.025,
    storage_class: "gp3",
    storage_price: 0.08,
    instances: AWS,
    gpu_instances: AWS_GPU,
};
const GCP_SITE: Site = Site {
    cluster: "prod-eu-west",
    cloud: Cloud::Gcp,
    provider: "GCP",
    account: "",
    project: "shop-production",
    region: "europe-west1",
    utc_offset: 1,
    discount: 0.2,
    storage_class: "premium-rwo",
    storage_price: 0.17,
    instances: GCP,
    gpu_instances: GCP_GPU,
    ..AWS_SITE
};
const AZURE_SITE: Site = Site {
    cluster: "staging",
    cloud: Cloud::Azure,
    provider: "Azure",
    account: "5c3f4f5e-7f3a-4a53-9d0e-2f6f0f9a1b7c",
    region: "westeurope",
    environment: "staging",
    utc_offset: 1,
    discount: 0.0,
    management_price: 0.0,
    storage_class: "managed-csi-premium",
    storage_price: 0.12,
    instances: AZURE,
    gpu_instances: AZURE_GPU,
    ..AWS_SITE
};
const EDGE_SITE: Site = Site {
    cluster: "edge-berlin",
    cloud: Cloud::OnPremises,
    provider: "custom",
    account: "",
    region: "berlin",
    utc_offset: 1,
    discount: 0.0,
    management_price: 0.0,
    load_balancer_price: 0.0,
    storage_class: "local-path",
    storage_price: 0.04,
    instances: BARE_METAL,
    gpu_instances: BARE_METAL_GPU,
    ..AWS_SITE
};

/// The sites in the order in which clusters take them. When they are used up, they are taken again with a number.
pub(crate) const SITES: &[Site] = &[
    AWS_SITE,
    GCP_SITE,
    AZURE_SITE,
    EDGE_SITE,
    Site {
        cluster: "prod-ap-south",
        region: "ap-southeast-1",
        utc_offset: 8,
        ..AWS_SITE
    },
    Site {
        cluster: "analytics-us",
        region: "us-central1",
        project: "shop-analytics",
        utc_offset: 18,
        ..GCP_SITE
    },
    Site {
        cluster: "payments-eu",
        region: "northeurope",
        environment: "production",
        ..AZURE_SITE
    },
    Site {
        cluster: "factory-detroit",
        region: "detroit",
        utc_offset: 19,
        ..EDGE_SITE
    },
];

/// Who a namespace belongs to.
#[derive(Debug)]
pub(crate) struct Namespace {
    pub(crate) name: &'static str,
    pub(crate) team: &'static str,
    pub(crate) department: &'static str,
    pub(crate) owner: &'static str,
    pub(crate) product: &'static str,
    pub(crate) cost_center: &'static str,
}

const fn namespace(
    name: &'static str,
    team: &'static str,
    department: &'static str,
    owner: &'static str,
    product: &'static str,
    cost_center: &'static str,
) -> Namespace {
    Namespace {
        name,
        team,
        department,
        owner,
        product,
        cost_center,
    }
}

/// The namespaces of applications.
pub(crate) const NAMESPACES: &[Namespace] = &[
    namespace("checkout", "payments", "commerce", "ada", "shop", "cc-1100"),
    namespace("catalog", "discovery", "commerce", "grace", "shop", "cc-1100"),
    namespace("search", "discovery", "commerce", "grace", "shop", "cc-1110"),
    namespace("identity", "platform", "engineering", "linus", "accounts", "cc-2000"),
    namespace("fulfilment", "logistics", "operations", "joan", "warehouse", "cc-3000"),
    namespace("billing", "payments", "finance", "ada", "invoices", "cc-1200"),
    namespace("recommendations", "data-science", "data", "alan", "shop", "cc-4100"),
    namespace(
        "data-platform",
        "data-engineering",
        "data",
        "barbara",
        "lake",
        "cc-4000",
    ),
    namespace("marketing", "growth", "marketing", "margaret", "campaigns", "cc-5000"),
    namespace("support", "customer-care", "operations", "joan", "helpdesk", "cc-3100"),
    namespace("sandbox", "platform", "engineering", "linus", "playground", "cc-2100"),
    namespace("ml", "data-science", "data", "alan", "models", "cc-4200"),
];

/// The namespaces of what runs on every node.
pub(crate) const SYSTEM_NAMESPACES: &[Namespace] = &[
    namespace("kube-system", "platform", "engineering", "linus", "cluster", "cc-2000"),
    namespace(
        "monitoring",
        "observability",
        "engineering",
        "katherine",
        "cluster",
        "cc-2010",
    ),
    namespace(
        "logging",
        "observability",
        "engineering",
        "katherine",
        "cluster",
        "cc-2010",
    ),
];

/// How the use of an application moves, in parts of its peak.
#[derive(Debug)]
pub(crate) struct Profile {
    /// By the hour of the site.
    pub(crate) hours: [f64; 24],
    /// What is left of it on Saturdays and Sundays.
    pub(crate) weekend: f64,
}

pub(crate) const WORKING_HOURS: Profile = Profile {
    weekend: 0.3,
    hours: [
        0.2, 0.18, 0.16, 0.15, 0.16, 0.2, 0.3, 0.48, 0.7, 0.88, 0.97, 1.0, 0.93, 0.96, 1.0, 0.98, 0.9, 0.76, 0.58,
        0.45, 0.38, 0.32, 0.27, 0.23,
    ],
};
pub(crate) const EVENINGS: Profile = Profile {
    weekend: 1.0,
    hours: [
        0.34, 0.24, 0.18, 0.15, 0.14, 0.16, 0.22, 0.32, 0.42, 0.5, 0.56, 0.62, 0.66, 0.64, 0.62, 0.63, 0.68, 0.78, 0.9,
        0.98, 1.0, 0.94, 0.76, 0.52,
    ],
};
pub(crate) const NIGHTS: Profile = Profile {
    weekend: 0.8,
    hours: [
        0.9, 1.0, 1.0, 0.96, 0.8, 0.5, 0.25, 0.15, 0.12, 0.1, 0.1, 0.1, 0.12, 0.1, 0.1, 0.1, 0.1, 0.12, 0.15, 0.2, 0.3,
        0.45, 0.6, 0.78,
    ],
};
pub(crate) const STEADY: Profile = Profile {
    weekend: 0.95,
    hours: [
        0.9, 0.88, 0.87, 0.87, 0.88, 0.9, 0.92, 0.94, 0.96, 0.98, 1.0, 1.0, 0.99, 0.99, 1.0, 1.0, 0.99, 0.98, 0.97,
        0.96, 0.95, 0.94, 0.93, 0.91,
    ],
};

/// What keeps the pods of an application running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Controller {
    Deployment,
    StatefulSet,
    DaemonSet,
    Job,
    /// Pods that somebody started by hand.
    Nobody,
}

impl Controller {
    /// The kind, as agents write it.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::StatefulSet => "statefulset",
            Self::DaemonSet => "daemonset",
            Self::Job => "job",
            Self::Nobody => "",
        }
    }
}

/// A program that clusters run.
#[derive(Debug)]
pub(crate) struct Application {
    pub(crate) name: &'static str,
    pub(crate) controller: Controller,
    pub(crate) profile: &'static Profile,
    /// How much bigger its pods are than others.
    pub(crate) weight: f64,
    /// GiB sent and received per core and hour of use.
    pub(crate) traffic: f64,
}

const fn application(
    name: &'static str,
    controller: Controller,
    profile: &'static Profile,
    weight: f64,
    traffic: f64,
) -> Application {
    Application {
        name,
        controller,
        profile,
        weight,
        traffic,
    }
}

/// The programs of the application namespaces.
pub(crate) const APPLICATIONS: &[Application] = &[
    application("web", Controller::Deployment, &EVENINGS, 1.0, 2.0),
    application("api", Controller::Deployment, &EVENINGS, 1.2, 1.2),
    application("postgres", Controller::StatefulSet, &EVENINGS, 1.8, 0.6),
    application("cart", Controller::Deployment, &EVENINGS, 0.8, 0.8),
    application("nightly-report", Controller::Job, &NIGHTS, 0.7, 0.3),
    application("ingress-nginx", Controller::Deployment, &EVENINGS, 0.6, 4.0),
    application("redis", Controller::StatefulSet, &STEADY, 0.6, 0.9),
    application("worker", Controller::Deployment, &STEADY, 1.4, 0.2),
    application("admin", Controller::Deployment, &WORKING_HOURS, 0.5, 0.3),
    application("kafka", Controller::StatefulSet, &STEADY, 1.6, 2.5),
    application("scheduler", Controller::Deployment, &STEADY, 0.4, 0.1),
    application("feature", Controller::Deployment, &WORKING_HOURS, 0.5, 0.1),
    application("email-sender", Controller::Deployment, &WORKING_HOURS, 0.4, 0.5),
    application("database-backup", Controller::Job, &NIGHTS, 0.5, 1.5),
    application("etl-loader", Controller::Deployment, &NIGHTS, 1.6, 1.0),
    application("debug-shell", Controller::Nobody, &WORKING_HOURS, 0.3, 0.0),
    application("graphql", Controller::Deployment, &EVENINGS, 1.0, 1.0),
    application("elasticsearch", Controller::StatefulSet, &EVENINGS, 2.2, 0.7),
    application("pricing", Controller::Deployment, &WORKING_HOURS, 0.8, 0.3),
    application("cache-warmer", Controller::Job, &STEADY, 0.3, 0.4),
];

/// The programs that use GPUs.
pub(crate) const GPU_APPLICATIONS: &[Application] = &[
    application("ml-train", Controller::Deployment, &NIGHTS, 3.0, 0.3),
    application("inference", Controller::Deployment, &EVENINGS, 2.0, 0.8),
];

/// The programs that run on every node, each with the place of its namespace among the system namespaces.
pub(crate) const DAEMONS: &[(Application, usize)] = &[
    (application("kube-proxy", Controller::DaemonSet, &STEADY, 0.15, 0.0), 0),
    (
        application("node-exporter", Controller::DaemonSet, &STEADY, 0.15, 0.1),
        1,
    ),
    (
        application("fluent-bit", Controller::DaemonSet, &EVENINGS, 0.25, 0.6),
        2,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_peak_at_one() {
        for profile in [WORKING_HOURS, EVENINGS, NIGHTS, STEADY] {
            assert_eq!(profile.hours.into_iter().fold(0.0, f64::max), 1.0);
        }
    }

    #[test]
    fn sites_have_distinct_clusters() {
        let names: std::collections::HashSet<_> = SITES.iter().map(|site| site.cluster).collect();
        assert_eq!(names.len(), SITES.len());
    }
}
