//! The `fedcost` command.

mod commands;
mod output;
mod progress;

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;
use service_kit::{process, with_causes};

use self::commands::{CommandError, backup, certs, demo_data, inspect, push, releases, repair, tokens, up, verify};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const EXAMPLES: &str = "\
Examples:
  fedcost up --demo                          made-up clusters, at http://127.0.0.1:9090
  fedcost up --bucket /mnt/bucket            a folder that the clusters' files are in
  fedcost up --store federated-store.yaml    the bucket that OpenCost and Kubecost write to
  fedcost inspect 1772668800-1772755200 --pipeline allocations

`fedcost help COMMAND` tells more of each.";

/// One view of the costs of all clusters that push their ETL files to a bucket.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Up(up::Arguments),
    DemoData(demo_data::Arguments),
    Inspect(inspect::Arguments),
    Push(push::Arguments),
    Repair(repair::Arguments),
    Releases(releases::Arguments),
    Verify(verify::Arguments),
    Backup(backup::BackupArguments),
    Restore(backup::RestoreArguments),
    Certs(certs::Arguments),
    Tokens(tokens::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => process::fail("fedcost", with_causes(&error), error.exit_code()),
    }
}

fn run(command: Command) -> Result<(), CommandError> {
    match command {
        Command::Up(arguments) => Ok(up::run(arguments)?),
        Command::DemoData(arguments) => Ok(demo_data::run(&arguments)?),
        Command::Inspect(arguments) => Ok(inspect::run(&arguments)?),
        Command::Push(arguments) => Ok(push::run(arguments)?),
        Command::Repair(arguments) => Ok(repair::run(&arguments)?),
        Command::Releases(arguments) => Ok(releases::run(arguments)?),
        Command::Backup(arguments) => Ok(backup::backup(&arguments)?),
        Command::Restore(arguments) => Ok(backup::restore(&arguments)?),
        Command::Verify(arguments) => Ok(verify::run(&arguments)?),
        Command::Certs(arguments) => Ok(certs::run(&arguments)?),
        Command::Tokens(arguments) => Ok(tokens::run(arguments)?),
    }
}
