//! Killed at any moment of an ingest, and started again.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use demo_data::{DemoPlan, bucket::write_bucket};
use futures::FutureExt as _;
use ingest_svc::steps::{Next, Step, Steps};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::Value;
use test_cluster::{TestCluster, TestOptions};

use crate::{
    bucket::{copy_folder, copy_of_golden, files},
    golden,
    processes::{Process, binary},
};

const MOMENTS: u32 = 10;
const SEED: u64 = 0xC0_57;

fn up(bucket: &Path, data: &Path) -> Process {
    Process::start(
        Command::new(binary("fedcost"))
            .arg("up")
            .args([Path::new("--bucket"), bucket, Path::new("--data"), data])
            .args(["--listen", "127.0.0.1:0", "--retention-days", "0"]),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_moment_changes_no_answer() {
    let bucket = copy_of_golden();
    let data = tempfile::tempdir().unwrap();
    let lake = bucket.path().join("derived");

    // How long an undisturbed start takes says which moments there are.
    let started = Instant::now();
    let mut undisturbed = up(bucket.path(), data.path());
    golden::check(&undisturbed.ready().await).await;
    let whole = started.elapsed();
    assert_eq!(undisturbed.terminate(), Some(0));

    let mut random = StdRng::seed_from_u64(SEED);
    for moment in 0..MOMENTS {
        fs::remove_dir_all(&lake).unwrap();
        // One moment in each tenth, so that none of the steps is left out.
        let part = (f64::from(moment) + random.random::<f64>()) / f64::from(MOMENTS);
        let mut killed = up(bucket.path(), data.path());
        tokio::time::sleep(whole.mul_f64(part)).await;
        killed.kill();
        fs::create_dir_all(&lake).unwrap();

        let mut again = up(bucket.path(), data.path());
        golden::check(&again.ready().await).await;
        assert_eq!(again.terminate(), Some(0), "after a kill at {part:.2} of {whole:?}");
    }
}

/// Says to [`dies_after_a_step`] which bucket, and after which step: its number among [`Step::ALL`], and how often it is
/// taken.
const BUCKET: &str = "FEDCOST_TEST_BUCKET";
const STEP: &str = "FEDCOST_TEST_STEP";
const SIGABRT: i32 = 6;

/// Not a test but the process that [`a_kill_after_each_step_of_a_publish`] starts.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "dies, as the test that starts it wants"]
async fn dies_after_a_step() {
    let (bucket, step) = (std::env::var(BUCKET).unwrap(), std::env::var(STEP).unwrap());
    let (step, times) = step.split_once(',').unwrap();
    let (step, times) = (
        Step::ALL[step.parse::<usize>().unwrap()],
        times.parse::<usize>().unwrap(),
    );
    let taken = AtomicUsize::new(0);
    let mut options = TestOptions::new(bucket);
    options.steps = Steps::watched_by(move |now| {
        if now == step && taken.fetch_add(1, Ordering::Relaxed) + 1 == times {
            std::process::abort();
        }
        std::future::ready(Next::Continue).boxed()
    });
    let cluster = TestCluster::start(options).await.unwrap();
    cluster.refresh_and_wait().await.unwrap();
    panic!("the cycle ended without that step");
}

/// What all clusters cost by namespace, day by day.
async fn answer(cluster: &TestCluster) -> Value {
    let window = "2026-03-01T00:00:00Z,2026-03-04T00:00:00Z";
    let url = format!(
        "{}/model/allocation?window={window}&aggregate=cluster,namespace",
        cluster.base_url()
    );
    let mut answer: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    answer["data"].take()
}

/// What is answered once a cycle has ended well.
async fn answer_of(bucket: &Path) -> (Value, u64) {
    let cluster = TestCluster::start(TestOptions::new(bucket)).await.unwrap();
    let release = cluster.refresh_and_wait().await.unwrap().release.unwrap().number;
    let answered = answer(&cluster).await;
    cluster.stop().await;
    (answered, release)
}

/// The number of the release that the pointer names.
fn released(bucket: &Path) -> u64 {
    let pointer = fs::read(bucket.join("derived/release.json")).unwrap();
    let pointer: Value = serde_json::from_slice(&pointer).unwrap();
    pointer["number"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_after_each_step_of_a_publish() {
    let original = tempfile::tempdir().unwrap();
    let plan = DemoPlan {
        clusters: 2,
        nodes: 2,
        pods_per_node: 3,
        days: 3,
        hours: 0,
        ..DemoPlan::example(1_772_582_400)
    };
    write_bucket(original.path(), &plan, &mut |_| {}).unwrap();
    let (old, first) = answer_of(original.path()).await;
    for (path, ..) in files(&original.path().join("federated")) {
        if path.to_string_lossy().contains("/allocations/") {
            let mut set = bingen::AllocationSet::decode(&fs::read(&path).unwrap()).unwrap();
            set.allocations
                .values_mut()
                .for_each(|item| item.amounts.cpu_cost *= 2.0);
            fs::write(&path, set.encode().unwrap()).unwrap();
        }
    }
    let undisturbed = tempfile::tempdir().unwrap();
    copy_folder(original.path(), undisturbed.path());
    let (new, second) = answer_of(undisturbed.path()).await;
    assert!(old != new && second == first + 1);

    for (number, step) in Step::ALL.into_iter().enumerate() {
        // Two of the tables are committed before the kill in one case.
        let times = if step == Step::TableCommitted { 2 } else { 1 };
        let bucket = tempfile::tempdir().unwrap();
        copy_folder(original.path(), bucket.path());
        let killed = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::dies_after_a_step", "--ignored", "--nocapture"])
            .env(BUCKET, bucket.path())
            .env(STEP, format!("{number},{times}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(killed.signal(), Some(SIGABRT), "{step:?}: {killed}");
        let is_published = matches!(step, Step::Published | Step::Recorded | Step::Cleared);
        assert_eq!(released(bucket.path()), first + u64::from(is_published), "{step:?}");

        // The next process sees that the one which held the lease is gone, and goes on at once.
        let (after, release) = answer_of(bucket.path()).await;
        assert_eq!(after, new, "{step:?}");
        assert_eq!(release, second, "{step:?}");
    }
}
