//! Why there is no QUIC connection, or none any more, as a sentence. Not the sentences about certificates, which are those
//! of TLS.

use std::io;

use quinn::{ConnectionError, ReadError, WriteError};
use rustls::AlertDescription;

use crate::tls::{explain_alert, explain_refused};

/// An alert of TLS is a code of QUIC from here on.
const ALERTS_FROM: u64 = 0x100;

/// The error of a connection that has ended otherwise than by its end.
pub(super) fn lost(error: &ConnectionError) -> io::Error {
    let (kind, words) = match error {
        ConnectionError::TransportError(fault) => {
            let refused = alert(fault.code.into()).filter(is_of_certificate).and_then(|_| explain_refused());
            let words = refused.unwrap_or_else(|| match alert(fault.code.into()) {
                Some(AlertDescription::NoApplicationProtocol) => {
                    "the two ends share no application protocol (ALPN): another protocol is spoken on this port"
                        .to_owned()
                }
                _ => format!("QUIC failed: {fault}"),
            });
            (io::ErrorKind::InvalidData, words)
        }
        ConnectionError::ConnectionClosed(close) => {
            let words = match alert(close.error_code.into()) {
                Some(alert) => explain_alert(alert),
                None => format!("the other end closed the connection: {close}"),
            };
            (io::ErrorKind::ConnectionAborted, words)
        }
        ConnectionError::ApplicationClosed(_) => {
            (io::ErrorKind::ConnectionReset, "the other end closed the connection".to_owned())
        }
        ConnectionError::Reset => {
            let words = "the other end has forgotten the connection; was it started anew?";
            (io::ErrorKind::ConnectionReset, words.to_owned())
        }
        ConnectionError::TimedOut => {
            (io::ErrorKind::TimedOut, "the other end has not been heard of for too long".to_owned())
        }
        ConnectionError::VersionMismatch => {
            (io::ErrorKind::Unsupported, "the two ends share no version of QUIC".to_owned())
        }
        ConnectionError::LocallyClosed => {
            (io::ErrorKind::NotConnected, "the connection is closed".to_owned())
        }
        ConnectionError::CidsExhausted => {
            (io::ErrorKind::Other, "there is no room for another QUIC connection".to_owned())
        }
    };
    io::Error::new(kind, words)
}

/// Whether it may be about a certificate.
fn is_of_certificate(alert: &AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
    )
}

fn alert(code: u64) -> Option<AlertDescription> {
    let alert = code.checked_sub(ALERTS_FROM)?;
    u8::try_from(alert).ok().map(AlertDescription::from)
}

/// Whether the other end has closed the connection in order.
fn is_end(error: &ConnectionError) -> bool {
    matches!(error, ConnectionError::ApplicationClosed(close) if close.error_code.into_inner() == 0)
}

/// What a failed read means; the end of the connection is the end of what there is to read.
pub(super) fn read_failed(error: ReadError) -> io::Result<()> {
    match error {
        ReadError::ConnectionLost(error) if is_end(&error) => Ok(()),
        ReadError::ConnectionLost(error) => Err(lost(&error)),
        ReadError::Reset(_) => {
            Err(io::Error::new(io::ErrorKind::ConnectionReset, "the other end broke off its stream"))
        }
        other => Err(other.into()),
    }
}

pub(super) fn write_failed(error: WriteError) -> io::Error {
    match error {
        WriteError::ConnectionLost(error) => lost(&error),
        other => other.into(),
    }
}
