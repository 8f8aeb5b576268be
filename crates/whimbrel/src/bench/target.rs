//! The broker as clients dial it: its address, looked up, and what wraps their bytes. Not the dialling.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use socket2::SockAddr;
use whimbrel_net::tls::{Connector, Sessions};
use whimbrel_net::{Address, Envelope, Scheme};

use super::options::Broker;

/// It does not change while a run lasts.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) address: SockAddr,
    named: Address,
    connector: Option<Connector>,
}

impl Target {
    pub(super) fn new(broker: &Broker) -> Result<Target, String> {
        let named = match &broker.url {
            Some(url) if url.topic.is_some() => {
                return Err("--url names no topic here: see --topic".to_owned());
            }
            Some(url) => url.address.clone(),
            None => {
                let scheme = if broker.tls.is_asked_for() { Scheme::Mqtts } else { Scheme::Mqtt };
                let host = broker.host.trim_start_matches('[').trim_end_matches(']');
                let port = broker.port.unwrap_or_else(|| scheme.port());
                let named = Address::new(host, port).map_err(|_| no_host(&broker.host, "this is no host"))?;
                named.over(scheme)
            }
        };
        if named.scheme() == Scheme::Quic {
            return Err("the bench does not speak QUIC: it knows mqtt://, mqtts://, ws://, wss:// and unix:"
                .to_owned());
        }
        let named = match &broker.ws_path {
            Some(_) if !named.scheme().is_websocket() => {
                return Err("--ws-path is for brokers that are written ws:// or wss://".to_owned());
            }
            Some(path) => named.at_path(path).map_err(|error| error.to_string())?,
            None => named,
        };
        let sessions = if broker.no_resume { Sessions::None } else { Sessions::Many };
        let connector = broker.tls.connector(named.scheme(), sessions)?.map(|(connector, _)| connector);
        let address = match named.unix_path() {
            Some(path) => SockAddr::unix(path).map_err(|error| format!("{named}: {error}"))?,
            None => resolve(named.host(), named.port())?.into(),
        };
        Ok(Target { address, named, connector })
    }

    pub(super) fn scheme(&self) -> Scheme {
        self.named.scheme()
    }

    /// The address where it is one of IP.
    pub(super) fn ip(&self) -> Option<SocketAddr> {
        self.address.as_socket()
    }

    /// Whether what is sent there stays on this machine.
    pub(super) fn is_here(&self) -> bool {
        self.ip().is_none_or(|address| address.ip().is_loopback())
    }

    /// What wraps the bytes of a new connection.
    pub(super) fn envelope(&self) -> io::Result<Option<Envelope>> {
        Envelope::new(&self.named, self.connector.as_ref())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip() {
            Some(address) if self.scheme() == Scheme::Mqtt => write!(out, "{address}"),
            _ => write!(out, "{}", self.named),
        }
    }
}

fn no_host(host: &str, error: impl fmt::Display) -> String {
    let hint = if host.contains(':') { " (the port goes to --port)" } else { "" };
    format!("host {host}: {error}{hint}")
}

fn resolve(host: &str, port: u16) -> Result<SocketAddr, String> {
    let mut addresses =
        (host, port).to_socket_addrs().map_err(|error| no_host(host, error))?.collect::<Vec<_>>();
    // A broker that listens on one loopback address only is more often found on the older one.
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses.first().copied().ok_or_else(|| format!("host {host} has no address"))
}
