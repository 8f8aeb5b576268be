//! TLS: certificates from files, the accepting side, the dialling side, and what to say when the two do not agree.
//!
//! One provider of cryptography serves everybody (`provider`). [`Acceptor`] is a listener's side, [`Connector`] a
//! client's. Neither knows which protocol is spoken inside; its name (ALPN) is given to them.

mod acceptor;
mod certificate;
mod connector;
mod explain;
mod fault;
mod files;
mod hello;
mod names;
mod pin;
mod refused;
mod sessions;

use std::sync::Arc;

use rustls::{SupportedProtocolVersion, crypto::CryptoProvider};

pub use acceptor::{
    Acceptor, AcceptorSettings, CertificateFiles, ClientCa, ClientCertificates, Loaded, Reloaded,
};
pub use certificate::Identity;
pub use connector::{Connector, ConnectorSettings};
pub use explain::explain;
pub(crate) use explain::{explain_alert, explain_io, explain_refused, forget_refused};
pub use fault::TlsFault;
pub(crate) use hello::{LOOK_BYTES, offers_resumption};
pub use pin::{NotAPin, Pin};
pub use sessions::Sessions;

/// The provider of cryptography for every connection of this process.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The lowest version of TLS that is spoken. There is nothing below 1.2.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum VersionMin {
    /// TLS 1.2 and 1.3.
    #[default]
    Tls12,
    /// TLS 1.3 only.
    Tls13,
}

static ONLY_13: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];

impl VersionMin {
    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            VersionMin::Tls12 => rustls::ALL_VERSIONS,
            VersionMin::Tls13 => &ONLY_13,
        }
    }
}
