//! The accepting side: a listener's certificates, whom it lets in, and the swap of all of it at once.

use std::{
    fmt, io,
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use parking_lot::{Mutex, RwLock};
use quinn::crypto::rustls::QuicServerConfig;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::Ticketer,
    pki_types::{CertificateDer, UnixTime},
    server::{NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::CertifiedKey,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsStream};

use super::{
    TlsFault, VersionMin,
    certificate::{Names, next_update},
    connector::{mismatch, roots},
    explain::explain_io,
    files::PemFile,
    names::{ByName, Entry},
    provider,
    refused::ClientVerifier,
};
use crate::Stream;

/// Plain bytes that TLS holds for a peer that takes nothing.
const BUFFER_BYTES: usize = 16 << 10;

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, with those between it and its CA behind it.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Whether clients show a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They are not asked for one.
    #[default]
    None,
    /// They are asked, and need not have one. One that they show has to be good.
    Optional(ClientCa),
    /// Who has none is not let in.
    Required(ClientCa),
}

/// Who issues clients their certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCa {
    /// The CAs.
    pub ca: PathBuf,
    /// The lists of certificates that they have taken back: one of each CA that issues certificates to clients, if
    /// there is a file at all.
    pub revoked: Option<PathBuf>,
}

/// What a listener knows of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AcceptorSettings {
    /// One certificate at least. The first is for clients that ask for no name, or for one that none of them has.
    pub certificates: Vec<CertificateFiles>,
    /// Whether clients show certificates.
    pub clients: ClientCertificates,
    /// The protocols that are spoken inside (ALPN), the best first. A client that offers others only is refused, one
    /// that offers nothing is not.
    pub alpn: Vec<Vec<u8>>,
    /// The lowest version.
    pub version_min: VersionMin,
}

/// The accepting side of TLS, as it is at present.
pub struct Acceptor {
    settings: AcceptorSettings,
    current: RwLock<Arc<Loaded>>,
    /// How often whom to trust was changed: connections that were let in before are judged anew.
    trust_changes: AtomicU32,
    /// One swap at a time.
    swapping: Mutex<()>,
}

/// What was read from the files.
pub struct Loaded {
    config: Arc<ServerConfig>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
    tickets: Arc<dyn ProducesTickets>,
    quic: OnceLock<Arc<quinn::ServerConfig>>,
    /// The content of the certificates and keys, and of what says whom to trust.
    identity: Vec<[u8; 32]>,
    trust: Vec<[u8; 32]>,
    /// What an operator should look at, although it works.
    pub warnings: Vec<String>,
}

/// What has come of a look at the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// They are as they were.
    Same,
    /// Something else is in force from now on, and this is what an operator should look at.
    Changed(Vec<String>),
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Acceptor").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Acceptor {
    /// Reads the files.
    ///
    /// # Errors
    /// A file cannot be read, or holds something else than it should.
    pub fn open(settings: AcceptorSettings) -> Result<Acceptor, TlsFault> {
        let loaded = load(&settings, None)?;
        Ok(Acceptor {
            settings,
            current: RwLock::new(Arc::new(loaded)),
            trust_changes: AtomicU32::new(0),
            swapping: Mutex::new(()),
        })
    }

    /// Reads the files again and puts all of them in force at once, or none.
    ///
    /// # Errors
    /// As [`Self::open`]; what was in force stays so.
    pub fn reload(&self) -> Result<Reloaded, TlsFault> {
        let _alone = self.swapping.lock();
        let before = self.loaded();
        let after = load(&self.settings, Some(&before))?;
        if (&after.identity, &after.trust) == (&before.identity, &before.trust) {
            return Ok(Reloaded::Same);
        }
        let warnings = after.warnings.clone();
        let distrusts = after.trust != before.trust;
        *self.current.write() = Arc::new(after);
        if distrusts {
            self.trust_changes.fetch_add(1, Relaxed);
        }
        Ok(Reloaded::Changed(warnings))
    }

    /// What is in force.
    #[must_use]
    pub fn loaded(&self) -> Arc<Loaded> {
        self.current.read().clone()
    }

    /// Every file that it reads, for whoever watches them.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for CertificateFiles { certificate, key } in &self.settings.certificates {
            files.extend([certificate.clone(), key.clone()]);
        }
        if let ClientCertificates::Optional(clients) | ClientCertificates::Required(clients) =
            &self.settings.clients
        {
            files.push(clients.ca.clone());
            files.extend(clients.revoked.clone());
        }
        files
    }

    /// How often whom to trust was changed.
    #[must_use]
    pub fn trust_changes(&self) -> u32 {
        self.trust_changes.load(Relaxed)
    }

    /// Whether a client that shows these certificates would be let in at present.
    ///
    /// # Errors
    /// Why it would not.
    pub fn judge(&self, stream: &Stream) -> Result<(), String> {
        let loaded = self.loaded();
        let Some(verifier) = &loaded.clients else { return Ok(()) };
        let Some((first, between)) = stream.peer_certificates().and_then(<[_]>::split_first) else {
            let missing = rustls::Error::NoCertificatesPresented;
            return if verifier.client_auth_mandatory() { Err(super::explain(&missing)) } else { Ok(()) };
        };
        let judged = verifier.verify_client_cert(first, between, UnixTime::now());
        judged.map(drop).map_err(|error| super::explain(&error))
    }

    /// Speaks TLS with whoever has connected; gives it up when the future is dropped.
    ///
    /// # Errors
    /// The two do not agree; the error says why.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<Stream> {
        let config = self.loaded().config.clone();
        let mut stream = TlsAcceptor::from(config).accept(stream).await.map_err(explain_io)?;
        stream.get_mut().1.set_buffer_limit(Some(BUFFER_BYTES));
        Ok(Stream::Tls(Box::new(TlsStream::Server(stream))))
    }
}

impl Stream {
    /// The certificates that the other end has shown, its own first.
    #[must_use]
    pub fn peer_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        match self {
            Stream::Tcp(_) | Stream::Unix(_) => None,
            Stream::Tls(stream) => stream.get_ref().1.peer_certificates(),
            Stream::Quic(stream) => stream.peer_certificates(),
            Stream::WebSocket(stream) => stream.inner().peer_certificates(),
        }
    }
}

impl Loaded {
    /// The same for QUIC, which brings its own records; made once.
    pub(crate) fn for_quic(
        &self,
        make: impl FnOnce(Arc<QuicServerConfig>) -> quinn::ServerConfig,
    ) -> io::Result<Arc<quinn::ServerConfig>> {
        if let Some(made) = self.quic.get() {
            return Ok(made.clone());
        }
        let crypto = QuicServerConfig::try_from(self.config.clone());
        let crypto = crypto.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Ok(self.quic.get_or_init(|| Arc::new(make(Arc::new(crypto)))).clone())
    }
}

fn load(settings: &AcceptorSettings, before: Option<&Loaded>) -> Result<Loaded, TlsFault> {
    let provider = provider();
    let (mut identity, mut trust, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
    let mut entries = Vec::new();
    for files in &settings.certificates {
        let (certificate, key) = (PemFile::read(&files.certificate)?, PemFile::read(&files.key)?);
        identity.extend([certificate.digest(), key.digest()]);
        let chain = certificate.certificates()?;
        let first = chain.first().and_then(Names::of);
        let certified = CertifiedKey::from_der(chain, key.key()?, &provider)
            .map_err(|error| mismatch(error, &files.certificate, &files.key))?;
        let mut names = Vec::new();
        if let Some(found) = first {
            warnings
                .extend(looks_wrong(&found).map(|wrong| format!("{}: {wrong}", files.certificate.display())));
            names = found.alternative.iter().map(|name| name.to_ascii_lowercase()).collect();
        }
        entries.push(Entry { names, certified: Arc::new(certified) });
    }
    if entries.is_empty() {
        return Err(TlsFault::NoCertificate);
    }
    let clients = client_verifier(&settings.clients, &mut trust, &mut warnings)?;
    // A ticket vouches for the certificate that its client once showed. Where it is another question now who is to be
    // trusted, every client is asked again.
    let tickets = match before {
        Some(before) if before.trust == trust => before.tickets.clone(),
        _ => Ticketer::new().map_err(TlsFault::Setup)?,
    };
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(settings.version_min.versions())
        .map_err(TlsFault::Setup)?;
    let builder = match &clients {
        Some(verifier) => builder.with_client_cert_verifier(verifier.clone()),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(ByName(entries)));
    config.alpn_protocols.clone_from(&settings.alpn);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = tickets.clone();
    // A client resumes one connection at a time.
    config.send_tls13_tickets = 1;
    let quic = OnceLock::new();
    Ok(Loaded { config: Arc::new(config), clients, tickets, quic, identity, trust, warnings })
}

fn client_verifier(
    clients: &ClientCertificates,
    trust: &mut Vec<[u8; 32]>,
    warnings: &mut Vec<String>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsFault> {
    let (files, required) = match clients {
        ClientCertificates::None => return Ok(None),
        ClientCertificates::Optional(files) => (files, false),
        ClientCertificates::Required(files) => (files, true),
    };
    let ca = PemFile::read(&files.ca)?;
    trust.push(ca.digest());
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(&ca)?), provider());
    let mut revoked = None;
    if let Some(path) = &files.revoked {
        let file = PemFile::read(path)?;
        trust.push(file.digest());
        let lists = file.revocations()?;
        let now = seconds_since_1970();
        for list in &lists {
            if let Some((until, when)) = next_update(list).filter(|(until, _)| *until < now) {
                let _ = until;
                warnings.push(format!(
                    "{}: the list of revoked certificates was to be renewed by {when}; it stays in force",
                    path.display()
                ));
            }
        }
        builder = builder.with_crls(lists).only_check_end_entity_revocation();
        revoked = Some(file);
    }
    if !required {
        builder = builder.allow_unauthenticated();
    }
    let verifier = builder.build().map_err(|error| {
        let file = revoked.as_ref().unwrap_or(&ca);
        file.unusable_at(0, format!("this cannot be used to judge clients: {error}"))
    })?;
    Ok(Some(Arc::new(ClientVerifier(verifier))))
}

/// What an operator should know of a certificate although it can be used.
fn looks_wrong(names: &Names) -> Option<String> {
    let (now, (from, until)) = (seconds_since_1970(), names.valid_secs);
    if until < now {
        return Some(format!(
            "the certificate ({}) expired on {}; clients refuse it",
            names.called(),
            names.not_after
        ));
    }
    if from > now {
        return Some(format!(
            "the certificate ({}) is not valid before {}",
            names.called(),
            names.not_before
        ));
    }
    names.alternative.is_empty().then(|| {
        format!("the certificate ({}) has no alternative name (SAN); clients refuse it", names.called())
    })
}

fn seconds_since_1970() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
