//! The dialling side of QUIC: a UDP socket for each connection, and the stream that this side opens.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use quinn::{ClientConfig, Endpoint, crypto::rustls::QuicClientConfig};

use super::client_transport;
use super::lost::lost;
use super::stream::QuicStream;
use crate::{Stream, tls::Connector};

/// Connects to a server at this address, whose certificate has to be for `host` unless the connector says otherwise.
pub(crate) async fn connect(connector: &Connector, host: &str, address: SocketAddr) -> io::Result<Stream> {
    let crypto = QuicClientConfig::try_from(connector.config().clone()).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidInput, "QUIC needs TLS 1.3, which is shut out here")
    })?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(client_transport());
    let any = match address {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let endpoint = Endpoint::client(any)?;
    let name = connector.name_of(host)?;
    let connecting = endpoint
        .connect_with(config, address, &name.to_str())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let connection = connecting.await.map_err(|error| lost(&error))?;
    let streams = connection.open_bi().await.map_err(|error| lost(&error))?;
    Ok(Stream::Quic(Box::new(QuicStream::new(connection, streams, Some(endpoint)))))
}
