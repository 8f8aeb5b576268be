//! Listening sockets of TCP and UDP, with the options that a server wants set before it binds.

use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait for `accept`; the system lowers it to its own maximum.
pub const BACKLOG: i32 = 4_096;

/// Which versions of IP an IPv6 socket takes. An IPv4 socket takes IPv4.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum IpVersions {
    /// IPv6 only; IPv4 needs a socket of its own.
    Six,
    /// IPv6, and IPv4 as mapped addresses, where the system can.
    Both,
}

/// The socket cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}{}", advice(source))]
#[non_exhaustive]
pub struct ListenError {
    /// Where we wanted to listen.
    pub address: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => "; another process holds the port: stop it or take another port",
        io::ErrorKind::AddrNotAvailable => "; no interface of this machine has the address",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need the right to bind them",
        _ => "",
    }
}

/// Opens a non-blocking listening socket that may follow a former process on the same port at once (`SO_REUSEADDR`).
///
/// `tokio::net::TcpListener::from_std` takes it as it is; port 0 lets the system choose.
///
/// # Errors
/// The system refuses the socket, an option, the address or the port.
pub fn listen(address: SocketAddr, versions: IpVersions, backlog: i32) -> Result<TcpListener, ListenError> {
    open(address, versions, backlog).map_err(|source| ListenError { address, source })
}

/// Opens a non-blocking UDP socket, and asks the system for a buffer of so many bytes for what has come and was not read
/// yet; the system may give less.
///
/// # Errors
/// As [`listen`].
pub fn listen_udp(
    address: SocketAddr,
    versions: IpVersions,
    buffer_bytes: usize,
) -> Result<UdpSocket, ListenError> {
    let open = || {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(versions == IpVersions::Six)?;
        }
        let _ = socket.set_recv_buffer_size(buffer_bytes); // It works with less, and loses more in a storm.
        let _ = socket.set_send_buffer_size(buffer_bytes);
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        Ok(socket.into())
    };
    open().map_err(|source| ListenError { address, source })
}

fn open(address: SocketAddr, versions: IpVersions, backlog: i32) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // Said in both cases: the default is the system's and differs.
        socket.set_only_v6(versions == IpVersions::Six)?;
    }
    // On Windows the option means something else: that two processes may hold the port.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    Ok(socket.into())
}
