//! Where the control socket is, and who may reach it there. Not what is said over it.
//!
//! The socket has mode 0600 in a folder that nobody else can write to; the folders of the default path are made with
//! mode 0700. A socket that is there already is replaced only if nobody answers at it.

use std::{
    fs::{self, DirBuilder, File, Metadata, Permissions},
    io,
    os::unix::{
        fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// The longest path: what every system takes.
pub const PATH_BYTES_MAX: usize = 100;

/// The name of the first broker's socket in the folders of the default path. Others of the account have their number
/// in the name.
const NAME: &str = "control.sock";

/// How long another broker that is starting may keep the folder to itself.
const ALONE_WITHIN: Duration = Duration::from_secs(2);

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// Somebody answers there.
    #[error(
        "control.socket {}: somebody answers there already, so another broker has it; name another path, or set \
         control.enabled = false", .0.display()
    )]
    Taken(PathBuf),
    /// What is there is no socket.
    #[error("control.socket {}: there is something that is no socket; delete it or name another path", .0.display())]
    NotASocket(PathBuf),
    /// The path is longer than the path of a socket may be.
    #[error("control.socket {}: a path has at most {PATH_BYTES_MAX} bytes; name a shorter one", .0.display())]
    TooLong(PathBuf),
    /// Others could put something else in its place.
    #[error(
        "control.socket: {} belongs to account {owner} and has mode {mode:04o}, so others could replace the socket; \
         name a path in a folder that only this account can write to", folder.display()
    )]
    OpenToOthers {
        /// The folder.
        folder: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Its mode.
        mode: u32,
    },
    /// The system refuses something at this path.
    #[error("control.socket {}: {what}: {source}", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The system refuses something else.
    #[error("the control socket: the system refuses {what}: {source}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

/// A socket of this process. It is deleted when this is dropped, unless somebody has put another in its place.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    /// The file system and the number of the file.
    identity: (u64, u64),
}

impl Place {
    /// Opens a socket at the path, or at the default path.
    pub(super) fn open(path: Option<&Path>) -> Result<(Self, UnixListener), PlaceError> {
        match path {
            Some(path) => open_named(path),
            None => open_default(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|metadata| identity(&metadata) == self.identity) {
            let _ = fs::remove_file(&self.path); // If not, the next broker does.
        }
    }
}

/// The folders in which a broker's socket may be that has no path of its own, in the order in which they are looked at.
/// A broker of this account uses the first; root's may be of interest to whoever may ask it.
#[must_use]
pub fn folders() -> Vec<PathBuf> {
    let system = PathBuf::from("/run/whimbrel");
    let uid = own_uid();
    let is_absolute = |folder: &PathBuf| folder.is_absolute();
    // What systemd has made for the service, RuntimeDirectory=; of several the first.
    let service = std::env::var_os("RUNTIME_DIRECTORY").and_then(|all| std::env::split_paths(&all).next());
    let service = service.filter(is_absolute);
    let session = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(is_absolute);
    let session = session.map(|folder| folder.join("whimbrel"));
    let temporary = std::env::temp_dir().join(format!("whimbrel-{uid}"));
    if uid == 0 {
        // Whoever is root, by whatever way, finds root's broker in one place.
        return service.into_iter().chain([system]).collect();
    }
    service.into_iter().chain(session).chain([temporary, system]).collect()
}

/// The sockets of brokers in one of [`folders`], whether somebody answers there or not.
///
/// # Errors
/// The folder cannot be read.
pub fn sockets_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        let number = name.strip_prefix("control-").and_then(|rest| rest.strip_suffix(".sock"));
        if name == NAME || number.is_some_and(|number| number.parse::<u32>().is_ok()) {
            found.push(folder.join(&*name));
        }
    }
    found.sort();
    Ok(found)
}

/// Whether this account is the one of this process, or root.
#[must_use]
pub fn is_ours(uid: u32) -> bool {
    uid == 0 || uid == own_uid()
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn open_named(path: &Path) -> Result<(Place, UnixListener), PlaceError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    make(folder)?;
    let _alone = alone_in(folder);
    if is_answered(path)? {
        return Err(PlaceError::Taken(path.to_owned()));
    }
    bind(path)
}

/// The first broker of an account has the plain name; another one has its number in its name.
fn open_default() -> Result<(Place, UnixListener), PlaceError> {
    let folder = folders().into_iter().next().unwrap_or_default();
    make(&folder)?;
    let _alone = alone_in(&folder);
    for path in sockets_in(&folder).unwrap_or_default() {
        // What a broker has left behind that was killed.
        if path.file_name().is_some_and(|name| name != NAME)
            && is_answered(&path).is_ok_and(|answered| !answered)
        {
            let _ = fs::remove_file(&path);
        }
    }
    let first = folder.join(NAME);
    if is_answered(&first)? {
        bind(&folder.join(format!("control-{}.sock", std::process::id())))
    } else {
        bind(&first)
    }
}

/// Makes the folder for this account alone if it is not there, and refuses one in which others could replace the socket.
fn make(folder: &Path) -> Result<(), PlaceError> {
    let failed = |what| move |source| PlaceError::Path { path: folder.to_owned(), what, source };
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(failed("the folder cannot be made")(error));
        }
        _ => {}
    }
    let metadata = fs::metadata(folder).map_err(failed("the folder cannot be looked at"))?;
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    // In a folder with the sticky bit, such as /tmp, nobody deletes what belongs to others.
    let writable = mode & 0o022 != 0 && mode & 0o1000 == 0;
    if !is_ours(owner) || writable {
        return Err(PlaceError::OpenToOthers { folder: folder.to_owned(), owner, mode });
    }
    Ok(())
}

/// Keeps other brokers from looking and replacing at the same time. Where the file system has no locks, or somebody
/// does not let go, it goes on without: then two that start in the same instant may take one path.
fn alone_in(folder: &Path) -> Option<File> {
    let folder = File::open(folder).ok()?;
    let end = Instant::now() + ALONE_WITHIN;
    loop {
        match folder.try_lock() {
            Ok(()) => return Some(folder),
            Err(fs::TryLockError::WouldBlock) if Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(_) => return None,
        }
    }
}

/// Whether somebody listens at the path. Anything but a socket there is an error.
fn is_answered(path: &Path) -> Result<bool, PlaceError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => {
            return Err(PlaceError::Path { path: path.to_owned(), what: "it cannot be looked at", source });
        }
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(PlaceError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(false),
        // Somebody else's, or one whose broker is too busy to let anybody in.
        Ok(_) | Err(_) => Ok(true),
    }
}

/// Nobody answers at the path: what is there goes.
fn bind(path: &Path) -> Result<(Place, UnixListener), PlaceError> {
    let failed = |what| move |source| PlaceError::Path { path: path.to_owned(), what, source };
    if path.as_os_str().len() > PATH_BYTES_MAX {
        return Err(PlaceError::TooLong(path.to_owned()));
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("what a former broker has left there cannot be deleted")(error));
        }
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(failed("the socket cannot be made"))?;
    // Until here it may be open to more; who came in so early is asked by the system who it is all the same.
    let closed = fs::set_permissions(path, Permissions::from_mode(0o600))
        .and_then(|()| listener.set_nonblocking(true));
    closed.map_err(failed("the socket cannot be set up"))?;
    let metadata = fs::symlink_metadata(path).map_err(failed("the socket cannot be looked at"))?;
    // The folder that the process runs in may change; the path stays.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    Ok((Place { path, identity: identity(&metadata) }, listener))
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}
