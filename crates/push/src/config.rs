//! What a pusher is told.

use std::{path::PathBuf, time::Duration};

use service_kit::{client::EndpointConfig, tls::TlsFiles};

/// What a pusher is told.
#[derive(Debug, Clone)]
pub struct Options {
    /// The agent's ETL folder: the folder that holds `allocations/`, `assets/` and `cloudcosts/`, or one above it.
    pub directory: PathBuf,
    /// Where the gateway is.
    pub gateway: EndpointConfig,
    /// The cluster's certificate, its key, and whom the gateway's certificate is checked against.
    pub tls: TlsFiles,
    /// The id that the certificate must be for. None takes the certificate's word.
    pub cluster: Option<String>,
    /// Where to note what was uploaded. None takes [`STATE_FILE`](crate::STATE_FILE) in `directory`.
    pub state: Option<PathBuf>,
    /// Between two looks through the folder.
    pub interval: Duration,
    /// How long a file must have kept its size and time of change before it is taken for finished.
    pub settle: Duration,
    /// How long the cluster id stays taken after a pusher was last heard of.
    pub lease: Duration,
    /// What the pusher may use up.
    pub limits: Limits,
}

impl Options {
    /// The defaults for what need not be given.
    pub fn new(directory: PathBuf, gateway: EndpointConfig, tls: TlsFiles) -> Self {
        Self {
            directory,
            gateway,
            tls,
            cluster: None,
            state: None,
            interval: Duration::from_secs(30),
            settle: Duration::from_secs(10),
            lease: Duration::from_secs(2 * 60),
            limits: Limits::default(),
        }
    }
}

/// What a pusher may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Uploads at the same time.
    pub concurrency: usize,
    /// Bytes of files in memory. A larger file is still uploaded, alone.
    pub memory: usize,
    /// The largest file that is taken for an ETL file, in bytes.
    pub largest_file: u64,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: u32 = 1024 * 1024;
        Self {
            concurrency: 4,
            memory: 64 * MIB as usize,
            largest_file: 1024 * u64::from(MIB),
        }
    }
}
