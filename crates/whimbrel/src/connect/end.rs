//! How a run ends: its exit code, as scripts know it from Mosquitto's programs.

use std::process::ExitCode;

use whimbrel_client::{ConnectionError, PublishError, ReasonCode, RequestError, Version};

use crate::cli::FAILED;

/// The connection was lost.
const CONNECTION_LOST: u8 = 7;
/// The time of -W is over.
const TIMED_OUT: u8 = 27;
/// A signal ended it.
const INTERRUPTED: u8 = 130;

/// Why a run is over.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// All went well.
    Done,
    /// Something failed; it has been told.
    Failed,
    /// The time is over.
    TimedOut,
    /// A signal came before all was done.
    Interrupted,
    /// The connection was lost.
    Lost,
    /// The server said this.
    Reason(u8),
}

impl End {
    /// A connection that was refused or has ended.
    pub(crate) fn of_connection(cause: &ConnectionError, version: Version) -> End {
        match cause {
            ConnectionError::Refused(said) => match version {
                Version::V5 => End::Reason(said.reason as u8),
                Version::V31 | Version::V311 => End::Reason(said.reason.connect_return_code()),
            },
            ConnectionError::Disconnected(said) if said.reason.is_error() => End::Reason(said.reason as u8),
            ConnectionError::Disconnected(_) | ConnectionError::Closed { before_connack: false } => End::Lost,
            ConnectionError::Lost(_) => End::Lost,
            _ => End::Failed,
        }
    }

    /// A message that did not get to the server.
    pub(crate) fn of_message(error: &PublishError) -> End {
        match error {
            PublishError::Refused { reason, .. } => End::Reason(*reason as u8),
            PublishError::NotSent | PublishError::SessionLost => End::Lost,
            _ => End::Failed,
        }
    }

    /// A request that came to nothing.
    pub(crate) fn of_request(error: &RequestError) -> End {
        match error {
            RequestError::ClientEnded => End::Lost,
            _ => End::Failed,
        }
    }

    /// A request that the server refused.
    pub(crate) fn of_reason(reason: ReasonCode) -> End {
        End::Reason(reason as u8)
    }

    /// The worse of two: what came first, unless that was no failure.
    pub(crate) fn or(self, other: End) -> End {
        if self == End::Done { other } else { self }
    }
}

impl From<End> for ExitCode {
    fn from(end: End) -> ExitCode {
        ExitCode::from(match end {
            End::Done => 0,
            End::Failed => FAILED,
            End::TimedOut => TIMED_OUT,
            End::Interrupted => INTERRUPTED,
            End::Lost => CONNECTION_LOST,
            End::Reason(code) => code,
        })
    }
}
