//! Random histories of a bucket against a simple model of what the released tables must hold.
//!
//! `FEDCOST_SEQUENCES` sets how many histories are played (`make test-model` plays 500), `FEDCOST_SEED` the first seed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bingen::Pipeline;
use chrono::{DateTime, TimeDelta};
use futures::{FutureExt as _, StreamExt as _};
use lake::TableName;
use object_store::ObjectStoreExt as _;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

use super::world::{Costs, DAY, Running, World, costs_of, path};
use crate::{
    cycle::CycleError,
    orders::Repair,
    settings::Retention,
    steps::{Next, Step, Steps},
};

const STEPS: usize = 50;
/// Few, so that histories meet the same files again.
const CLUSTERS: [&str; 3] = ["a", "b", "c"];
const DAYS: i64 = 4;

type Names = BTreeMap<String, f64>;

/// A file as the model knows it.
#[derive(Clone, Debug)]
struct File {
    /// What can be read of it; none when it is damaged.
    names: Option<Names>,
    /// Counts up with each write.
    version: u64,
}

/// What one release must hold.
#[derive(Clone, Debug, Default)]
struct State {
    /// By cluster and first second, the version of the file that was looked at, and the rows.
    windows: BTreeMap<(String, i64), (u64, Names)>,
}

impl State {
    fn costs(&self) -> Costs {
        let windows = self.windows.iter();
        windows
            .filter(|(_, (_, names))| !names.is_empty())
            .map(|(key, (_, names))| (key.clone(), names.clone()))
            .collect()
    }
}

/// The bucket, and what was made of it.
struct Model {
    bucket: BTreeMap<(String, i64), File>,
    /// By the number of the release.
    releases: BTreeMap<u64, State>,
    newest: u64,
    versions: u64,
}

impl Model {
    fn newest(&self) -> State {
        self.releases.get(&self.newest).cloned().unwrap_or_default()
    }

    /// What a cycle makes of the bucket now.
    fn next(&self, oldest: Option<i64>) -> State {
        let before = self.newest();
        let kept = self
            .bucket
            .iter()
            .filter(|((_, start), _)| oldest.is_none_or(|oldest| start + DAY > oldest));
        let windows = kept.map(|(key, file)| {
            let rows = match (&file.names, before.windows.get(key)) {
                (Some(names), _) => names.clone(),
                // A damaged file leaves what was there.
                (None, Some((_, rows))) => rows.clone(),
                (None, None) => Names::new(),
            };
            (key.clone(), (file.version, rows))
        });
        State {
            windows: windows.collect(),
        }
    }

    /// Whether a cycle that begins now finds something to do.
    fn has_work(&self, next: &State) -> bool {
        let versions = |state: &State| -> BTreeMap<_, _> {
            let windows = state.windows.iter();
            windows.map(|(key, (version, _))| (key.clone(), *version)).collect()
        };
        self.newest == 0 || versions(&self.newest()) != versions(next)
    }

    fn publish(&mut self, state: State) {
        self.newest += 1;
        self.releases.insert(self.newest, state);
    }
}

/// One history.
struct History {
    random: StdRng,
    world: World,
    model: Model,
    running: Running,
    retention: Option<u32>,
    /// First second of the first day.
    first: i64,
}

impl History {
    fn new(seed: u64) -> Self {
        let world = World::new();
        let first = (world.now.timestamp() / DAY - DAYS) * DAY;
        let running = world.ingest();
        Self {
            random: StdRng::seed_from_u64(seed),
            model: Model {
                bucket: BTreeMap::new(),
                releases: BTreeMap::new(),
                newest: 0,
                versions: 0,
            },
            world,
            running,
            retention: None,
            first,
        }
    }

    fn key(&mut self) -> (String, i64) {
        let cluster = *CLUSTERS.choose(&mut self.random).unwrap();
        (cluster.to_owned(), self.first + self.random.random_range(0..DAYS) * DAY)
    }

    fn present(&mut self) -> Option<(String, i64)> {
        let keys: Vec<_> = self.model.bucket.keys().cloned().collect();
        keys.choose(&mut self.random).cloned()
    }

    async fn upload(&mut self) {
        let (cluster, start) = self.key();
        let names: Names = (0..self.random.random_range(0..4))
            .map(|_| {
                let name = format!("pod-{}", self.random.random_range(0..6));
                (name, f64::from(self.random.random_range(1..100)))
            })
            .collect();
        let costs: Vec<_> = names.iter().map(|(name, cost)| (name.as_str(), *cost)).collect();
        self.world.put_allocations(&cluster, start, &costs).await;
        self.written((cluster, start), Some(names));
    }

    async fn corrupt(&mut self) {
        let Some((cluster, start)) = self.present() else { return };
        let file = path(&cluster, Pipeline::Allocations, start);
        let bytes: Vec<u8> = (0..self.random.random_range(0..40))
            .map(|_| self.random.random())
            .collect();
        self.world.put(&file, bytes).await;
        self.written((cluster, start), None);
    }

    fn written(&mut self, key: (String, i64), names: Option<Names>) {
        self.model.versions += 1;
        let version = self.model.versions;
        self.model.bucket.insert(key, File { names, version });
    }

    async fn delete(&mut self) {
        let Some((cluster, start)) = self.present() else { return };
        let file = path(&cluster, Pipeline::Allocations, start);
        self.world.store.delete(&file).await.unwrap();
        self.model.bucket.remove(&(cluster, start));
    }

    fn oldest(&self) -> Option<i64> {
        let days = self.retention?;
        Some((self.world.now - TimeDelta::days(i64::from(days))).timestamp())
    }

    async fn cycle(&mut self) {
        let now = self.world.later(TimeDelta::minutes(10));
        let next = self.model.next(self.oldest());
        let has_work = self.model.has_work(&next);
        self.running.cycle(now).await.unwrap();
        if has_work {
            self.model.publish(next);
        }
    }

    /// Has a part of the bucket read again.
    async fn repair(&mut self) {
        let (cluster, start) = self.key();
        self.running.orders.repair(Repair {
            pipeline: None,
            cluster: Some(cluster.clone()),
            window: (
                DateTime::from_timestamp(start, 0).unwrap(),
                DateTime::from_timestamp(start + DAY, 0).unwrap(),
            ),
        });
        let now = self.world.later(TimeDelta::minutes(10));
        let next = self.model.next(self.oldest());
        let is_kept = next.windows.contains_key(&(cluster, start));
        let has_work = self.model.has_work(&next) || is_kept;
        self.running.cycle(now).await.unwrap();
        if has_work {
            self.model.publish(next);
        }
    }

    async fn reset(&mut self) {
        self.running.orders.reset();
        let now = self.world.later(TimeDelta::minutes(10));
        let next = self.model.next(self.oldest());
        // Of a damaged file nothing is left when all is made anew.
        let bucket = &self.model.bucket;
        let mut anew = next.clone();
        for (key, (_, rows)) in &mut anew.windows {
            if bucket.get(key).is_some_and(|file| file.names.is_none()) {
                rows.clear();
            }
        }
        let has_work = self.model.has_work(&next) || !anew.windows.is_empty();
        self.running.cycle(now).await.unwrap();
        if has_work {
            self.model.publish(anew);
        }
    }

    /// Kills the process after some step of a cycle, and starts another.
    async fn crash(&mut self) {
        let step = *Step::ALL.choose(&mut self.random).unwrap();
        let times = self.random.random_range(1..4);
        let taken = Arc::new(AtomicUsize::new(0));
        let mut settings = self.world.settings.clone();
        settings.steps = Steps::watched_by(move |now| {
            let dies = now == step && taken.fetch_add(1, Ordering::Relaxed) + 1 == times;
            std::future::ready(if dies { Next::Die } else { Next::Continue }).boxed()
        });
        let now = self.world.later(TimeDelta::minutes(10));
        let next = self.model.next(self.oldest());
        let has_work = self.model.has_work(&next);
        let before = self.model.newest;
        let killed = self.world.ingest_with(settings).cycle(now).await;
        let is_published = match killed {
            Ok(_) => true,
            Err(CycleError::Ended(Step::Published | Step::Recorded | Step::Cleared)) => true,
            Err(CycleError::Ended(_)) => false,
            Err(error) => panic!("{error}"),
        };
        if has_work && is_published {
            self.model.publish(next);
        }
        assert!(self.model.newest <= before + 1);
        self.world.later(TimeDelta::minutes(1));
        self.running = self.world.ingest();
    }

    /// Another writer runs a cycle in the middle of ours: before our lease has run out, or after.
    async fn two_writers(&mut self) {
        let step = *[
            Step::Listed,
            Step::PartitionWritten,
            Step::TableCommitted,
            Step::AllCommitted,
        ]
        .choose(&mut self.random)
        .unwrap();
        let is_late = self.random.random_bool(0.5);
        let now = self.world.later(TimeDelta::minutes(10));
        let next = self.model.next(self.oldest());
        let has_work = self.model.has_work(&next);
        let then = self.world.later(TimeDelta::minutes(if is_late { 2 } else { 0 }));
        let other = Arc::new(tokio::sync::Mutex::new(self.world.ingest()));
        let done = Arc::new(AtomicUsize::new(0));
        let mut settings = self.world.settings.clone();
        let other_done = Arc::clone(&done);
        settings.steps = Steps::watched_by(move |at| {
            let (other, done) = (Arc::clone(&other), Arc::clone(&other_done));
            async move {
                if at == step && done.fetch_add(1, Ordering::Relaxed) == 0 {
                    let outcome = other.lock().await.cycle(then).await;
                    assert_eq!(outcome.is_ok(), is_late, "{outcome:?}");
                }
                Next::Continue
            }
            .boxed()
        });
        let outcome = self.world.ingest_with(settings).cycle(now).await;
        let met = done.load(Ordering::Relaxed) > 0;
        assert_eq!(outcome.is_err(), met && is_late, "{outcome:?}");
        if has_work {
            self.model.publish(next);
        }
    }

    async fn roll_back(&mut self) {
        let numbers = self.world.lake().recorded_releases().await.unwrap();
        let Some(number) = numbers.choose(&mut self.random).copied() else {
            return;
        };
        let now = self.world.later(TimeDelta::minutes(10));
        let newest = self.running.ingest.roll_back(number, now).await.unwrap();
        let state = self.model.releases[&number].clone();
        self.model.publish(state);
        assert_eq!(newest, self.model.newest);
    }

    async fn change_retention(&mut self) {
        self.retention = *[None, Some(2), Some(3)].choose(&mut self.random).unwrap();
        self.world.settings.retention = Retention::of(self.retention.unwrap_or(0), 0);
        self.running = self.world.ingest();
        self.cycle().await;
    }

    /// Days pass, so that old releases are cleared away.
    async fn wait(&mut self) {
        self.world.later(TimeDelta::hours(self.random.random_range(1..30)));
        self.cycle().await;
    }

    async fn step(&mut self) -> &'static str {
        match self.random.random_range(0..100) {
            0..30 => {
                self.upload().await;
                "upload"
            }
            30..36 => {
                self.corrupt().await;
                "corrupt"
            }
            36..42 => {
                self.delete().await;
                "delete"
            }
            42..62 => {
                self.cycle().await;
                "cycle"
            }
            62..68 => {
                self.repair().await;
                "repair"
            }
            68..71 => {
                self.reset().await;
                "reset"
            }
            71..81 => {
                self.crash().await;
                "crash"
            }
            81..89 => {
                self.two_writers().await;
                "two writers"
            }
            89..93 => {
                self.roll_back().await;
                "roll back"
            }
            93..96 => {
                self.change_retention().await;
                "retention"
            }
            _ => {
                self.wait().await;
                "wait"
            }
        }
    }

    /// The released tables equal the model, and so do all releases on record.
    async fn check(&self, what: &str) {
        let lake = self.world.lake();
        let number = self.world.release().await.map_or(0, |release| release.number);
        assert_eq!(number, self.model.newest, "{what}: releases");
        if number == 0 {
            return;
        }
        let wanted = self.model.newest().costs();
        assert_eq!(self.world.costs().await, wanted, "{what}: rows");
        let sums = self
            .world
            .costs_in(TableName::AllocationsByNamespace, "namespace")
            .await;
        let added: Costs = wanted
            .iter()
            .map(|(key, names)| (key.clone(), Names::from([("web".to_owned(), names.values().sum())])))
            .collect();
        assert_eq!(sums, added, "{what}: sums");
        let recorded: BTreeSet<u64> = lake.recorded_releases().await.unwrap().into_iter().collect();
        if let Some(older) = recorded.iter().rev().nth(1)
            && let Some(release) = lake.recorded_release(*older).await.unwrap()
        {
            let costs = costs_of(&lake, &release, TableName::Allocations, "pod").await;
            assert_eq!(costs, self.model.releases[older].costs(), "{what}: release {older}");
        }
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{variable} is {text:?}, not a number")),
        Err(_) => otherwise,
    }
}

async fn play(seed: u64) {
    let mut history = History::new(seed);
    let mut steps = Vec::new();
    for _ in 0..STEPS {
        let step = history.step().await;
        steps.push(step);
        history.check(&format!("seed {seed}, after {steps:?}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_histories_end_as_the_model_says() {
    let first = number("FEDCOST_SEED", 0);
    let seeds = first..first + number("FEDCOST_SEQUENCES", 1);
    let at_once = std::thread::available_parallelism().map_or(2, usize::from);
    let mut played = futures::stream::iter(seeds)
        .map(|seed| async move { (seed, tokio::spawn(play(seed)).await) })
        .buffer_unordered(at_once);
    while let Some((seed, done)) = played.next().await {
        assert!(done.is_ok(), "the history of FEDCOST_SEED={seed} failed, as told above");
    }
}
