//! Carries TCP connections to a broker over another transport, so that a suite whose clients speak TCP alone meets its
//! TLS, WebSocket and Unix sockets: what one side says or ends, the other side hears or sees end, in that order. It reads
//! nothing of what it carries.

#![expect(clippy::missing_errors_doc, reason = "every error is a text that says what is wrong")]

mod listener;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    thread,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};
use whimbrel_net::{
    Address, Dialler, Stream,
    tls::{Connector, ConnectorSettings},
};

pub use listener::{Listener, Transport};

/// How long a connection may take to come about.
const DIAL_WITHIN: Duration = Duration::from_secs(10);

/// Bytes that are carried at once.
const CARRIED_BYTES: usize = 64 << 10;

/// A carrier: a TCP port on the loopback, each of whose connections leads to one at its destination. It lives as long as the
/// process.
#[derive(Debug)]
pub struct Carrier {
    address: SocketAddr,
}

impl Carrier {
    /// Carries to this address. `ca_file` is whom to trust where it is one of TLS.
    pub fn to(address: &str, ca_file: Option<&Path>) -> Result<Carrier, String> {
        let to: Address = address.parse().map_err(|error: whimbrel_net::AddressError| error.to_string())?;
        let tls = to.scheme().is_tls().then(|| {
            let alpn = vec![to.scheme().alpn().to_vec()];
            let ca_file = ca_file.map(Path::to_owned);
            Connector::new(&ConnectorSettings { ca_file, alpn, ..ConnectorSettings::default() })
        });
        let tls = tls.transpose().map_err(|fault| fault.to_string())?;
        let failed = |error: io::Error| format!("the carrier to {address}: {error}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).map_err(failed)?;
        let carrier = Carrier { address: listener.local_addr().map_err(failed)? };
        let carry = move || runtime.block_on(receive(listener, to, Dialler::new(tls)));
        thread::Builder::new().name("carrier".into()).spawn(carry).map_err(failed)?;
        Ok(carrier)
    }

    /// Where to connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn receive(listener: TcpListener, to: Address, dialler: Dialler) {
    loop {
        let Ok((near, _)) = listener.accept().await else { continue };
        let (to, mut dialler) = (to.clone(), dialler.clone());
        tokio::spawn(async move {
            if near.set_nodelay(true).is_err() {
                return;
            }
            match dialler.dial(&to, DIAL_WITHIN).await {
                Ok(far) => carry(near, far).await,
                Err(error) => eprintln!("carrier: {error}"),
            }
        });
    }
}

/// Carries until both halves have ended. Who resets its connection resets the other.
async fn carry(near: TcpStream, far: Stream) {
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = split(far);
    tokio::select! {
        () = reset_by_client(near_read, far_write) => {}
        () = all_said_by_server(far_read, near_write) => {}
    }
}

/// From the client to the server. It returns only when the client is gone without a farewell: whatever else happens, what the
/// server still says is heard to its end.
async fn reset_by_client(mut near: OwnedReadHalf, mut far: WriteHalf<Stream>) {
    let mut bytes = vec![0; CARRIED_BYTES];
    let mut is_heard = true;
    loop {
        match near.read(&mut bytes).await {
            Err(_) => return,
            Ok(0) => {
                // The server's half is still open, or it does not matter.
                let _ = far.shutdown().await;
                return std::future::pending().await;
            }
            Ok(count) if is_heard => {
                let said = bytes.get(..count).unwrap_or_default();
                is_heard = far.write_all(said).await.is_ok() && far.flush().await.is_ok();
            }
            Ok(_) => {}
        }
    }
}

/// From the server to the client, until the server has ended its half.
async fn all_said_by_server(mut far: ReadHalf<Stream>, mut near: OwnedWriteHalf) {
    let mut bytes = vec![0; CARRIED_BYTES];
    loop {
        match far.read(&mut bytes).await {
            Ok(count) if count > 0 => {
                if near.write_all(bytes.get(..count).unwrap_or_default()).await.is_err() {
                    return;
                }
            }
            _ => {
                let _ = near.shutdown().await;
                return;
            }
        }
    }
}
