//! The dialling side: whom to trust, who we are, and TLS over a connection that stands.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, KeyLogFile, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    pki_types::ServerName,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};

use super::{
    Pin, Sessions, TlsFault, VersionMin, explain::explain_io, files::PemFile, provider,
    refused::ServerVerifier,
};

/// What a client knows of TLS. By default: the machine's own CAs, no certificate of its own, any version from 1.2.
#[derive(Clone, Debug, Default)]
pub struct ConnectorSettings {
    /// The CAs that are trusted, in place of the machine's own.
    pub ca_file: Option<PathBuf>,
    /// Our certificate, with those between it and its CA behind it.
    pub certificate: Option<PathBuf>,
    /// The key of our certificate.
    pub key: Option<PathBuf>,
    /// The name that is asked for (SNI) and that the server's certificate has to have, in place of the host's.
    pub server_name: Option<String>,
    /// The protocols that are offered (ALPN), the best first; none are offered if it is empty.
    pub alpn: Vec<Vec<u8>>,
    /// The server's certificate has to be one of these, if there are any. Without `ca_file` that is all it has to be:
    /// neither its CA nor its name nor its dates are looked at.
    pub pins: Vec<Pin>,
    /// The lowest version.
    pub version_min: VersionMin,
    /// What is remembered of servers.
    pub sessions: Sessions,
    /// Whether the secrets of each connection are appended to the file that the environment variable `SSLKEYLOGFILE`
    /// names. Whoever reads that file reads the connection.
    pub danger_key_log: bool,
}

/// The dialling side of TLS. Cheap to clone; the clones share what they remember of sessions, so that a server that
/// was met before is met again for less.
#[derive(Clone)]
pub struct Connector {
    tls: TlsConnector,
    server_name: Option<ServerName<'static>>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Connector").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

impl Connector {
    /// Reads the files.
    ///
    /// # Errors
    /// A file cannot be read or holds something else than it should; the machine has no CAs and none are named.
    pub fn new(settings: &ConnectorSettings) -> Result<Connector, TlsFault> {
        let provider = provider();
        let chain = match &settings.ca_file {
            None if !settings.pins.is_empty() => None,
            file => Some(chain(file.as_deref())?),
        };
        let verifier = ServerVerifier { chain, pins: settings.pins.clone(), provider: provider.clone() };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(settings.version_min.versions())
            .map_err(TlsFault::Setup)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match (&settings.certificate, &settings.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(certificate), Some(key)) => {
                let chain = PemFile::read(certificate)?.certificates()?;
                let secret = PemFile::read(key)?.key()?;
                builder
                    .with_client_auth_cert(chain, secret)
                    .map_err(|error| mismatch(error, certificate, key))?
            }
            _ => return Err(TlsFault::HalfIdentity),
        };
        config.alpn_protocols.clone_from(&settings.alpn);
        if let Some(resumption) = settings.sessions.resumption() {
            config.resumption = resumption;
        }
        if settings.danger_key_log {
            config.key_log = Arc::new(KeyLogFile::new());
        }
        let server_name = settings.server_name.as_deref().map(server_name).transpose()?;
        Ok(Connector { tls: TlsConnector::from(Arc::new(config)), server_name })
    }

    /// What is known of TLS, for whoever brings its own records.
    pub(crate) fn config(&self) -> &Arc<ClientConfig> {
        self.tls.config()
    }

    /// Speaks TLS over a connection to this host; gives it up when the future is dropped.
    pub(crate) async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.tls.connect(self.name_of(host)?, stream).await.map(TlsStream::Client).map_err(explain_io)
    }
}

impl Connector {
    /// The same without a connection.
    pub(crate) fn begin(&self, host: &str) -> io::Result<ClientConnection> {
        let begun = ClientConnection::new(self.tls.config().clone(), self.name_of(host)?);
        let mut begun = begun.map_err(io::Error::other)?;
        begun.set_buffer_limit(None);
        Ok(begun)
    }

    /// The name that the certificate of this host has to have.
    pub(crate) fn name_of(&self, host: &str) -> io::Result<ServerName<'static>> {
        match &self.server_name {
            Some(name) => Ok(name.clone()),
            None => server_name(host).map_err(|fault| io::Error::new(io::ErrorKind::InvalidInput, fault)),
        }
    }
}

/// The error of a key that is not its certificate's, or whatever else it is.
pub(super) fn mismatch(error: rustls::Error, certificate: &Path, key: &Path) -> TlsFault {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            TlsFault::Mismatch { certificate: certificate.to_owned(), key: key.to_owned() }
        }
        other => TlsFault::Setup(other),
    }
}

fn server_name(host: &str) -> Result<ServerName<'static>, TlsFault> {
    // The zone of a link-local address is this machine's affair.
    let bare = host.split('%').next().unwrap_or(host);
    ServerName::try_from(bare.to_owned()).map_err(|_| TlsFault::ServerName(host.to_owned()))
}

fn chain(file: Option<&Path>) -> Result<Arc<dyn ServerCertVerifier>, TlsFault> {
    let roots = match file {
        Some(path) => roots(&PemFile::read(path)?)?,
        None => system_roots()?,
    };
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
    verifier
        .build()
        .map(|verifier| verifier as Arc<dyn ServerCertVerifier>)
        .map_err(|error| TlsFault::Setup(rustls::Error::General(error.to_string())))
}

/// Every certificate of the file as a CA.
pub(super) fn roots(file: &PemFile) -> Result<RootCertStore, TlsFault> {
    let mut roots = RootCertStore::empty();
    for (index, certificate) in file.certificates()?.into_iter().enumerate() {
        let add = roots.add(certificate);
        add.map_err(|error| file.unusable_at(index, format!("this cannot be used as a CA: {error}")))?;
    }
    Ok(roots)
}

/// What this machine trusts. A certificate among them that is broken is passed over: it is nobody's here.
fn system_roots() -> Result<RootCertStore, TlsFault> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(found.certs);
    if taken == 0 {
        let reason = found.errors.first().map(ToString::to_string);
        return Err(TlsFault::NoSystemRoots { reason });
    }
    Ok(roots)
}
