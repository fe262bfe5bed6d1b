//! The GPUs of an allocation.

use crate::error::{DecodeError, EncodeError};
use crate::input::Input;
use crate::output::Output;
use crate::strings::{StringTable, Symbol};
use crate::version;

/// The version in which an allocation's GPU figures moved from two averages of its own into a struct.
const STRUCT_SINCE: u8 = 23;
/// The version that added the two averages.
const AVERAGES_SINCE: u8 = 22;

/// The GPUs that an allocation used (since version 23; of version 22 only the averages).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct GpuAllocationRecord {
    /// Name of the device, such as `nvidia0`.
    pub device: Symbol,
    /// Model of the GPU.
    pub model: Symbol,
    /// UUID of the GPU.
    pub uuid: Symbol,
    /// Whether other containers share the GPU, if the agent knows.
    pub is_shared: Option<bool>,
    /// GPUs used, on average while the allocation ran, if the agent knows.
    pub usage_average: Option<f64>,
    /// GPUs requested, on average while the allocation ran, if the agent knows.
    pub request_average: Option<f64>,
}

/// The GPUs that an allocation used (since version 23; of version 22 only the averages).
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct GpuAllocation {
    /// Name of the device, such as `nvidia0`.
    #[cfg_attr(feature = "serde", serde(rename = "gpuDevice"))]
    pub device: String,
    /// Model of the GPU.
    #[cfg_attr(feature = "serde", serde(rename = "gpuModel"))]
    pub model: String,
    /// UUID of the GPU.
    #[cfg_attr(feature = "serde", serde(rename = "gpuUUID"))]
    pub uuid: String,
    /// Whether other containers share the GPU, if the agent knows.
    #[cfg_attr(feature = "serde", serde(rename = "isGPUShared"))]
    pub is_shared: Option<bool>,
    /// GPUs used, on average while the allocation ran, if the agent knows.
    #[cfg_attr(feature = "serde", serde(rename = "gpuUsageAverage"))]
    pub usage_average: Option<f64>,
    /// GPUs requested, on average while the allocation ran, if the agent knows.
    #[cfg_attr(feature = "serde", serde(rename = "gpuRequestAverage"))]
    pub request_average: Option<f64>,
}

impl GpuAllocationRecord {
    /// Reads the GPU figures of an allocation of `version`; none before version 22.
    ///
    /// Version 22 has the two averages only. As in the reference, each of its allocations gets a struct with them.
    /// Later versions still write the averages, always as 0, so they are skipped.
    pub(crate) fn read(version: u8, input: &mut Input<'_>) -> Result<Option<Self>, DecodeError> {
        if version < AVERAGES_SINCE {
            return Ok(None);
        }
        let [request, usage] = input.floats("Allocation GPU averages")?;
        if version < STRUCT_SINCE {
            return Ok(Some(Self {
                usage_average: Some(usage),
                request_average: Some(request),
                ..Self::default()
            }));
        }
        if !input.flag("Allocation.gpuAllocation")? {
            return Ok(None);
        }
        input.structure(version::GPU_ALLOCATION)?;
        let [device, model, uuid] = input.symbols("GPUAllocation names")?;
        Ok(Some(Self {
            device,
            model,
            uuid,
            is_shared: input.optional_flag("GPUAllocation.isGPUShared")?,
            usage_average: input.optional_float("GPUAllocation.gpuUsageAverage")?,
            request_average: input.optional_float("GPUAllocation.gpuRequestAverage")?,
        }))
    }

    /// Writes the GPU figures of an allocation in the version of `output`.
    pub(crate) fn write(gpu: Option<&Self>, output: &mut Output<'_>) -> Result<(), EncodeError> {
        if output.version < AVERAGES_SINCE {
            return Ok(());
        }
        if output.version < STRUCT_SINCE {
            let average = |of: fn(&Self) -> Option<f64>| gpu.and_then(of).unwrap_or(0.0);
            output.floats([average(|gpu| gpu.request_average), average(|gpu| gpu.usage_average)]);
            return Ok(());
        }
        output.floats([0.0; 2]);
        output.flag(gpu.is_some());
        let Some(gpu) = gpu else { return Ok(()) };
        output.structure();
        output.symbols(&[gpu.device, gpu.model, gpu.uuid])?;
        output.optional_flag(gpu.is_shared);
        output.optional_float(gpu.usage_average);
        output.optional_float(gpu.request_average);
        Ok(())
    }
}

impl GpuAllocation {
    pub(crate) fn from_record(record: &GpuAllocationRecord, table: &StringTable<'_>) -> Self {
        Self {
            device: table.resolve(record.device).to_owned(),
            model: table.resolve(record.model).to_owned(),
            uuid: table.resolve(record.uuid).to_owned(),
            is_shared: record.is_shared,
            usage_average: record.usage_average,
            request_average: record.request_average,
        }
    }

    pub(crate) fn to_record<'s>(&'s self, table: &mut StringTable<'s>) -> GpuAllocationRecord {
        GpuAllocationRecord {
            device: table.intern(self.device.as_str()),
            model: table.intern(self.model.as_str()),
            uuid: table.intern(self.uuid.as_str()),
            is_shared: self.is_shared,
            usage_average: self.usage_average,
            request_average: self.request_average,
        }
    }
}
