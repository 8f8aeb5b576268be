//! The flags of TLS: whom to trust, who we are. Not the handshake.

use std::{env, path::PathBuf};

use clap::ValueHint;
use whimbrel_client::{
    Scheme,
    tls::{Connector, ConnectorSettings, Pin, Sessions, VersionMin},
};

/// The environment variable that names the file for a connection's secrets, as browsers and curl have it.
const KEY_LOG: &str = "SSLKEYLOGFILE";

/// How to reach the server by TLS.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TlsArgs {
    /// Speak TLS, and trust the CAs of this machine; the port is then 8883 if none is given
    #[arg(long, help_heading = "TLS")]
    tls: bool,
    /// Speak TLS, and trust the CAs of this file (PEM) alone
    #[arg(long, value_name = "FILE", help_heading = "TLS", value_hint = ValueHint::FilePath)]
    cafile: Option<PathBuf>,
    /// Our certificate (PEM), with those between it and its CA behind it
    #[arg(long, value_name = "FILE", requires = "key", help_heading = "TLS", value_hint = ValueHint::FilePath)]
    cert: Option<PathBuf>,
    /// The key of our certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = "TLS", value_hint = ValueHint::FilePath)]
    key: Option<PathBuf>,
    /// The name to ask the server for (SNI) and to find in its certificate [default: the host]
    #[arg(long, value_name = "NAME", help_heading = "TLS")]
    tls_name: Option<String>,
    /// The protocol to ask for (ALPN) [default: mqtt, with WebSocket http/1.1]
    #[arg(long, value_name = "NAME", help_heading = "TLS")]
    tls_alpn: Option<String>,
    /// The lowest version of TLS: 1.2 or 1.3 [default: 1.2]
    #[arg(long, value_name = "VERSION", value_parser = parse_version, help_heading = "TLS")]
    tls_version: Option<VersionMin>,
    /// Trust the certificate with this SHA-256 fingerprint, with --cafile only if its CA is trusted too; may be repeated
    #[arg(long, value_name = "FINGERPRINT", help_heading = "TLS")]
    pin: Vec<Pin>,
}

fn parse_version(text: &str) -> Result<VersionMin, String> {
    match text {
        "1.2" | "tlsv1.2" => Ok(VersionMin::Tls12),
        "1.3" | "tlsv1.3" => Ok(VersionMin::Tls13),
        _ => Err("write 1.2 or 1.3".to_owned()),
    }
}

impl TlsArgs {
    /// Whether any flag asks for TLS.
    pub(crate) fn is_asked_for(&self) -> bool {
        let TlsArgs { tls, cafile, cert, key, tls_name, tls_alpn, tls_version, pin } = self;
        let files = [cafile, cert, key].into_iter().any(Option::is_some);
        let words = [tls_name, tls_alpn].into_iter().any(Option::is_some);
        *tls || files || words || tls_version.is_some() || !pin.is_empty()
    }

    /// This side of TLS for an address of this kind, and the file for the connection's secrets, if somebody wants them.
    pub(crate) fn connector(
        &self,
        scheme: Scheme,
        sessions: Sessions,
    ) -> Result<Option<(Connector, Option<String>)>, String> {
        if !scheme.is_tls() {
            return if self.is_asked_for() && scheme == Scheme::Unix {
                Err("there is no TLS by a Unix socket: what goes through it does not leave the machine"
                    .to_owned())
            } else if self.is_asked_for() {
                Err(format!("{}:// is without TLS; write {}s://", scheme.word(), scheme.word()))
            } else {
                Ok(None)
            };
        }
        let key_log = env::var(KEY_LOG).ok().filter(|path| !path.is_empty());
        let alpn = self.tls_alpn.as_deref().map_or(scheme.alpn(), str::as_bytes);
        let settings = ConnectorSettings {
            ca_file: self.cafile.clone(),
            certificate: self.cert.clone(),
            key: self.key.clone(),
            server_name: self.tls_name.clone(),
            alpn: vec![alpn.to_vec()],
            pins: self.pin.clone(),
            version_min: self.tls_version.unwrap_or_default(),
            sessions,
            danger_key_log: key_log.is_some(),
        };
        let connector = Connector::new(&settings).map_err(|fault| format!("{fault}{}", hint(&fault)))?;
        Ok(Some((connector, key_log)))
    }
}

/// The flag that helps.
fn hint(fault: &whimbrel_client::tls::TlsFault) -> &'static str {
    match fault {
        whimbrel_client::tls::TlsFault::NoSystemRoots { .. } => " (--cafile)",
        _ => "",
    }
}
