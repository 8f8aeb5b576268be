//! The file system at its place: mounted, and taken away again. It needs root, or `fusermount3` for anybody else.

use std::io;
use std::path::{Path, PathBuf};

use fuser::{BackgroundSession, Config, MountOption};
use tempfile::TempDir;

use crate::device::Device;
use crate::disk::{Cut, Survival};
use crate::draw::Draw;
use crate::layer::Layer;

/// A device with its file system.
pub(crate) struct Mount {
    pub(crate) device: Device,
    place: TempDir,
    session: Option<BackgroundSession>,
}

impl Mount {
    /// Mounts an empty disk at a new place.
    ///
    /// # Errors
    /// This machine does not let us.
    pub(crate) fn new(seed: u64) -> io::Result<Mount> {
        let place = tempfile::Builder::new().prefix("whimbrel-power-").tempdir()?;
        let mut mount = Mount { device: Device::new(seed), place, session: None };
        mount.attach()?;
        Ok(mount)
    }

    /// Where the files are.
    pub(crate) fn path(&self) -> &Path {
        self.place.path()
    }

    /// Where a broker keeps its store: a folder that it makes itself.
    pub(crate) fn store(&self) -> PathBuf {
        self.path().join("store")
    }

    /// After the power was gone: settles what was not synced, and mounts what is left. Nothing happens where it was not.
    ///
    /// # Errors
    /// Somebody still uses the file system, or it cannot be mounted again.
    pub(crate) fn power_up(
        &mut self,
        choose: impl FnOnce(&mut Draw) -> Cut,
    ) -> io::Result<Option<(Cut, Survival)>> {
        if self.device.is_powered() {
            return Ok(None);
        }
        if let Some(session) = self.session.take() {
            session.umount_and_join()?;
        }
        let survival = self.device.power_up(choose);
        self.attach()?;
        Ok(survival)
    }

    fn attach(&mut self) -> io::Result<()> {
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("whimbrel-power".to_owned()), MountOption::NoAtime];
        self.session = Some(fuser::spawn_mount(Layer::new(self.device.clone()), self.place.path(), &config)?);
        Ok(())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Some(session) = self.session.take()
            && let Err(error) = session.umount_and_join()
        {
            eprintln!("{}: {error}", self.place.path().display());
        }
    }
}

/// Why there can be no such file system here.
pub(crate) fn check() -> Result<(), String> {
    Mount::new(0).map(drop).map_err(|error| {
        format!(
            "a FUSE file system cannot be mounted here ({error}): it needs /dev/fuse, and root or fusermount3 \
             (Debian's package fuse3)"
        )
    })
}
