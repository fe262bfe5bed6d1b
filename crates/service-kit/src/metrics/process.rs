//! The process and what it may use up, as read from Linux when somebody looks.

use std::{fmt, fs, path::Path};

use procfs::{
    Current, Meminfo, ProcessCGroup, WithCurrentSystemInfo,
    process::{LimitValue, Process},
};
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
            && let LimitValue::Value(most) = limits.max_open_files.soft_limit
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
            let help = "Memory that the process may use: its container's bound, or else what the machine has";
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

fn memory_limit(process: &Process) -> Option<u64> {
    let groups = process.cgroups().map(|groups| groups.0).unwrap_or_default();
    let bound = container_bound(Path::new("/sys/fs/cgroup"), &groups);
    let installed = Meminfo::current().ok().map(|memory| memory.mem_total);
    [bound, installed].into_iter().flatten().min()
}

/// The bound of the control group, of version 2 or 1, that a container's runtime sets.
fn container_bound(root: &Path, groups: &[ProcessCGroup]) -> Option<u64> {
    groups.iter().find_map(|group| {
        let (root, file) = if group.controllers.iter().any(|name| name == "memory") {
            (&root.join("memory"), "memory.limit_in_bytes")
        } else if group.hierarchy == 0 {
            (&root.to_path_buf(), "memory.max")
        } else {
            return None;
        };
        let below = root.join(group.pathname.trim_start_matches('/')).join(file);
        // Within a container, its own group may be mounted as the root while its name is that outside.
        let text = fs::read_to_string(below).or_else(|_| fs::read_to_string(root.join(file)));
        // Version 2 writes `max` for no bound, version 1 a number near the largest.
        text.ok()?.trim().parse().ok()
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
            "fedcost_memory_limit_bytes ",
        ] {
            assert!(
                exposition.contains(&format!("\n{name}")),
                "{name} is not in\n{exposition}"
            );
        }
    }

    #[test]
    fn bounds_of_both_versions_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let group = |hierarchy, controllers: &[&str], pathname: &str| ProcessCGroup {
            hierarchy,
            controllers: controllers.iter().map(|&name| name.to_owned()).collect(),
            pathname: pathname.to_owned(),
        };
        let bound = |groups: &[ProcessCGroup]| container_bound(folder.path(), groups);
        let second = [group(0, &[], "/pod")];
        assert_eq!(bound(&second), None);
        write("memory.max", "max\n");
        assert_eq!(bound(&second), None);
        write("pod/memory.max", "1048576\n");
        assert_eq!(bound(&second), Some(1 << 20));

        let first = [group(5, &["cpu"], "/pod"), group(4, &["memory"], "/pod")];
        assert_eq!(bound(&first), None);
        write("memory/memory.limit_in_bytes", "2097152\n");
        assert_eq!(bound(&first), Some(2 << 20));
    }
}
