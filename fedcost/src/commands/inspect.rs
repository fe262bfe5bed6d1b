//! `fedcost inspect`: what an ETL file holds.

mod summary;

use std::{
    borrow::Cow,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use bingen::{
    AllocationSet, AllocationSetDecoder, AssetSet, AssetSetDecoder, CloudCostSet, CloudCostSetDecoder, DecodeError,
    Pipeline,
};
use flate2::read::MultiGzDecoder;
use serde::Serialize;

use self::summary::Summary;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  fedcost inspect bucket/federated/prod-eu/etl/bingen/allocations/1d/1772668800-1772755200
  fedcost inspect copy-of-a-file --pipeline assets
  fedcost inspect FILE --json | jq '.set.allocations[].cpuCost'";

/// What gzip files begin with. Names may lie, as copies have any.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Show what an ETL file holds
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The file, also compressed by gzip
    file: PathBuf,
    /// What the file holds, where its path does not say: allocations, assets or cloudcosts
    #[arg(long)]
    pipeline: Option<Pipeline>,
    /// Print the whole set as JSON
    #[arg(long)]
    json: bool,
}

/// Why a file cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InspectError {
    #[error(
        "{}: no folder of its path says what the file holds; give --pipeline allocations, assets or cloudcosts",
        path.display()
    )]
    UnknownPipeline { path: PathBuf },
    #[error("{}: cannot be read: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: is damaged, or not gzip: {source}", path.display())]
    Unpack { path: PathBuf, source: io::Error },
    #[error("{}: {source} (read as {pipeline})", path.display())]
    Decode {
        path: PathBuf,
        pipeline: Pipeline,
        source: DecodeError,
    },
    #[error("cannot write to stdout: {0}")]
    Print(#[from] io::Error),
}

impl InspectError {
    pub(crate) fn is_usage(&self) -> bool {
        matches!(self, Self::UnknownPipeline { .. })
    }
}

/// Prints what the file holds.
pub(crate) fn run(arguments: &Arguments) -> Result<(), InspectError> {
    let path = &arguments.file;
    let pipeline = match arguments.pipeline {
        Some(pipeline) => pipeline,
        None => pipeline_of(path).ok_or_else(|| InspectError::UnknownPipeline { path: path.clone() })?,
    };
    let stored = fs::read(path).map_err(|source| InspectError::Read {
        path: path.clone(),
        source,
    })?;
    let bytes = unpack(&stored).map_err(|source| InspectError::Unpack {
        path: path.clone(),
        source,
    })?;
    let damaged = |source| InspectError::Decode {
        path: path.clone(),
        pipeline,
        source,
    };
    if arguments.json {
        return match pipeline {
            Pipeline::Allocations => {
                let version = AllocationSetDecoder::new(&bytes).map_err(damaged)?.version();
                print_json(pipeline, version, &AllocationSet::decode(&bytes).map_err(damaged)?)
            }
            Pipeline::Assets => {
                let version = AssetSetDecoder::new(&bytes).map_err(damaged)?.version();
                print_json(pipeline, version, &AssetSet::decode(&bytes).map_err(damaged)?)
            }
            Pipeline::CloudCosts => {
                let version = CloudCostSetDecoder::new(&bytes).map_err(damaged)?.version();
                print_json(pipeline, version, &CloudCostSet::decode(&bytes).map_err(damaged)?)
            }
        };
    }
    let summary = Summary::of(pipeline, &bytes).map_err(damaged)?;
    output::print(|stdout| {
        writeln!(stdout, "{:<12} {}", "file", path.display())?;
        summary.write(stdout)
    })?;
    Ok(())
}

/// By the innermost folder that has a pipeline's name.
fn pipeline_of(path: &Path) -> Option<Pipeline> {
    // Someone may stand in the folder itself.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folders = path.parent()?.iter().rev();
    folders.filter_map(|folder| folder.to_str()?.parse().ok()).next()
}

fn unpack(stored: &[u8]) -> io::Result<Cow<'_, [u8]>> {
    if !stored.starts_with(&GZIP_MAGIC) {
        return Ok(Cow::Borrowed(stored));
    }
    let mut bytes = Vec::new();
    MultiGzDecoder::new(stored).read_to_end(&mut bytes)?;
    Ok(Cow::Owned(bytes))
}

#[derive(Serialize)]
struct Shown<'a, S> {
    pipeline: &'static str,
    version: u8,
    set: &'a S,
}

fn print_json(pipeline: Pipeline, version: u8, set: &impl Serialize) -> Result<(), InspectError> {
    let shown = Shown {
        pipeline: pipeline.as_str(),
        version,
        set,
    };
    output::print(|stdout| {
        serde_json::to_writer_pretty(&mut *stdout, &shown)?;
        writeln!(stdout)
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_folder_tells_the_pipeline() {
        let pipeline = |path: &str| pipeline_of(Path::new(path));
        assert_eq!(
            pipeline("/none/assets/federated/a/etl/bingen/allocations/1d/0-86400"),
            Some(Pipeline::Allocations)
        );
        assert_eq!(pipeline("/none/cloudcosts/1d/x.gz"), Some(Pipeline::CloudCosts));
        assert_eq!(pipeline("/none/allocations"), None);
        assert_eq!(pipeline("/"), None);
    }
}
