//! Fetches the text behind a URL: one GET, bounded in time and size, without redirects. Not what the text means.

use std::{io, path::Path, time::Duration};

use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::{
    Method, Request, StatusCode,
    body::Bytes,
    header::{ACCEPT, CONNECTION, HOST, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use whimbrel_net::{
    Address, DialError, Dialler, Scheme,
    tls::{Connector, ConnectorSettings, TlsFault},
};

use crate::config::KeysUrl;

/// The longest text: room for hundreds of keys with their certificates.
pub(super) const TEXT_BYTES_MAX: usize = 1 << 20;
/// The longest head of an answer.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Fetches from one server again and again.
pub(super) struct Fetcher {
    url: KeysUrl,
    dialler: Dialler,
    within: Duration,
}

/// Why there is no text.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchFault {
    #[error("{0}")]
    Dial(String),
    #[error("the server does not answer as HTTP has it: {0}")]
    Http(#[from] hyper::Error),
    #[error("the server answers {0}")]
    Status(StatusCode),
    #[error("the server answers {0}; name the URL to which it leads")]
    Elsewhere(StatusCode),
    #[error("the answer is longer than {TEXT_BYTES_MAX} bytes")]
    TooLong,
    #[error("the answer is no text")]
    NotText,
    #[error("the answer was not there within {0:?}")]
    TooLate(Duration),
    #[error("the request cannot be made: {0}")]
    Request(#[from] hyper::http::Error),
    #[error("the connection broke: {0}")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Fetcher {
    /// Reads the CAs.
    ///
    /// # Errors
    /// A file of CAs that cannot be used.
    pub(super) fn new(url: KeysUrl, ca: Option<&Path>, within: Duration) -> Result<Fetcher, TlsFault> {
        let settings = ConnectorSettings {
            ca_file: ca.map(Path::to_owned),
            alpn: vec![b"http/1.1".to_vec()],
            ..ConnectorSettings::default()
        };
        let connector = url.is_tls().then(|| Connector::new(&settings)).transpose()?;
        Ok(Fetcher { url, dialler: Dialler::new(connector), within })
    }

    /// Fetches the text.
    ///
    /// # Errors
    /// As of [`FetchFault`].
    pub(super) async fn fetch(&mut self) -> Result<String, FetchFault> {
        let within = self.within;
        timeout(within, self.get()).await.unwrap_or(Err(FetchFault::TooLate(within)))
    }

    async fn get(&mut self) -> Result<String, FetchFault> {
        let Fetcher { url, dialler, within } = self;
        let scheme = if url.is_tls() { Scheme::Mqtts } else { Scheme::Mqtt };
        let address =
            Address::new(url.host(), url.port()).map_err(|error| FetchFault::Dial(error.to_string()))?;
        let stream = dialler.dial(&address.over(scheme), *within).await.map_err(|error| told(&error))?;
        let mut builder = hyper::client::conn::http1::Builder::new();
        builder.max_buf_size(HEAD_BYTES_MAX);
        let (mut sender, connection) = builder.handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await?;
        let connection = AbortOnDrop(tokio::spawn(connection));
        let host = match url.host().contains(':') {
            true => format!("[{}]:{}", url.host(), url.port()),
            false => format!("{}:{}", url.host(), url.port()),
        };
        let request = Request::builder()
            .method(Method::GET)
            .uri(url.path())
            .header(HOST, host)
            .header(ACCEPT, "application/jwk-set+json, application/json")
            .header(USER_AGENT, concat!("whimbrel/", env!("CARGO_PKG_VERSION")))
            .header(CONNECTION, "close")
            .body(Empty::new())?;
        let answer = sender.send_request(request).await?;
        if answer.status().is_redirection() {
            return Err(FetchFault::Elsewhere(answer.status()));
        }
        if answer.status() != StatusCode::OK {
            return Err(FetchFault::Status(answer.status()));
        }
        let body = Limited::new(answer.into_body(), TEXT_BYTES_MAX).collect().await;
        drop(connection);
        let body = body.map_err(|error| match error.is::<LengthLimitError>() {
            true => FetchFault::TooLong,
            false => FetchFault::Broken(error),
        })?;
        String::from_utf8(body.to_bytes().into()).map_err(|_| FetchFault::NotText)
    }
}

/// Ends what was spawned when it is no longer waited for.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Without the address, which is told with the URL.
fn told(error: &DialError) -> FetchFault {
    let said = |source: &io::Error| source.to_string();
    FetchFault::Dial(match error {
        DialError::Lookup { source, .. } => format!("its host cannot be looked up: {source}"),
        DialError::Connect { source, .. } => format!("no connection: {source}"),
        DialError::Tls { source, .. } => format!("no TLS: {}", said(source)),
        other => other.to_string(),
    })
}
