//! The subcommands.

pub(crate) mod backup;
pub(crate) mod certs;
pub(crate) mod connection;
pub(crate) mod demo_data;
pub(crate) mod inspect;
pub(crate) mod push;
pub(crate) mod releases;
pub(crate) mod repair;
pub(crate) mod tokens;
pub(crate) mod up;
pub(crate) mod verify;

use service_kit::{config, process};

use self::{
    backup::BackupError, certs::CertsError, demo_data::DemoDataError, inspect::InspectError, push::PushCommandError,
    releases::ReleasesError, repair::RepairError, tokens::TokensCommandError, up::UpError, verify::VerifyError,
};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error(transparent)]
    Up(#[from] UpError),
    #[error(transparent)]
    DemoData(#[from] DemoDataError),
    #[error(transparent)]
    Inspect(#[from] InspectError),
    #[error(transparent)]
    Push(#[from] PushCommandError),
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error(transparent)]
    Repair(#[from] RepairError),
    #[error(transparent)]
    Releases(#[from] ReleasesError),
    #[error(transparent)]
    Tokens(#[from] TokensCommandError),
    #[error(transparent)]
    Verify(#[from] VerifyError),
    #[error(transparent)]
    Certs(#[from] CertsError),
}

impl CommandError {
    /// 64 for what the caller asked wrongly, 1 for what went wrong.
    pub(crate) fn exit_code(&self) -> u8 {
        let asked_wrongly = match self {
            Self::Up(error) => error.is_usage(),
            Self::DemoData(error) => error.is_usage(),
            Self::Inspect(error) => error.is_usage(),
            Self::Push(error) => error.is_usage(),
            Self::Backup(error) => error.is_usage(),
            Self::Repair(error) => error.is_usage(),
            Self::Releases(_) | Self::Verify(_) => false,
            Self::Tokens(error) => error.is_usage(),
            Self::Certs(error) => error.is_usage(),
        };
        if asked_wrongly {
            config::EXIT_CODE
        } else {
            process::EXIT_CODE_FAILED
        }
    }
}
