//! Lists of structs that an allocation has: its volumes, load balancers, and parts of costs.

use crate::columns::{ColumnsError, FlagColumn, NumberColumn, Ranges, Source, TextColumn};

/// What was allocated of a persistent volume.
#[expect(missing_docs, reason = "fields are called as in the message")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Volume<'a> {
    pub cluster: &'a str,
    pub name: &'a str,
    pub byte_hours: f64,
    pub cost: f64,
    pub provider_id: &'a str,
}

/// What was allocated of a load balancer.
#[expect(missing_docs, reason = "fields are called as in the message")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadBalancer<'a> {
    pub key: &'a str,
    pub service: &'a str,
    pub cost: f64,
    pub private: bool,
    pub ip: &'a str,
    pub hours: f64,
}

/// A part of an allocation's shared cost.
#[expect(missing_docs, reason = "fields are called as in the message")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SharedCost<'a> {
    pub name: &'a str,
    pub total_cost: f64,
    pub cpu_cost: f64,
    pub gpu_cost: f64,
    pub ram_cost: f64,
    pub pv_cost: f64,
    pub network_cost: f64,
    pub load_balancer_cost: f64,
    pub external_cost: f64,
}

/// What part of an asset's cost is an allocation's, as fractions.
#[expect(missing_docs, reason = "fields are called as in the message")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AssetShare<'a> {
    pub cluster: &'a str,
    pub name: &'a str,
    pub kind: &'a str,
    pub provider_id: &'a str,
    pub cpu: f64,
    pub gpu: f64,
    pub ram: f64,
    pub load_balancer: f64,
    pub pv: f64,
    pub node_resource_cost: f64,
}

/// The fields of a list's items.
pub trait ItemColumns {
    /// What is made of them.
    type Item<'b>
    where
        Self: 'b;

    /// The item at a place in the list of all rows' items.
    fn item(&self, at: usize) -> Self::Item<'_>;
}

pub(crate) fn columns_of<'a, C>(
    source: Source<'a>,
    name: &str,
    new: impl FnOnce(Source<'a>) -> Result<C, ColumnsError>,
) -> Result<Option<(Ranges<'a>, C)>, ColumnsError> {
    source
        .structs(name)?
        .map(|(ranges, items)| Ok((ranges, new(items)?)))
        .transpose()
}

pub(crate) fn items_of<'b, C>(list: Option<&'b (Ranges<'_>, C)>, row: usize) -> Items<'b, C> {
    Items {
        columns: list.map(|(_, columns)| columns),
        at: list.map_or(0..0, |(ranges, _)| ranges.get(row)),
    }
}

/// The items of a row's list.
#[derive(Debug)]
pub struct Items<'b, C> {
    columns: Option<&'b C>,
    at: std::ops::Range<usize>,
}

impl<C> Clone for Items<'_, C> {
    fn clone(&self) -> Self {
        Self {
            columns: self.columns,
            at: self.at.clone(),
        }
    }
}

impl<'b, C: ItemColumns> Iterator for Items<'b, C> {
    type Item = C::Item<'b>;

    fn next(&mut self) -> Option<C::Item<'b>> {
        Some(self.columns?.item(self.at.next()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.at.size_hint()
    }
}

impl<C: ItemColumns> ExactSizeIterator for Items<'_, C> {}

/// The persistent volumes of an allocation.
pub type Volumes<'a> = Items<'a, VolumeColumns<'a>>;
/// The load balancers of an allocation.
pub type LoadBalancers<'a> = Items<'a, LoadBalancerColumns<'a>>;
/// What an allocation's shared cost consists of.
pub type SharedCosts<'a> = Items<'a, SharedCostColumns<'a>>;
/// The assets that an allocation has a part of.
pub type AssetShares<'a> = Items<'a, AssetShareColumns<'a>>;

/// The columns of persistent volumes.
#[derive(Clone, Debug)]
pub struct VolumeColumns<'a> {
    texts: [TextColumn<'a>; 3],
    numbers: [NumberColumn<'a>; 2],
}

impl<'a> VolumeColumns<'a> {
    pub(crate) fn new(source: Source<'a>) -> Result<Self, ColumnsError> {
        Ok(Self {
            texts: [
                source.text("cluster")?,
                source.text("name")?,
                source.text("provider_id")?,
            ],
            numbers: source.numbers(["byte_hours", "cost"])?,
        })
    }
}

impl ItemColumns for VolumeColumns<'_> {
    type Item<'b>
        = Volume<'b>
    where
        Self: 'b;

    fn item(&self, at: usize) -> Volume<'_> {
        let [cluster, name, provider_id] = self.texts.each_ref().map(|column| column.get(at));
        let [byte_hours, cost] = self.numbers.each_ref().map(|column| column.get(at));
        Volume {
            cluster,
            name,
            byte_hours,
            cost,
            provider_id,
        }
    }
}

/// The columns of load balancers.
#[derive(Clone, Debug)]
pub struct LoadBalancerColumns<'a> {
    texts: [TextColumn<'a>; 3],
    numbers: [NumberColumn<'a>; 2],
    private: FlagColumn<'a>,
}

impl<'a> LoadBalancerColumns<'a> {
    pub(crate) fn new(source: Source<'a>) -> Result<Self, ColumnsError> {
        Ok(Self {
            texts: [source.text("key")?, source.text("service")?, source.text("ip")?],
            numbers: source.numbers(["cost", "hours"])?,
            private: source.flag("private")?,
        })
    }
}

impl ItemColumns for LoadBalancerColumns<'_> {
    type Item<'b>
        = LoadBalancer<'b>
    where
        Self: 'b;

    fn item(&self, at: usize) -> LoadBalancer<'_> {
        let [key, service, ip] = self.texts.each_ref().map(|column| column.get(at));
        let [cost, hours] = self.numbers.each_ref().map(|column| column.get(at));
        LoadBalancer {
            key,
            service,
            cost,
            private: self.private.get(at),
            ip,
            hours,
        }
    }
}

/// The columns of parts of shared cost.
#[derive(Clone, Debug)]
pub struct SharedCostColumns<'a> {
    name: TextColumn<'a>,
    numbers: [NumberColumn<'a>; 8],
}

impl<'a> SharedCostColumns<'a> {
    pub(crate) fn new(source: Source<'a>) -> Result<Self, ColumnsError> {
        Ok(Self {
            name: source.text("name")?,
            numbers: source.numbers([
                "total_cost",
                "cpu_cost",
                "gpu_cost",
                "ram_cost",
                "pv_cost",
                "network_cost",
                "load_balancer_cost",
                "external_cost",
            ])?,
        })
    }
}

impl ItemColumns for SharedCostColumns<'_> {
    type Item<'b>
        = SharedCost<'b>
    where
        Self: 'b;

    fn item(&self, at: usize) -> SharedCost<'_> {
        let [
            total_cost,
            cpu_cost,
            gpu_cost,
            ram_cost,
            pv_cost,
            network_cost,
            load_balancer_cost,
            external_cost,
        ] = self.numbers.each_ref().map(|column| column.get(at));
        SharedCost {
            name: self.name.get(at),
            total_cost,
            cpu_cost,
            gpu_cost,
            ram_cost,
            pv_cost,
            network_cost,
            load_balancer_cost,
            external_cost,
        }
    }
}

/// The columns of parts of assets.
#[derive(Clone, Debug)]
pub struct AssetShareColumns<'a> {
    texts: [TextColumn<'a>; 4],
    numbers: [NumberColumn<'a>; 6],
}

impl<'a> AssetShareColumns<'a> {
    pub(crate) fn new(source: Source<'a>) -> Result<Self, ColumnsError> {
        Ok(Self {
            texts: [
                source.text("cluster")?,
                source.text("name")?,
                source.text("type")?,
                source.text("provider_id")?,
            ],
            numbers: source.numbers(["cpu", "gpu", "ram", "load_balancer", "pv", "node_resource_cost"])?,
        })
    }
}

impl ItemColumns for AssetShareColumns<'_> {
    type Item<'b>
        = AssetShare<'b>
    where
        Self: 'b;

    fn item(&self, at: usize) -> AssetShare<'_> {
        let [cluster, name, kind, provider_id] = self.texts.each_ref().map(|column| column.get(at));
        let [cpu, gpu, ram, load_balancer, pv, node_resource_cost] =
            self.numbers.each_ref().map(|column| column.get(at));
        AssetShare {
            cluster,
            name,
            kind,
            provider_id,
            cpu,
            gpu,
            ram,
            load_balancer,
            pv,
            node_resource_cost,
        }
    }
}
