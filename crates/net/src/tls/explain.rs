//! An error of TLS as a sentence: what is wrong with which certificate, and what to do.

use std::io;

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

use super::refused::Refused;

/// Puts an error of a stream into words, where it is one of TLS; any other stays as it is.
pub(crate) fn explain_io(error: io::Error) -> io::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(inner) => io::Error::new(error.kind(), explain(inner)),
        None if error.kind() == io::ErrorKind::UnexpectedEof => io::Error::new(
            error.kind(),
            "the other end closed the connection during the handshake; is TLS spoken on this port?",
        ),
        None => error,
    }
}

/// The sentence for an error. To be asked where the error came up, by the thread that met it: the names of a refused
/// certificate wait there.
#[must_use]
pub fn explain(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(fault) => certificate(fault, Refused::take()),
        Error::AlertReceived(alert) => explain_alert(*alert),
        Error::NoCertificatesPresented => "the client has no certificate, and one is required here; give the \
                                           client a certificate and its key"
            .to_owned(),
        Error::NoApplicationProtocol => {
            "the two ends share no application protocol (ALPN): another protocol is spoken on this port"
                .to_owned()
        }
        Error::InvalidMessage(_) => {
            "the other end does not speak TLS here; is it the port for TLS, and do both ends use it?".to_owned()
        }
        Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon) => {
            "the two ends share no cipher suite".to_owned()
        }
        Error::PeerIncompatible(
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::Tls13RequiredForQuic
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => "the two ends share no version of TLS; 1.2 or later is needed, or what the lowest version of each is \
              set to"
            .to_owned(),
        other => format!("TLS failed: {other}"),
    }
}

/// The sentence for the certificate that this thread has refused just now, where all that is told is that something failed.
pub(crate) fn explain_refused() -> Option<String> {
    let refused = Refused::take()?;
    let Error::InvalidCertificate(fault) = refused.error.clone() else { return None };
    Some(certificate(&fault, Some(refused)))
}

/// Forgets the certificate that this thread has refused last.
pub(crate) fn forget_refused() {
    let _ = Refused::take();
}

fn certificate(fault: &CertificateError, refused: Option<Refused>) -> String {
    let is_server = refused.as_ref().is_none_or(|refused| refused.is_server);
    let names = refused.as_ref().and_then(|refused| refused.names.as_ref());
    let whose = if is_server { "the server's certificate" } else { "the client's certificate" };
    let which = names.map_or_else(|| whose.to_owned(), |names| format!("{whose} ({})", names.called()));
    let detail = match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            let when = names.map(|names| format!(" on {}", names.not_after)).unwrap_or_default();
            format!("expired{when}: renew it, or set this machine's clock if it is wrong")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            let when = names.map(|names| format!(" before {}", names.not_before)).unwrap_or_default();
            format!("is not valid{when}: set the clock of this machine or of the one that issued it")
        }
        CertificateError::Revoked => "was revoked by its CA: issue a new one".to_owned(),
        CertificateError::UnknownRevocationStatus => {
            let issuer = names.map(|names| format!(" ({})", names.issuer)).unwrap_or_default();
            format!(
                "was issued by a CA{issuer} of which there is no revocation list: add its list to the file"
            )
        }
        CertificateError::UnknownIssuer => match names {
            Some(names) if names.is_self_signed => {
                "is signed by itself and not trusted: name it as the CA, or pin \
                                                    its fingerprint, if you know that it is the right one"
                    .to_owned()
            }
            Some(names) => format!(
                "was issued by {}, which is not trusted here: name the file with that CA's certificate, or have the \
                 other end send the certificates between",
                names.issuer
            ),
            None => "was issued by a CA that is not trusted here".to_owned(),
        },
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            let wanted =
                refused.as_ref().and_then(|refused| refused.wanted.as_deref()).unwrap_or("that name");
            let list = names.map(|names| names.alternative.join(", ")).filter(|list| !list.is_empty());
            let list = list.map_or_else(|| "for no name at all".to_owned(), |list| format!("for {list}"));
            format!("is {list}, and not for `{wanted}`: dial one of its names, or say which one is meant")
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            let (is, needs) = if is_server { ("servers", "serverAuth") } else { ("clients", "clientAuth") };
            format!("is not for {is}: issue one with the extended key usage {needs}")
        }
        CertificateError::ApplicationVerificationFailure => {
            let pin = refused.as_ref().and_then(|refused| refused.pin);
            let pin = pin.map(|pin| format!(" {pin}")).unwrap_or_default();
            format!("has the fingerprint{pin}, which is none of those that are pinned")
        }
        CertificateError::BadSignature => {
            "has a wrong signature: it was changed, or its CA has a new key".to_owned()
        }
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "is that of a CA: issue one for the machine itself".to_owned()
        }
        other => format!("cannot be accepted: {other}"),
    };
    format!("{which} {detail}")
}

/// The other end's complaint. It is about our certificate, if it is about one.
pub(crate) fn explain_alert(alert: AlertDescription) -> String {
    let detail = match alert {
        AlertDescription::CertificateRequired => "wants a client certificate: give one, and its key",
        AlertDescription::CertificateExpired => "says that our certificate has expired: renew it",
        AlertDescription::CertificateRevoked => "says that our certificate was revoked: get a new one",
        AlertDescription::UnknownCA => {
            "does not trust the CA of our certificate: use one that is trusted there, or name our CA there"
        }
        AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate => "does not accept our certificate; its log says why",
        AlertDescription::DecryptError => "could not verify our signature; key and certificate may not match",
        AlertDescription::NoApplicationProtocol => "does not speak our protocol (ALPN) on this port",
        AlertDescription::ProtocolVersion => "speaks no version of TLS that is allowed here",
        AlertDescription::HandshakeFailure => {
            "shares no cipher, or wants a client certificate: its log says which"
        }
        AlertDescription::UnrecognisedName => "has no certificate for the name that was asked for",
        AlertDescription::AccessDenied => "denies access to this certificate",
        other => return format!("the other end broke off TLS: {other:?}"),
    };
    format!("the other end {detail}")
}
