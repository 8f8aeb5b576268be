//! Why a connection is of no more use, and what its user can do about it. Not what is done then.

use std::io;

use whimbrel_codec::{Malformed, ReasonCode};

use super::target::Target;

/// Why a connection is of no more use.
#[derive(Debug)]
pub(super) enum Broken {
    Io(io::Error),
    Closed,
    Malformed(Malformed),
    Refused(ReasonCode),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Broken {
        Broken::Io(error)
    }
}

impl From<Malformed> for Broken {
    fn from(malformed: Malformed) -> Broken {
        Broken::Malformed(malformed)
    }
}

impl Broken {
    /// What happened, and what can be done about it. `address` is the broker's.
    pub(super) fn told(&self, address: &Target) -> String {
        match self {
            Broken::Io(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused => {
                    format!("nobody listens on {address}: does the broker run?")
                }
                io::ErrorKind::AddrNotAvailable => {
                    format!(
                        "{error}: no port is left on the address to connect from (see --source), or it is not here"
                    )
                }
                _ => error.to_string(),
            },
            Broken::Closed => "the broker closed the connection".to_owned(),
            Broken::Malformed(malformed) => {
                format!("the broker sent a malformed packet (is it an MQTT broker?): {malformed}")
            }
            Broken::Refused(reason) => format!("the broker refused the connection: {}", reason.name()),
        }
    }
}
