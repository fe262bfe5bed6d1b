//! A network that drops and delays: a real proxy on the loopback, between a caller and the gateway.

use std::{
    collections::BTreeMap,
    fmt::Write,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Notify,
    time::sleep,
};

use super::script::{Purpose, Tally, script};

/// Most bytes that are carried at once.
const CHUNK: usize = 16 * 1024;

/// What happens to one chunk of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NetworkFault {
    /// A part of it is carried, and the connection ends, in both directions.
    Dropped,
    /// It is carried, and the connection ends some milliseconds later: maybe while the receiver is at work on it.
    DroppedLater,
    /// It is late by some milliseconds.
    Delayed,
    /// Nothing is read for a while, so that the sender has to wait.
    Unread,
}

/// The network. Ends with the runtime.
#[derive(Debug, Clone)]
pub(super) struct FaultyNetwork {
    /// `https://host:port`, as a caller may dial it.
    pub(super) address: String,
    seed: u64,
    faulty: Arc<AtomicBool>,
    cut: Arc<Notify>,
    pub(super) met: Tally<NetworkFault>,
    /// Open connections by their number.
    open: Arc<Mutex<BTreeMap<u64, Carried>>>,
}

/// What a connection has carried: bytes up and down, and when the last of them.
#[derive(Debug)]
struct Carried {
    up: usize,
    down: usize,
    last: Instant,
}

impl FaultyNetwork {
    /// A way to the server at `to`, without faults at first.
    pub(super) async fn to(to: &str, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let network = Self {
            address: format!("https://{}", listener.local_addr().unwrap()),
            seed,
            faulty: Arc::default(),
            cut: Arc::default(),
            met: Tally::default(),
            open: Arc::default(),
        };
        let (serving, to) = (network.clone(), to.trim_start_matches("https://").to_owned());
        tokio::spawn(async move {
            let connections = AtomicU64::new(0);
            while let Ok((near, _)) = listener.accept().await {
                let number = connections.fetch_add(1, Ordering::SeqCst);
                let (network, to) = (serving.clone(), to.clone());
                tokio::spawn(async move { network.carry(near, &to, number).await });
            }
        });
        network
    }

    pub(super) fn set_faulty(&self, faulty: bool) {
        self.faulty.store(faulty, Ordering::SeqCst);
    }

    /// Ends all connections that there are.
    pub(super) fn cut(&self) {
        self.cut.notify_waiters();
    }

    /// The open connections, and for how long they have carried nothing.
    pub(super) fn idle_connections(&self) -> String {
        self.open
            .lock()
            .unwrap()
            .iter()
            .fold(String::new(), |mut text, (number, carried)| {
                let Carried { up, down, last } = carried;
                let _written = write!(
                    text,
                    "\n  {number}: {up} bytes up, {down} down, nothing for {:?}",
                    last.elapsed()
                );
                text
            })
    }

    fn note(&self, number: u64, up: usize, down: usize) {
        let mut open = self.open.lock().unwrap();
        let carried = open.entry(number).or_insert(Carried {
            up: 0,
            down: 0,
            last: Instant::now(),
        });
        carried.up += up;
        carried.down += down;
        carried.last = Instant::now();
    }

    async fn carry(&self, near: TcpStream, to: &str, number: u64) -> io::Result<()> {
        self.note(number, 0, 0);
        let ended = self.carry_both_ways(near, to, number).await;
        self.open.lock().unwrap().remove(&number);
        ended
    }

    /// Carries bytes both ways until either ends.
    async fn carry_both_ways(&self, near: TcpStream, to: &str, number: u64) -> io::Result<()> {
        let far = TcpStream::connect(to).await?;
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        let (near_read, near_write) = near.into_split();
        let (far_read, far_write) = far.into_split();
        let (up, down) = (
            script(self.seed, Purpose::Upstream, number),
            script(self.seed, Purpose::Downstream, number),
        );
        let up = self.carry_one_way(near_read, far_write, up, |size| self.note(number, size, 0));
        let down = self.carry_one_way(far_read, near_write, down, |size| self.note(number, 0, size));
        // The first to end drops the other's halves too.
        tokio::select! {
            () = self.cut.notified() => Ok(()),
            ended = up => ended,
            ended = down => ended,
        }
    }

    async fn carry_one_way(
        &self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        mut script: ChaCha8Rng,
        note: impl Fn(usize),
    ) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        loop {
            let size = from.read(&mut chunk).await?;
            if size == 0 {
                return Ok(());
            }
            let (kind, extent) = (script.random_range(0..200), script.random_range(0..100));
            if self.faulty.load(Ordering::SeqCst) {
                match kind {
                    0..2 => {
                        self.met.count(NetworkFault::Dropped);
                        let carried = size * extent / 100;
                        return to.write_all(&chunk[..carried]).await;
                    }
                    2..4 => {
                        self.met.count(NetworkFault::DroppedLater);
                        to.write_all(&chunk[..size]).await?;
                        sleep(Duration::from_millis(extent as u64 / 4)).await;
                        return Ok(());
                    }
                    4..13 => {
                        self.met.count(NetworkFault::Delayed);
                        sleep(Duration::from_millis(1 + extent as u64 / 5)).await;
                    }
                    13..16 => {
                        self.met.count(NetworkFault::Unread);
                        sleep(Duration::from_millis(50 + extent as u64)).await;
                    }
                    _ => {}
                }
            }
            to.write_all(&chunk[..size]).await?;
            note(size);
        }
    }
}
