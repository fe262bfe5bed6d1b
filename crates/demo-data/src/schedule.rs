//! When nodes and pods run, and under which names.

use crate::catalog::{Cloud, Controller};
use crate::cluster::{Cluster, Node, NodeLifetime, Slot, Workload};
use crate::noise::Noise;

pub(crate) const HOUR: i64 = 3_600;
pub(crate) const DAY: i64 = 86_400;

/// A stretch of time, in Unix seconds, half-open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: i64,
    pub(crate) end: i64,
}

impl Span {
    pub(crate) fn intersection(self, other: Self) -> Option<Self> {
        let (start, end) = (self.start.max(other.start), self.end.min(other.end));
        (start < end).then_some(Self { start, end })
    }

    pub(crate) fn hours(self) -> f64 {
        (self.end - self.start) as f64 / HOUR as f64
    }
}

/// A day of UTC, as the number of days since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Day(pub(crate) i64);

impl Day {
    pub(crate) fn of(seconds: i64) -> Self {
        Self(seconds.div_euclid(DAY))
    }

    pub(crate) fn span(self) -> Span {
        Span {
            start: self.0 * DAY,
            end: (self.0 + 1) * DAY,
        }
    }

    pub(crate) fn is_weekend(self) -> bool {
        // The epoch was a Thursday.
        matches!((self.0 + 4).rem_euclid(7), 0 | 6)
    }
}

/// The machine that fills a node's place on a day.
pub(crate) struct Machine {
    pub(crate) name: String,
    pub(crate) provider_id: String,
    pub(crate) span: Span,
    /// Tells the machine from those before and after it.
    pub(crate) noise: Noise,
}

impl Machine {
    /// The machine of `node` on `day`, if there is one.
    pub(crate) fn on(day: Day, node: &Node, cluster: &Cluster) -> Option<Self> {
        let whole_day = day.span();
        let (generation, span) = match node.lifetime {
            NodeLifetime::Lasting => (0, whole_day),
            NodeLifetime::Replaced { days } => ((day.0 + node.index as i64).div_euclid(days), whole_day),
            NodeLifetime::WorkingHours { .. } if day.is_weekend() => return None,
            NodeLifetime::WorkingHours { from, to } => {
                let span = Span {
                    start: whole_day.start + from * HOUR,
                    end: whole_day.start + to * HOUR,
                };
                (day.0, span)
            }
        };
        let noise = node.noise.of("machine").at(generation.cast_unsigned());
        let index = node.index;
        let (name, provider_id) = match cluster.site.cloud {
            Cloud::Aws => (
                format!(
                    "ip-10-{}-{}-{}.ec2.internal",
                    index / 256,
                    index % 256,
                    noise.of("address").below(254) + 1
                ),
                format!("i-0{:016x}", noise.of("id").bits()),
            ),
            Cloud::Gcp => {
                let (group, suffix) = (node.noise.of("group").bits() as u32, noise.suffix(4));
                let name = format!("gke-{}-pool-{group:08x}-{suffix}", cluster.id);
                (name.clone(), name)
            }
            Cloud::Azure => {
                let pool = cluster.noise.of("pool").below(100_000_000);
                let machine = noise.of("id").below(36_usize.pow(3));
                let name = format!("aks-nodepool1-{pool:08}-vmss{index:04}{machine:05}");
                (name.clone(), name)
            }
            Cloud::OnPremises => {
                let name = format!("node-{}-{index:04}", cluster.id);
                (name.clone(), name)
            }
        };
        Some(Self {
            name,
            provider_id,
            span,
            noise,
        })
    }
}

impl Workload {
    /// The name on a day; none when the workload is not there.
    pub(crate) fn name_on(&self, day: Day) -> Option<String> {
        let Some(visits) = self.visits else {
            return Some(self.name.clone());
        };
        let since = day.0 + self.phase;
        let visit = since.div_euclid(visits.period_days);
        (since.rem_euclid(visits.period_days) < visits.days).then(|| format!("{}-pr-{}", self.name, visit))
    }

    fn version_on(&self, day: Day) -> i64 {
        (day.0 + self.phase).div_euclid(self.rollout_days)
    }

    /// When on that day a new version replaces the one before, if that is so.
    fn rollout_on(&self, day: Day) -> Option<i64> {
        let minute = self.noise.of("rollout minute").at(day.0.cast_unsigned()).below(10 * 60) as i64;
        ((day.0 + self.phase).rem_euclid(self.rollout_days) == 0).then(|| day.span().start + 8 * HOUR + minute * 60)
    }

    /// Hours of peak use within a stretch of one day.
    pub(crate) fn peak_hours(&self, span: Span, day: Day) -> f64 {
        let until = |second: i64| {
            let second = second - day.span().start;
            let hour = (second / HOUR) as usize;
            let Some(next) = self.use_until_hour.get(hour + 1) else {
                return self.use_until_hour[24];
            };
            let whole = self.use_until_hour[hour];
            whole + (next - whole) * (second % HOUR) as f64 / HOUR as f64
        };
        let weekend = if day.is_weekend() {
            self.application.profile.weekend
        } else {
            1.0
        };
        weekend * (until(span.end) - until(span.start))
    }
}

/// A pod that fills a slot for a while.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PodRun {
    pub(crate) span: Span,
    /// The version of its workload, or the minute when its job started.
    pub(crate) version: i64,
}

/// The pods of a slot on a day, one after the other, into `runs`.
pub(crate) fn pod_runs(slot: &Slot, workload: &Workload, machine: &Machine, day: Day, runs: &mut Vec<PodRun>) {
    runs.clear();
    let span = machine.span;
    match workload.application.controller {
        Controller::StatefulSet | Controller::DaemonSet | Controller::Nobody => {
            runs.push(PodRun { span, version: 0 });
        }
        Controller::Deployment => {
            let version = workload.version_on(day);
            match workload
                .rollout_on(day)
                .filter(|&rollout| span.start < rollout && rollout < span.end)
            {
                Some(rollout) => {
                    runs.push(PodRun {
                        span: Span { end: rollout, ..span },
                        version: version - 1,
                    });
                    runs.push(PodRun {
                        span: Span { start: rollout, ..span },
                        version,
                    });
                }
                None => runs.push(PodRun { span, version }),
            }
        }
        Controller::Job => {
            let per_day = *workload.noise.of("runs").pick(&[1_i64, 1, 1, 2]);
            let first = slot.noise.of("first run").below(24 * 60 / per_day as usize) as i64 * 60;
            for run in 0..per_day {
                let start = day.span().start + first + run * DAY / per_day;
                let minutes = 4 + slot
                    .noise
                    .of("minutes")
                    .at((day.0 * per_day + run).cast_unsigned())
                    .below(42) as i64;
                let span = Span {
                    start,
                    end: start + minutes * 60,
                }
                .intersection(span);
                runs.extend(span.map(|span| PodRun {
                    span,
                    version: start / 60,
                }));
            }
        }
    }
}

/// Names of a pod, as its controller gives them.
pub(crate) struct PodName {
    pub(crate) pod: String,
    /// The hash in the label of pods of deployments.
    pub(crate) template_hash: Option<String>,
}

impl PodName {
    pub(crate) fn new(workload_name: &str, workload: &Workload, slot: &Slot, machine: &Machine, run: PodRun) -> Self {
        let mut pod = String::with_capacity(workload_name.len() + 18);
        pod.push_str(workload_name);
        pod.push('-');
        let version = run.version.cast_unsigned();
        let own = Noise::new(slot.noise.bits() ^ machine.noise.bits()).at(version);
        let mut template_hash = None;
        match workload.application.controller {
            Controller::Deployment => {
                let hash = workload.noise.of("template").at(version).suffix(9);
                pod.push_str(&hash);
                pod.push('-');
                template_hash = Some(hash);
                own.push_suffix(5, &mut pod);
            }
            Controller::StatefulSet => pod.push_str(&slot.ordinal.to_string()),
            Controller::DaemonSet | Controller::Nobody => own.push_suffix(5, &mut pod),
            Controller::Job => {
                pod.push_str(&run.version.to_string());
                pod.push('-');
                own.push_suffix(5, &mut pod);
            }
        }
        Self { pod, template_hash }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DemoPlan;

    fn cluster() -> Cluster {
        Cluster::build(
            &DemoPlan {
                nodes: 40,
                pods_per_node: 12,
                ..DemoPlan::example(20_500 * DAY)
            },
            0,
        )
    }

    #[test]
    fn pods_of_a_slot_never_overlap_and_stay_on_their_machine() {
        let cluster = cluster();
        let mut runs = Vec::new();
        for day in (20_480..20_500).map(Day) {
            for node in &cluster.nodes {
                let Some(machine) = Machine::on(day, node, &cluster) else {
                    continue;
                };
                for slot in &node.slots {
                    pod_runs(slot, &cluster.workloads[slot.workload], &machine, day, &mut runs);
                    assert!(
                        runs.iter()
                            .all(|run| run.span.intersection(machine.span) == Some(run.span))
                    );
                    assert!(runs.windows(2).all(|pair| pair[0].span.end <= pair[1].span.start));
                }
            }
        }
    }

    #[test]
    fn use_adds_up_over_the_hours_of_a_day() {
        let cluster = cluster();
        let day = Day(20_490);
        for workload in &cluster.workloads {
            let whole = workload.peak_hours(day.span(), day);
            let start = day.span().start;
            let hours = (0..24).map(|hour| Span {
                start: start + hour * HOUR,
                end: start + (hour + 1) * HOUR,
            });
            let sum: f64 = hours.map(|hour| workload.peak_hours(hour, day)).sum();
            assert!((whole - sum).abs() < 1e-9, "{whole} {sum}");
        }
    }

    #[test]
    fn workloads_come_and_go_under_new_names() {
        let cluster = cluster();
        let visitor = cluster
            .workloads
            .iter()
            .find(|workload| workload.visits.is_some())
            .unwrap();
        let names: Vec<_> = (20_400..20_500).map(|day| visitor.name_on(Day(day))).collect();
        assert!(names.contains(&None));
        let distinct: std::collections::HashSet<_> = names.iter().flatten().collect();
        assert!(distinct.len() > 3);
    }

    #[test]
    fn weekends_are_where_the_calendar_has_them() {
        // 2026-03-01 was a Sunday.
        assert_eq!(
            [20_512, 20_513, 20_514, 20_518].map(|day| Day(day).is_weekend()),
            [true, true, false, false]
        );
        assert_eq!(Day::of(1_772_323_200), Day(20_513));
    }
}
