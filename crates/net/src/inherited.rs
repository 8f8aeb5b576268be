//! Sockets that whoever has started this process has opened for it: socket activation, as systemd does it. Not the
//! sockets that it opens itself.

use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use listenfd::ListenFd;

/// The sockets that this process was given at its start. They stay open as long as it runs: who listens at one has a
/// copy, so that a listener can be closed and opened again.
#[derive(Debug, Default)]
pub struct Inherited {
    passed: Vec<Passed>,
    /// Those that are neither TCP, UDP nor a Unix socket with a path, and that cannot be asked where they are.
    useless: usize,
}

#[derive(Debug)]
struct Passed {
    socket: Socket,
    wanted: AtomicBool,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener, SocketAddr),
    Udp(UdpSocket, SocketAddr),
    Unix(UnixListener, PathBuf),
}

impl Inherited {
    /// What this process was given (`LISTEN_FDS`).
    pub fn of_this_process() -> &'static Inherited {
        static OF_THIS_PROCESS: OnceLock<Inherited> = OnceLock::new();
        OF_THIS_PROCESS.get_or_init(|| Inherited::take(&mut ListenFd::from_env()))
    }

    fn take(given: &mut ListenFd) -> Inherited {
        let mut inherited = Inherited::default();
        for index in 0..given.len() {
            match socket(given, index) {
                Some(socket) => inherited.passed.push(Passed { socket, wanted: AtomicBool::new(false) }),
                None => inherited.useless += 1,
            }
        }
        inherited
    }

    /// The TCP socket that listens at exactly this address, if there is one.
    ///
    /// # Errors
    /// The system refuses a copy.
    pub fn tcp(&self, at: SocketAddr) -> io::Result<Option<TcpListener>> {
        self.find(|socket| match socket {
            Socket::Tcp(socket, place) if *place == at => Some(socket.try_clone()),
            _ => None,
        })
    }

    /// The UDP socket at exactly this address, if there is one.
    ///
    /// # Errors
    /// The system refuses a copy.
    pub fn udp(&self, at: SocketAddr) -> io::Result<Option<UdpSocket>> {
        self.find(|socket| match socket {
            Socket::Udp(socket, place) if *place == at => Some(socket.try_clone()),
            _ => None,
        })
    }

    /// The Unix socket with exactly this path, if there is one.
    ///
    /// # Errors
    /// The system refuses a copy.
    pub fn unix(&self, at: &Path) -> io::Result<Option<UnixListener>> {
        self.find(|socket| match socket {
            Socket::Unix(socket, place) if place == at => Some(socket.try_clone()),
            _ => None,
        })
    }

    /// Those that nobody has asked for, in words.
    #[must_use]
    pub fn unwanted(&self) -> Vec<String> {
        let unwanted = self.passed.iter().filter(|passed| !passed.wanted.load(Relaxed));
        let mut words: Vec<String> = unwanted.map(|passed| passed.socket.in_words()).collect();
        if self.useless > 0 {
            words.push(format!("{} that are neither TCP, UDP nor a Unix socket with a path", self.useless));
        }
        words
    }

    fn find<T>(&self, copy: impl Fn(&Socket) -> Option<io::Result<T>>) -> io::Result<Option<T>> {
        let found = self.passed.iter().find_map(|passed| copy(&passed.socket).map(|copy| (passed, copy)));
        let Some((passed, copy)) = found else { return Ok(None) };
        passed.wanted.store(true, Relaxed);
        copy.map(Some)
    }
}

impl Socket {
    fn in_words(&self) -> String {
        match self {
            Socket::Tcp(_, place) => format!("{place} (TCP)"),
            Socket::Udp(_, place) => format!("{place} (UDP)"),
            Socket::Unix(_, place) => format!("unix:{}", place.display()),
        }
    }
}

/// The socket of this number, whatever it is. What it is not, it is not taken as.
fn socket(given: &mut ListenFd, index: usize) -> Option<Socket> {
    if let Ok(Some(socket)) = given.take_tcp_listener(index) {
        socket.set_nonblocking(true).ok()?;
        let place = socket.local_addr().ok()?;
        return Some(Socket::Tcp(socket, place));
    }
    if let Ok(Some(socket)) = given.take_udp_socket(index) {
        socket.set_nonblocking(true).ok()?;
        let place = socket.local_addr().ok()?;
        return Some(Socket::Udp(socket, place));
    }
    let socket = given.take_unix_listener(index).ok()??;
    socket.set_nonblocking(true).ok()?;
    let place = socket.local_addr().ok()?.as_pathname()?.to_owned();
    Some(Socket::Unix(socket, place))
}
