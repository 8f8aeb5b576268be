//! Unix domain sockets: a file on this machine that programs connect to. Not what is said over it.

use std::{
    fs::{self, File, Metadata, Permissions},
    io,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use socket2::{Domain, SockAddr, Socket, Type};

/// The longest path, in bytes: what every system takes.
pub const UNIX_PATH_BYTES_MAX: usize = 100;

/// How long another one that is starting may keep the folder to itself. Where somebody does not let go, it goes on
/// without: then two that start in the same instant may take one path.
const ALONE_WITHIN: Duration = Duration::from_secs(2);

/// The socket cannot listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnixListenError {
    /// Somebody answers there.
    #[error("cannot listen on unix:{}: somebody answers there already; stop it or name another path", .0.display())]
    Taken(PathBuf),
    /// What is there is no socket.
    #[error(
        "cannot listen on unix:{}: there is something that is no socket; delete it or name another path", .0.display()
    )]
    NotASocket(PathBuf),
    /// The path is longer than the path of a socket may be.
    #[error("cannot listen on unix:{}: a path has at most {UNIX_PATH_BYTES_MAX} bytes", .0.display())]
    TooLong(PathBuf),
    /// The system refuses something.
    #[error("cannot listen on unix:{}: {what}: {source}", path.display())]
    System {
        /// The path.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

/// The file of a listening socket. It is deleted when this is dropped, unless somebody has put another in its place.
#[derive(Debug)]
pub struct UnixPlace {
    path: PathBuf,
    /// The file system and the number of the file.
    identity: (u64, u64),
}

impl UnixPlace {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for UnixPlace {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|metadata| identity(&metadata) == self.identity) {
            let _ = fs::remove_file(&self.path); // If not, the next one to listen does.
        }
    }
}

/// Opens a non-blocking listening socket at this path, whose file has this mode from its first moment there. A socket
/// that is there already is replaced if nobody listens at it.
///
/// # Errors
/// Somebody listens there, or something else is there; the system refuses the socket.
pub fn listen_unix(path: &Path, mode: u32) -> Result<(UnixListener, UnixPlace), UnixListenError> {
    if path.as_os_str().len() > UNIX_PATH_BYTES_MAX {
        return Err(UnixListenError::TooLong(path.to_owned()));
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let failed = |what| move |source| UnixListenError::System { path: path.to_owned(), what, source };
    // Two that start at one moment look one after the other.
    let alone = File::open(folder).map_err(failed("its folder cannot be opened"))?;
    let end = Instant::now() + ALONE_WITHIN;
    while matches!(alone.try_lock(), Err(fs::TryLockError::WouldBlock)) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed("what is there cannot be looked at")(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(UnixListenError::NotASocket(path.to_owned()));
        }
        Ok(_) if is_deserted(path).map_err(failed("the system gives no socket"))? => {}
        Ok(_) => return Err(UnixListenError::Taken(path.to_owned())),
    }
    // Nobody connects before the file has its mode: it gets its name last.
    let beside = folder.join(format!(".{}", std::process::id()));
    let _ = fs::remove_file(&beside);
    let opened = open(&beside, path, mode).map_err(failed("the system refuses it"));
    let _ = fs::remove_file(&beside);
    opened
}

/// Whether nobody listens at this socket. One whose queue is full has somebody who does not accept just now; that is not
/// waited for.
fn is_deserted(path: &Path) -> io::Result<bool> {
    let knocking = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    knocking.set_nonblocking(true)?;
    let connected = knocking.connect(&SockAddr::unix(path)?);
    Ok(connected.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused))
}

fn open(beside: &Path, path: &Path, mode: u32) -> io::Result<(UnixListener, UnixPlace)> {
    let listener = UnixListener::bind(beside)?;
    listener.set_nonblocking(true)?;
    fs::set_permissions(beside, Permissions::from_mode(mode))?;
    let identity = identity(&fs::symlink_metadata(beside)?);
    fs::rename(beside, path)?;
    Ok((listener, UnixPlace { path: path.to_owned(), identity }))
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}
