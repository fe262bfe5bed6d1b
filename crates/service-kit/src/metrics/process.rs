//! The process and what it may use up, as read from Linux when somebody looks.

use std::{fmt, fs, path::Path};

use procfs::{WithCurrentSystemInfo, process::Process};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};

/// Adds `process_…` under the names that all Prometheus clients use, `fedcost_memory_limit_bytes` and
/// `fedcost_build_info`. Call it once per registry, which must have no prefix.
pub fn register(registry: &mut Registry) {
    registry.register_collector(Box::new(ProcessCollector));
}

#[derive(Debug)]
struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let build = prometheus_client::metrics::info::Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        let metric = encoder.encode_descriptor("fedcost_build", "The version that runs", None, build.metric_type())?;
        build.encode(metric)?;
        // What cannot be read is left out: a process must not fail for it.
        let Ok(process) = Process::myself() else {
            return Ok(());
        };
        if let Ok(stat) = process.stat() {
            let ticks = procfs::ticks_per_second().max(1) as f64;
            let cpu = ConstCounter::new((stat.utime + stat.stime) as f64 / ticks);
            let unit = Some(&Unit::Seconds);
            let metric = encoder.encode_descriptor("process_cpu", "Time of the processors", unit, cpu.metric_type())?;
            cpu.encode(metric)?;
            if let Ok(boot) = procfs::boot_time_secs() {
                gauge(
                    &mut encoder,
                    "process_start_time",
                    "When the process started, since 1970",
                    Some(&Unit::Seconds),
                    boot as f64 + stat.starttime as f64 / ticks,
                )?;
            }
            let bytes = Some(&Unit::Bytes);
            let resident = stat.rss_bytes().get() as f64;
            gauge(
                &mut encoder,
                "process_resident_memory",
                "Memory that is in use",
                bytes,
                resident,
            )?;
            let virtual_memory = stat.vsize as f64;
            gauge(
                &mut encoder,
                "process_virtual_memory",
                "Memory that is addressed",
                bytes,
                virtual_memory,
            )?;
            let threads = stat.num_threads as f64;
            gauge(&mut encoder, "process_threads", "Threads", None, threads)?;
        }
        if let Ok(open) = process.fd_count() {
            gauge(
                &mut encoder,
                "process_open_fds",
                "Open files and connections",
                None,
                open as f64,
            )?;
        }
        if let Ok(limits) = process.limits()
            && let procfs::process::LimitValue::Value(most) = limits.max_open_files.soft_limit
        {
            gauge(
                &mut encoder,
                "process_max_fds",
                "Files and connections that may be open",
                None,
                most as f64,
            )?;
        }
        if let Some(limit) = memory_limit(&process) {
            let help = "Memory that the process's group may use, where that is bounded";
            gauge(
                &mut encoder,
                "fedcost_memory_limit",
                help,
                Some(&Unit::Bytes),
                limit as f64,
            )?;
        }
        Ok(())
    }
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, unit: Option<&Unit>, value: f64) -> fmt::Result {
    let metric = ConstGauge::new(value);
    metric.encode(encoder.encode_descriptor(name, help, unit, metric.metric_type())?)
}

/// The bound of the control group, of version 2 or 1, that a container's runtime sets.
fn memory_limit(process: &Process) -> Option<u64> {
    let groups = process.cgroups().ok()?;
    let root = Path::new("/sys/fs/cgroup");
    groups.0.into_iter().find_map(|group| {
        let below = group.pathname.trim_start_matches('/');
        let file = if group.controllers.iter().any(|name| name == "memory") {
            root.join("memory").join(below).join("memory.limit_in_bytes")
        } else if group.hierarchy == 0 {
            root.join(below).join("memory.max")
        } else {
            return None;
        };
        let limit: u64 = fs::read_to_string(file).ok()?.trim().parse().ok()?;
        // Version 1 writes a number near the largest for no bound.
        (limit < 1 << 60).then_some(limit)
    })
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;

    use super::*;

    #[test]
    fn tells_of_this_process() {
        let mut registry = Registry::default();
        register(&mut registry);
        let mut exposition = String::new();
        text::encode(&mut exposition, &registry).unwrap();
        for name in [
            "process_cpu_seconds_total ",
            "process_start_time_seconds ",
            "process_resident_memory_bytes ",
            "process_open_fds ",
            "fedcost_build_info{version=",
        ] {
            assert!(
                exposition.contains(&format!("\n{name}")),
                "{name} is not in\n{exposition}"
            );
        }
    }
}
