//! A store that fails, stalls, tears, reorders and throttles; a network that drops and delays. Whatever they do:
//! nothing acknowledged is lost, nothing appears twice, and every error is typed.
//!
//! What goes wrong, and what is asked for, follows from a seed. When which meets what is a matter of timing, so a
//! failure may take several runs to come again:
//! `FEDCOST_FAULT_SEED=7 cargo test -p storage-svc --test storage faults -- --nocapture`.

mod bucket;
mod conditions;
mod front;
mod ledger;
mod model;
mod network;
mod once;
mod script;
mod watch;
mod writer;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, future::join_all};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use self::{front::FaultyStore, ledger::Ledger, network::FaultyNetwork, writer::Writer};
use super::{checks::check_all, harness::Gateway};

const SEEDS: u64 = 20;

/// Seeds of the runs over a local folder.
const FOLDER_SEEDS: u64 = 4;

/// Writers at the same time, each with a connection of its own.
const WRITERS: usize = 8;

/// Operations of each: 1,000 per seed.
const OPERATIONS: usize = 125;

/// Seeds under way at the same time, as most of a run is waiting.
const PARALLEL: usize = 5;

/// What one seed led to.
struct Run {
    seed: u64,
    violations: Vec<String>,
    /// How often each kind of fault was met, and each error.
    account: String,
    /// Kinds of faults that were met, of the store and of the network.
    kinds: (usize, usize),
}

/// One seed over a gateway, with faults of the store behind it if there are any to be had.
async fn run(seed: u64, gateway: Gateway, store: Option<FaultyStore>) -> Run {
    gateway.wait_until_serving().await;
    let network = FaultyNetwork::to(&gateway.address, seed).await;
    let ledger = Arc::new(Ledger::default());
    let mut writers = Vec::new();
    for number in 0..WRITERS {
        let writer = Writer::new(number, &gateway, &network, seed, Arc::clone(&ledger));
        writer.prepare().await;
        writers.push(writer);
    }
    let set_faulty = |faulty| {
        network.set_faulty(faulty);
        if let Some(store) = &store {
            store.set_faulty(faulty);
        }
    };
    set_faulty(true);
    let ended = join_all(writers.into_iter().map(|writer| tokio::spawn(writer.run(OPERATIONS)))).await;
    set_faulty(false);
    let panics = ended
        .into_iter()
        .filter_map(|ended| ended.err().map(|panic| panic.to_string()));
    let mut violations: Vec<String> = panics.collect();
    let contents = match &store {
        Some(store) => store.bucket.contents().await,
        None => contents_of(&gateway).await,
    };
    violations.extend(ledger.violations(&contents));
    let abandoned = store.as_ref().map(|store| store.abandoned.load(Ordering::SeqCst));
    let store_faults = store.map(|store| store.met.counts()).unwrap_or_default();
    let network_faults = network.met.counts();
    gateway.stop().await;
    Run {
        seed,
        violations,
        account: format!(
            "{store_faults:?}\n{network_faults:?}\n{:?}\nrequests that came too late: {abandoned:?}",
            ledger.failures.counts()
        ),
        kinds: (store_faults.len(), network_faults.len()),
    }
}

/// All that the gateway shows.
async fn contents_of(gateway: &Gateway) -> BTreeMap<String, Bytes> {
    let store = gateway.store();
    let all: Vec<ObjectMeta> = store.list(None).try_collect().await.unwrap();
    let mut contents = BTreeMap::new();
    for object in all {
        let read = store.get(&object.location).await.unwrap();
        contents.insert(object.location.to_string(), read.bytes().await.unwrap());
    }
    contents
}

/// Runs the seeds, or the one that is asked for, and expects that no promise was broken.
async fn run_all<F: Future<Output = Run>>(seeds: u64, kinds: (usize, usize), run: impl Fn(u64) -> F) {
    watch::begin();
    let seeds = match std::env::var("FEDCOST_FAULT_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (1..=seeds).collect(),
    };
    let runs: Vec<Run> = futures::stream::iter(seeds)
        .map(run)
        .buffer_unordered(PARALLEL)
        .collect()
        .await;
    let mut broken = Vec::new();
    for run in runs {
        println!("seed {}: {}", run.seed, run.account);
        assert_eq!(run.kinds, kinds, "seed {}: kinds of faults that were met", run.seed);
        let violations = run.violations.iter();
        broken.extend(violations.map(|violation| format!("seed {}: {violation}", run.seed)));
    }
    println!("answers lost: [{}]", watch::lost_answers());
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_done_twice_whatever_fails() {
    run_all(SEEDS, (10, 4), async |seed| {
        let store = FaultyStore::start(seed).await;
        let gateway = Gateway::to(store.config()).await;
        run(seed, gateway, Some(store)).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_done_twice_in_a_local_folder() {
    run_all(FOLDER_SEEDS, (0, 4), async |seed| {
        run(seed, Gateway::local().await, None).await
    })
    .await;
}

/// So that what the faults are tried on is S3, as far as anybody can tell.
#[tokio::test(flavor = "multi_thread")]
async fn the_bucket_of_the_faults_conforms() {
    let store = FaultyStore::start(0).await;
    let gateway = Gateway::to(store.config()).await;
    check_all(&gateway, &[]).await;
    gateway.stop().await;
}
