//! A file replaced as a whole: whoever reads it sees the old one or the new one, also after a power cut. Not what is in
//! it.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use whimbrel_broker::auth::FILE_BYTES_MAX;

use super::Failure;

/// A file to be replaced, which need not exist yet; its folder does.
pub(super) struct Target {
    /// Behind all symbolic links: a link stays one, what it points to is replaced.
    path: PathBuf,
    folder: PathBuf,
}

/// The file as it was when its folder was locked. As long as this lives, no other process that takes the same care
/// changes the file.
pub(super) struct Held {
    path: PathBuf,
    folder: PathBuf,
    contents: Vec<u8>,
    /// `None` if the file is not there.
    metadata: Option<Metadata>,
    /// Open for the lock and for the sync after the rename.
    #[cfg(unix)]
    folder_handle: File,
}

impl Target {
    pub(super) fn resolve(path: &Path) -> Result<Self, Failure> {
        let fails = |error: io::Error| Failure::misused(format!("{}: {error}", path.display()));
        let no_file = || Failure::misused(format!("{} is not the name of a file", path.display()));
        match fs::canonicalize(path) {
            Ok(path) => {
                let folder = path.parent().ok_or_else(no_file)?.to_owned();
                Ok(Self { path, folder })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let name = path.file_name().ok_or_else(no_file)?;
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                let folder = fs::canonicalize(folder.unwrap_or(Path::new("."))).map_err(fails)?;
                Ok(Self { path: folder.join(name), folder })
            }
            Err(error) => Err(fails(error)),
        }
    }

    /// Waits until no other process holds a file of the folder, and reads this one.
    pub(super) fn hold(self) -> Result<Held, Failure> {
        let Self { path, folder } = self;
        let fails = |error: io::Error| Failure::misused(format!("{}: {error}", path.display()));
        #[cfg(unix)]
        let folder_handle = {
            let handle = File::open(&folder).map_err(fails)?;
            // Where a folder cannot be locked (NFS), two who change the file at the same moment may lose one change.
            let _ = handle.lock();
            handle
        };
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(fails(error)),
        };
        let contents = match &metadata {
            None => Vec::new(),
            Some(metadata) if !metadata.is_file() => {
                return Err(Failure::misused(format!("{} is not a regular file", path.display())));
            }
            Some(metadata) if metadata.len() > FILE_BYTES_MAX => {
                return Err(Failure::misused(format!(
                    "{} is larger than {FILE_BYTES_MAX} bytes, which no broker reads",
                    path.display()
                )));
            }
            Some(_) => fs::read(&path).map_err(fails)?,
        };
        Ok(Held {
            path,
            folder,
            contents,
            metadata,
            #[cfg(unix)]
            folder_handle,
        })
    }
}

impl Held {
    pub(super) fn contents(&self) -> &[u8] {
        &self.contents
    }

    pub(super) fn is_new(&self) -> bool {
        self.metadata.is_none()
    }

    pub(super) fn must_exist(&self) -> Result<(), Failure> {
        if self.is_new() {
            return Err(Failure::misused(format!("{} is not there", self.path.display())));
        }
        Ok(())
    }

    /// Puts a file with other contents in the place of this one. It keeps owner and permissions; a new file is for its
    /// owner alone.
    pub(super) fn replace(self, contents: &[u8]) -> Result<(), Failure> {
        self.try_replace(contents).map_err(|error| {
            Failure::failed(format!("{} cannot be written, and is as it was: {error}", self.path.display()))
        })
    }

    fn try_replace(&self, contents: &[u8]) -> io::Result<()> {
        // Beside the file, since a rename cannot leave the file system; with mode 0600; removed if anything fails.
        let mut successor = tempfile::Builder::new().prefix(".whimbrel-passwd-").tempfile_in(&self.folder)?;
        successor.write_all(contents)?;
        if let Some(metadata) = &self.metadata {
            keep_owner(successor.as_file(), metadata)?;
            successor.as_file().set_permissions(metadata.permissions())?;
        }
        successor.as_file().sync_all()?;
        successor.persist(&self.path)?;
        #[cfg(unix)]
        self.folder_handle.sync_all()?;
        Ok(())
    }
}

/// The broker's account must still be able to read what the administrator's has written.
#[cfg(unix)]
fn keep_owner(successor: &File, metadata: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};

    let now = successor.metadata()?;
    if (now.uid(), now.gid()) == (metadata.uid(), metadata.gid()) {
        return Ok(());
    }
    fchown(successor, Some(metadata.uid()), Some(metadata.gid()))
}

#[cfg(not(unix))]
fn keep_owner(_successor: &File, _metadata: &Metadata) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::Target;
    use crate::cli::MISUSED;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_made_and_replaced_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passwords");
        let held = Target::resolve(&path).unwrap().hold().unwrap();
        assert!(held.is_new() && held.must_exist().is_err());
        held.replace(b"one").unwrap();

        let held = Target::resolve(&path).unwrap().hold().unwrap();
        assert_eq!((held.contents(), held.is_new()), (&b"one"[..], false));
        held.replace(b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(folder.path()), ["passwords"]);
    }

    #[test]
    fn what_cannot_be_a_password_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let code = |name: &str| {
            let outcome = Target::resolve(&folder.path().join(name)).and_then(Target::hold);
            outcome.err().map(|failure| failure.code)
        };
        assert_eq!(code("missing/passwords"), Some(MISUSED));
        assert_eq!(code("."), Some(MISUSED));
        assert_eq!(code(".."), Some(MISUSED));
        assert_eq!(code("passwords"), None);
    }

    #[cfg(unix)]
    mod unix {
        use std::fs::{File, TryLockError};
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

        use super::*;

        fn mode(path: &Path) -> u32 {
            fs::metadata(path).unwrap().permissions().mode() & 0o7777
        }

        #[test]
        fn a_new_file_is_its_owners_and_an_old_one_keeps_its_permissions() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("passwords");
            Target::resolve(&path).unwrap().hold().unwrap().replace(b"one").unwrap();
            assert_eq!(mode(&path), 0o600);
            for kept in [0o640, 0o644, 0o660] {
                fs::set_permissions(&path, fs::Permissions::from_mode(kept)).unwrap();
                Target::resolve(&path).unwrap().hold().unwrap().replace(b"two").unwrap();
                assert_eq!(mode(&path), kept);
            }
        }

        #[test]
        fn a_link_stays_a_link_and_its_file_is_replaced() {
            let folder = tempfile::tempdir().unwrap();
            let (path, link) = (folder.path().join("passwords"), folder.path().join("link"));
            fs::write(&path, "one").unwrap();
            symlink("passwords", &link).unwrap();
            let before = fs::metadata(&path).unwrap().ino();
            let held = Target::resolve(&link).unwrap().hold().unwrap();
            assert_eq!(held.contents(), b"one");
            held.replace(b"two").unwrap();
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
            assert_eq!(fs::read(&path).unwrap(), b"two");
            assert_ne!(
                fs::metadata(&path).unwrap().ino(),
                before,
                "a new file, not the old one written over"
            );
        }

        #[test]
        fn a_file_that_cannot_be_replaced_stays_as_it_was() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("passwords");
            fs::write(&path, "one").unwrap();
            let held = Target::resolve(&path).unwrap().hold().unwrap();
            // A folder in the file's place is what no account can rename a file over.
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
            assert!(held.replace(b"two").is_err());
            assert_eq!(names(folder.path()), ["passwords"]);
        }

        #[test]
        fn the_folder_is_locked_from_reading_the_file_to_replacing_it() {
            let folder = tempfile::tempdir().unwrap();
            let other = File::open(folder.path()).unwrap();
            let held = Target::resolve(&folder.path().join("passwords")).unwrap().hold().unwrap();
            assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
            held.replace(b"one").unwrap();
            other.try_lock().unwrap();
        }
    }
}
