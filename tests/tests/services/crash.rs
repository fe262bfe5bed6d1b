//! Killed at any moment of an ingest, and started again.

use std::{fs, path::Path, process::Command, time::Instant};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use crate::{
    bucket::copy_of_golden,
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
