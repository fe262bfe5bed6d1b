//! Killed after any step of a publish, and started again; and two writers at once.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::FutureExt as _;
use lake::{LakeError, TableName};

use super::world::{DAY, FIRST_DAY, Running, World, costs_of, expected};
use crate::{
    cycle::CycleError,
    steps::{Next, Step, Steps},
};

/// Dies after a step has been taken so many times.
fn dies_at(step: Step, times: usize) -> Steps {
    let taken = Arc::new(AtomicUsize::new(0));
    Steps::watched_by(move |now| {
        let dies = now == step && taken.fetch_add(1, Ordering::Relaxed) + 1 == times;
        std::future::ready(if dies { Next::Die } else { Next::Continue }).boxed()
    })
}

const AFTER_A_LEASE: TimeDelta = TimeDelta::seconds(41);

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_after_any_step_leaves_the_old_release_or_the_new_one() {
    // Partitions and tables are several, so their steps are taken several times.
    let moments = Step::ALL.into_iter().flat_map(|step| {
        let times = match step {
            Step::PartitionWritten => vec![1, 2],
            Step::TableCommitted => vec![1, TableName::ALL.len()],
            _ => vec![1],
        };
        times.into_iter().map(move |times| (step, times))
    });
    for (step, times) in moments {
        let mut world = World::new();
        world.put_allocations("a", FIRST_DAY, &[("x", 1.0)]).await;
        world.put_assets("a", FIRST_DAY, "node", 5.0).await;
        world.ingest().cycle(world.now).await.unwrap();
        let old = world.costs().await;

        world.put_allocations("a", FIRST_DAY, &[("x", 2.0)]).await;
        world.put_allocations("b", FIRST_DAY + DAY, &[("y", 3.0)]).await;
        let new = expected(&[("a", FIRST_DAY, &[("x", 2.0)]), ("b", FIRST_DAY + DAY, &[("y", 3.0)])]);
        let mut settings = world.settings.clone();
        settings.steps = dies_at(step, times);
        let now = world.later(TimeDelta::minutes(10));
        let killed = world.ingest_with(settings).cycle(now).await;
        assert!(
            matches!(killed, Err(CycleError::Ended(at)) if at == step),
            "{step:?} {times}: {killed:?}"
        );

        let is_published = matches!(step, Step::Published | Step::Recorded | Step::Cleared);
        let served = if is_published { &new } else { &old };
        assert_eq!(&world.costs().await, served, "{step:?} {times}");

        // The next process finds the lease of one that seems to live, until it runs out.
        let now = world.later(AFTER_A_LEASE);
        world.ingest().cycle(now).await.unwrap();
        assert_eq!(world.costs().await, new, "{step:?} {times}");
        let release = world.release().await.unwrap();
        assert_eq!(
            world.lake().recorded_releases().await.unwrap().last(),
            Some(&release.number)
        );
        let sums = world.costs_in(TableName::AllocationsByNamespace, "namespace").await;
        let wanted = expected(&[
            ("a", FIRST_DAY, &[("web", 2.0)]),
            ("b", FIRST_DAY + DAY, &[("web", 3.0)]),
        ]);
        assert_eq!(sums, wanted, "{step:?} {times}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_writer_waits_for_its_turn() {
    let world = Arc::new({
        let world = World::new();
        world.put_allocations("a", FIRST_DAY, &[("x", 1.0)]).await;
        world
    });
    let other = Arc::clone(&world);
    let mut settings = world.settings.clone();
    settings.steps = Steps::watched_by(move |step| {
        let world = Arc::clone(&other);
        async move {
            if step == Step::AllCommitted {
                let refused = world.ingest().cycle(world.now).await;
                assert!(
                    matches!(refused, Err(CycleError::Lake(LakeError::Busy { .. }))),
                    "{refused:?}"
                );
            }
            Next::Continue
        }
        .boxed()
    });
    let mut first = world.ingest_with(settings);
    first.cycle(world.now).await.unwrap();
    // In turns they do no harm, and find nothing to do.
    let second = world.ingest().cycle(world.now).await.unwrap();
    assert_eq!(second.progress.files_to_read, 0);
    assert_eq!(first.cycle(world.now).await.unwrap().progress.files_to_read, 0);
    assert_eq!(world.release().await.unwrap().number, 1);
}

/// Runs a cycle that sleeps after a step until its lease has run out. Meanwhile the bucket changes, and another publishes;
/// the sleeper goes on to its commits, and publishes nothing.
async fn sleep_through_the_lease(world: World, asleep_at: Step, now: DateTime<Utc>) -> (Arc<World>, Running) {
    let world = Arc::new(world);
    let (other, slept) = (Arc::clone(&world), Arc::new(AtomicUsize::new(0)));
    let mut settings = world.settings.clone();
    settings.steps = Steps::watched_by(move |step| {
        let (world, slept) = (Arc::clone(&other), Arc::clone(&slept));
        async move {
            if step == asleep_at && slept.fetch_add(1, Ordering::Relaxed) == 0 {
                world.put_allocations("a", FIRST_DAY, &[("x", 3.0)]).await;
                world.ingest().cycle(now + AFTER_A_LEASE).await.unwrap();
            }
            Next::Continue
        }
        .boxed()
    });
    let mut sleeper = world.ingest_with(settings);
    let late = sleeper.cycle(now).await;
    assert!(
        matches!(late, Err(CycleError::Lake(LakeError::PublishedElsewhere { .. }))),
        "{late:?}"
    );
    (world, sleeper)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_slept_through_its_lease_publishes_nothing() {
    for asleep_at in [
        Step::Listed,
        Step::PartitionWritten,
        Step::TableCommitted,
        Step::AllCommitted,
    ] {
        let mut world = World::new();
        world.put_allocations("a", FIRST_DAY, &[("x", 1.0)]).await;
        world.ingest().cycle(world.now).await.unwrap();
        world.put_allocations("a", FIRST_DAY, &[("x", 2.0)]).await;
        let now = world.later(TimeDelta::minutes(10));
        let (world, mut sleeper) = sleep_through_the_lease(world, asleep_at, now).await;
        let newest = expected(&[("a", FIRST_DAY, &[("x", 3.0)])]);
        assert_eq!(world.costs().await, newest, "{asleep_at:?}");
        // It sees what the other did, and has nothing to add.
        let again = sleeper.cycle(now + AFTER_A_LEASE * 2).await.unwrap();
        assert_eq!(again.progress.files_to_read, 0);
        assert_eq!(world.costs().await, newest);
    }
}

/// A kept release's file may have left its table before that release was published: by a writer that had slept, and whose
/// commits no release names.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_late_writer_took_out_is_kept_for_the_release_that_names_it() {
    let mut world = World::new();
    world.put_allocations("a", FIRST_DAY, &[("x", 1.0)]).await;
    world.ingest().cycle(world.now).await.unwrap();
    world.put_allocations("a", FIRST_DAY, &[("x", 2.0)]).await;
    let now = world.later(TimeDelta::minutes(10));
    let (world, _) = sleep_through_the_lease(world, Step::Listed, now).await;
    // What the late writer left is undone, without another word of the file that it had taken out.
    world.put_allocations("a", FIRST_DAY, &[("x", 4.0)]).await;
    world.ingest().cycle(now + TimeDelta::minutes(10)).await.unwrap();
    assert_eq!(world.lake().recorded_releases().await.unwrap(), [1, 2, 3]);

    // A moment that is kept: release 2 was served, and its file had left.
    let then = now + TimeDelta::from_std(world.settings.keep_releases).unwrap();
    let now = then + TimeDelta::minutes(5);
    world.put_allocations("a", FIRST_DAY, &[("x", 5.0)]).await;
    world.ingest().cycle(now).await.unwrap();
    let lake = world.lake();
    assert_eq!(lake.recorded_releases().await.unwrap(), [2, 3, 4]);
    for (number, cost) in [(2, 3.0), (3, 4.0), (4, 5.0)] {
        let release = lake.recorded_release(number).await.unwrap().unwrap();
        let costs = costs_of(&lake, &release, TableName::Allocations, "pod").await;
        assert_eq!(costs, expected(&[("a", FIRST_DAY, &[("x", cost)])]), "{number}");
    }
}
