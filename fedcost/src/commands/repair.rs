//! `fedcost repair`: have files of the bucket read again.

use std::{io, time::Duration};

use chrono::{DateTime, Utc};
use cost_model::{Calendar, window};
use fedcost_proto::ingest::v1::{
    self as proto, GetStatusRequest, RepairRequest, ResetRequest, State, ingest_service_client::IngestServiceClient,
};
use service_kit::{
    client::{self, Channel},
    process,
};
use tonic::Status;

use super::connection::{Connection, ConnectionError};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  fedcost repair --window 7d
      all that was written of the last seven days
  fedcost repair --window 2026-03-01T00:00:00Z,2026-03-02T00:00:00Z --pipeline assets --cluster prod-eu --wait
      one day of one cluster, and wait until it is done
  fedcost repair --all
      everything; the release that is served stays until the new one is whole

Files that have changed are read anyway; this is for when what was read of them is in doubt.";

/// Between two looks at the status.
const PAUSE: Duration = Duration::from_millis(250);

/// Have files of the bucket read again
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The windows, as the HTTP API takes them: 7d, yesterday, or two times joined by a comma
    #[arg(long, value_name = "WINDOW", required_unless_present = "all", conflicts_with = "all")]
    window: Option<String>,
    /// Everything, and make all tables anew
    #[arg(long)]
    all: bool,
    /// Only these files
    #[arg(long, value_name = "NAME", value_parser = ["allocations", "assets"], conflicts_with = "all")]
    pipeline: Option<String>,
    /// Only files of this cluster
    #[arg(long, value_name = "ID", conflicts_with = "all")]
    cluster: Option<String>,
    /// Wait until they have been read
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Why nothing is read again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RepairError {
    #[error("--window: {0}")]
    Window(#[from] cost_model::ParameterError),
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error("ingest-svc: {}", client::reason(.0))]
    Call(#[from] Status),
    #[error("the files were not read: {0}; the release before is still served")]
    Failed(String),
    #[error("the system refuses threads, or stdout: {0}")]
    System(#[from] io::Error),
}

impl RepairError {
    pub(crate) fn is_usage(&self) -> bool {
        matches!(self, Self::Window(_))
    }
}

async fn status(ingest: &mut IngestServiceClient<Channel>) -> Result<proto::Status, Status> {
    let answer = ingest.get_status(GetStatusRequest {}).await?.into_inner();
    Ok(answer.status.unwrap_or_default())
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), RepairError> {
    let window = arguments
        .window
        .as_deref()
        .map(|text| window::parse(text, Utc::now(), Calendar::utc()))
        .transpose()?;
    process::block_on(async {
        let mut ingest = arguments.connection.client()?;
        let before = status(&mut ingest).await?;
        let asked = match window {
            Some(window) => {
                let time = |time: DateTime<Utc>| Some(std::time::SystemTime::from(time).into());
                let request = RepairRequest {
                    start: time(window.start()),
                    end: time(window.end()),
                    pipeline: arguments.pipeline.clone().unwrap_or_default(),
                    cluster: arguments.cluster.clone().unwrap_or_default(),
                };
                let files = ingest.repair(request).await?.into_inner().files;
                format!("{files} known files are read again, and any that are new")
            }
            None => {
                ingest.reset(ResetRequest {}).await?;
                "all files are read again".to_owned()
            }
        };
        output::print(|out| writeln!(out, "{asked}"))?;
        if !arguments.wait {
            return Ok(());
        }
        // A cycle that was running has taken its orders before.
        let is_running = before.state() != State::Idle;
        let wanted = before.cycle + 1 + u64::from(is_running);
        loop {
            let status = status(&mut ingest).await?;
            if status.cycle >= wanted && status.state() == State::Idle {
                if !status.last_error.is_empty() {
                    return Err(RepairError::Failed(status.last_error));
                }
                let progress = status.progress.unwrap_or_default();
                let number = status.release.unwrap_or_default().number;
                output::print(|out| {
                    writeln!(
                        out,
                        "{} files read, {} set aside; release {number}",
                        progress.files_read, progress.files_failed
                    )
                })?;
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    })?
}
