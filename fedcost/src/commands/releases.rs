//! `fedcost releases`: list them, pin one, and return to one.

use std::io;

use chrono::{DateTime, SecondsFormat};
use fedcost_proto::ingest::v1::{
    ListReleasesRequest, ListReleasesResponse, PinReleaseRequest, RollBackRequest, UnpinReleaseRequest,
};
use service_kit::{client, process};
use tonic::Status;

use super::connection::{Connection, ConnectionError};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  fedcost releases list
  fedcost releases pin 41 --reason 'the March report'
      answer from release 41, while newer ones are published
  fedcost releases unpin
  fedcost releases rollback 41
      publish release 41 again; files that have changed since are read anew by the next cycle

Releases can be returned to for a day, or as long as keep_releases of ingest-svc says.";

/// List the releases of the lake, pin one, or return to one
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the releases that can be returned to, newest first
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Answer questions from this release, while newer ones are published
    Pin {
        /// The release
        number: u64,
        /// Why, for others
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Answer questions from the newest release again
    Unpin {
        #[command(flatten)]
        connection: Connection,
    },
    /// Publish a release with the tables of this one
    Rollback {
        /// The release
        number: u64,
        #[command(flatten)]
        connection: Connection,
    },
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReleasesError {
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error("ingest-svc: {}", client::reason(.0))]
    Call(#[from] Status),
    #[error("the system refuses threads, or stdout: {0}")]
    System(#[from] io::Error),
}

pub(crate) fn run(arguments: Arguments) -> Result<(), ReleasesError> {
    process::block_on(async {
        let text = match arguments.command {
            Command::List { connection } => {
                let mut ingest = connection.client()?;
                table(&ingest.list_releases(ListReleasesRequest {}).await?.into_inner())
            }
            Command::Pin {
                number,
                reason,
                connection,
            } => {
                let mut ingest = connection.client()?;
                ingest.pin_release(PinReleaseRequest { number, reason }).await?;
                format!("questions are answered from release {number} until `fedcost releases unpin`\n")
            }
            Command::Unpin { connection } => {
                let mut ingest = connection.client()?;
                ingest.unpin_release(UnpinReleaseRequest {}).await?;
                "questions are answered from the newest release\n".to_owned()
            }
            Command::Rollback { number, connection } => {
                let mut ingest = connection.client()?;
                let newest = ingest.roll_back(RollBackRequest { number }).await?.into_inner().number;
                format!("release {newest} has the tables of release {number}\n")
            }
        };
        output::print(|out| out.write_all(text.as_bytes()))?;
        Ok(())
    })?
}

fn table(list: &ListReleasesResponse) -> String {
    let mut text = format!("{:>9}  {:20}  {:>12}  \n", "release", "published", "rows");
    for recorded in &list.releases {
        let release = recorded.release.unwrap_or_default();
        let published = release
            .published
            .and_then(|time| DateTime::from_timestamp(time.seconds, 0))
            .map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
            .unwrap_or_default();
        let mut notes = Vec::new();
        if recorded.newest {
            notes.push("newest".to_owned());
        }
        if release.number == list.pinned {
            notes.push(match list.pin_reason.as_str() {
                "" => "pinned".to_owned(),
                reason => format!("pinned: {reason}"),
            });
        }
        if recorded.rolled_back_to > 0 {
            notes.push(format!("tables of release {}", recorded.rolled_back_to));
        }
        let notes = notes.join(", ");
        let line = format!("{:>9}  {published:20}  {:>12}  {notes}", release.number, release.rows);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use fedcost_proto::ingest::v1::{RecordedRelease, Release};

    use super::*;

    #[test]
    fn a_line_for_each_release() {
        let release = |number, newest, rolled_back_to| RecordedRelease {
            release: Some(Release {
                number,
                published: Some(prost_timestamp(1_772_323_200)),
                rows: 1200,
            }),
            newest,
            rolled_back_to,
            writer: 3,
        };
        let text = table(&ListReleasesResponse {
            releases: vec![release(3, true, 1), release(1, false, 0)],
            pinned: 1,
            pin_reason: "an audit".to_owned(),
        });
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[1],
            "        3  2026-03-01T00:00:00Z          1200  newest, tables of release 1"
        );
        assert_eq!(
            lines[2],
            "        1  2026-03-01T00:00:00Z          1200  pinned: an audit"
        );
    }

    fn prost_timestamp(seconds: i64) -> prost_types::Timestamp {
        prost_types::Timestamp { seconds, nanos: 0 }
    }
}
