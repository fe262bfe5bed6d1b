//! The figures of an allocation.

use crate::error::DecodeError;
use crate::input::Input;
use crate::output::Output;

/// The figures of one allocation, each for its whole window. Costs are in the currency of the cluster's agent; an
/// adjustment is what reconciliation with the bill adds to the cost it is named after.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "camelCase"))]
pub struct AllocationAmounts {
    /// Core-hours allocated.
    pub cpu_core_hours: f64,
    /// Cores requested, on average while it ran.
    pub cpu_core_request_average: f64,
    /// Cores used, on average while it ran.
    pub cpu_core_usage_average: f64,
    /// Cost of the CPU.
    pub cpu_cost: f64,
    /// Adjustment of the CPU cost.
    pub cpu_cost_adjustment: f64,
    /// GPU-hours allocated.
    pub gpu_hours: f64,
    /// Cost of the GPUs.
    pub gpu_cost: f64,
    /// Adjustment of the GPU cost.
    pub gpu_cost_adjustment: f64,
    /// Bytes sent.
    pub network_transfer_bytes: f64,
    /// Bytes received.
    pub network_receive_bytes: f64,
    /// Cost of all network traffic.
    pub network_cost: f64,
    /// Cost of traffic between zones (since version 16).
    pub network_cross_zone_cost: f64,
    /// Cost of traffic between regions (since version 16).
    pub network_cross_region_cost: f64,
    /// Cost of traffic with the internet (since version 16).
    pub network_internet_cost: f64,
    /// Adjustment of the network cost.
    pub network_cost_adjustment: f64,
    /// Cost of load balancers.
    pub load_balancer_cost: f64,
    /// Adjustment of the load-balancer cost.
    pub load_balancer_cost_adjustment: f64,
    /// Adjustment of the cost of the persistent volumes.
    pub pv_cost_adjustment: f64,
    /// Byte-hours of memory allocated.
    pub ram_byte_hours: f64,
    /// Bytes of memory requested, on average while it ran.
    pub ram_bytes_request_average: f64,
    /// Bytes of memory used, on average while it ran.
    pub ram_bytes_usage_average: f64,
    /// Cost of the memory.
    pub ram_cost: f64,
    /// Adjustment of the memory cost.
    pub ram_cost_adjustment: f64,
    /// Cost shared with this allocation by the writer.
    pub shared_cost: f64,
    /// Cost outside the cluster, attributed by the writer.
    pub external_cost: f64,
    /// Limit of cores, on average while it ran (since version 24).
    pub cpu_core_limit_average: f64,
    /// Limit of memory in bytes, on average while it ran (since version 24).
    pub ram_bytes_limit_average: f64,
    /// Cost of traffic out through a NAT gateway, part of the network cost (since version 25).
    pub network_nat_gateway_egress_cost: f64,
    /// Cost of traffic in through a NAT gateway, part of the network cost (since version 25).
    pub network_nat_gateway_ingress_cost: f64,
}

impl AllocationAmounts {
    const FIELD: &'static str = "Allocation amounts";

    /// Reads the figures that stand before the persistent volumes.
    #[inline]
    pub(crate) fn read_before_volumes(&mut self, version: u8, input: &mut Input<'_>) -> Result<(), DecodeError> {
        [
            self.cpu_core_hours,
            self.cpu_core_request_average,
            self.cpu_core_usage_average,
            self.cpu_cost,
            self.cpu_cost_adjustment,
            self.gpu_hours,
            self.gpu_cost,
            self.gpu_cost_adjustment,
            self.network_transfer_bytes,
            self.network_receive_bytes,
            self.network_cost,
        ] = input.floats(Self::FIELD)?;
        [
            self.network_cross_zone_cost,
            self.network_cross_region_cost,
            self.network_internet_cost,
        ] = if version >= 16 {
            input.floats(Self::FIELD)?
        } else {
            [0.0; 3]
        };
        [
            self.network_cost_adjustment,
            self.load_balancer_cost,
            self.load_balancer_cost_adjustment,
        ] = input.floats(Self::FIELD)?;
        Ok(())
    }

    /// Reads the figures that follow the persistent volumes.
    #[inline]
    pub(crate) fn read_after_volumes(&mut self, input: &mut Input<'_>) -> Result<(), DecodeError> {
        [
            self.pv_cost_adjustment,
            self.ram_byte_hours,
            self.ram_bytes_request_average,
            self.ram_bytes_usage_average,
            self.ram_cost,
            self.ram_cost_adjustment,
            self.shared_cost,
            self.external_cost,
        ] = input.floats(Self::FIELD)?;
        Ok(())
    }

    /// Reads the figures at the end of an allocation.
    #[inline]
    pub(crate) fn read_last(&mut self, version: u8, input: &mut Input<'_>) -> Result<(), DecodeError> {
        [self.cpu_core_limit_average, self.ram_bytes_limit_average] = if version >= 24 {
            input.floats(Self::FIELD)?
        } else {
            [0.0; 2]
        };
        [
            self.network_nat_gateway_egress_cost,
            self.network_nat_gateway_ingress_cost,
        ] = if version >= 25 {
            input.floats(Self::FIELD)?
        } else {
            [0.0; 2]
        };
        Ok(())
    }

    pub(crate) fn write_before_volumes(&self, output: &mut Output<'_>) {
        output.floats([
            self.cpu_core_hours,
            self.cpu_core_request_average,
            self.cpu_core_usage_average,
            self.cpu_cost,
            self.cpu_cost_adjustment,
            self.gpu_hours,
            self.gpu_cost,
            self.gpu_cost_adjustment,
            self.network_transfer_bytes,
            self.network_receive_bytes,
            self.network_cost,
        ]);
        if output.version >= 16 {
            output.floats([
                self.network_cross_zone_cost,
                self.network_cross_region_cost,
                self.network_internet_cost,
            ]);
        }
        output.floats([
            self.network_cost_adjustment,
            self.load_balancer_cost,
            self.load_balancer_cost_adjustment,
        ]);
    }

    pub(crate) fn write_after_volumes(&self, output: &mut Output<'_>) {
        output.floats([
            self.pv_cost_adjustment,
            self.ram_byte_hours,
            self.ram_bytes_request_average,
            self.ram_bytes_usage_average,
            self.ram_cost,
            self.ram_cost_adjustment,
            self.shared_cost,
            self.external_cost,
        ]);
    }

    pub(crate) fn write_last(&self, output: &mut Output<'_>) {
        if output.version >= 24 {
            output.floats([self.cpu_core_limit_average, self.ram_bytes_limit_average]);
        }
        if output.version >= 25 {
            output.floats([
                self.network_nat_gateway_egress_cost,
                self.network_nat_gateway_ingress_cost,
            ]);
        }
    }
}
