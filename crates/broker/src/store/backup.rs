//! Backups: of a store that a broker writes to, of one that nobody has open, and the way back.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use whimbrel_journal::{Copied, CopyError, Disk, FileDisk, Log, copy_store, read_store};

use super::{
    Checked, check,
    tool::{self, ToolError},
};

/// How long a copy steps back while the broker's own writes wait.
const STAND_BACK: Duration = Duration::from_millis(20);

/// A backup that is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackedUp {
    /// Where it is.
    pub folder: PathBuf,
    /// Its segments.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Everything before this position of the journal is in it.
    pub position: u64,
    /// How long it took.
    pub millis: u64,
}

/// Writes a backup of the store in `from`, which nobody has open, to the folder `to`, which must not be there or be empty.
///
/// # Errors
/// A broker has the store, it is damaged, the other folder holds something, or a disk fails. There is no backup then.
pub fn backup(from: &Path, to: &Path, bytes_per_sec: Option<u64>) -> Result<BackedUp, ToolError> {
    let disk = tool::disk(from)?;
    let _lock = disk.lock().map_err(|error| match disk.holder() {
        Some(holder) => ToolError::InUse {
            folder: from.to_owned(),
            holder,
            what_to_do: "ask the broker for the backup: leave --from out",
        },
        None => error.into(),
    })?;
    let mut pace = Pace::new(bytes_per_sec);
    into_folder(to, |copy| copy_store(&disk, copy, &mut |bytes| pace.after(bytes)))
}

/// Writes a backup of a log that is written to.
pub(crate) fn backup_log(log: &Log, to: &Path, bytes_per_sec: Option<u64>) -> Result<BackedUp, ToolError> {
    let mut pace = Pace::new(bytes_per_sec);
    into_folder(to, |copy| {
        log.copy_to(copy, &mut |bytes| {
            pace.after(bytes);
            while log.is_over_budget() && log.is_running() {
                thread::sleep(STAND_BACK);
            }
        })
    })
}

/// Puts a backup into the folder of a store, which must hold nothing.
///
/// # Errors
/// The backup is damaged or a broker has it open; the folder holds something or a broker has it; a disk fails. Then the
/// folder holds no store, or one that is refused because segments are missing.
pub fn restore(backup: &Path, folder: &Path) -> Result<Checked, ToolError> {
    let from = tool::disk(backup)?;
    if let Some(holder) = from.holder() {
        return Err(ToolError::InUse {
            folder: backup.to_owned(),
            holder,
            what_to_do: "it is no backup; make one of it with `whimbrel store backup`",
        });
    }
    check::must_be_sound(backup)?;
    tool::must_be_empty(folder)?;
    let to =
        FileDisk::new(folder).map_err(ToolError::system(folder, "the folder cannot be made or opened"))?;
    let lock = to.lock()?;
    copy_store(&from, &to, &mut |_| {})?;
    let checked = check::must_be_sound(folder);
    drop(lock);
    checked
}

/// Has a backup written under another name, reads it once, and gives it its name.
fn into_folder(
    folder: &Path,
    copy: impl FnOnce(&FileDisk) -> Result<Copied, CopyError>,
) -> Result<BackedUp, ToolError> {
    let started = Instant::now();
    let no_name = || ToolError::NoName(folder.to_owned());
    let name = folder.file_name().ok_or_else(no_name)?;
    let mut unfinished = name.to_owned();
    unfinished.push(format!(".unfinished-{}", std::process::id()));
    tool::must_be_empty(folder)?;
    let unfinished = Unfinished::make(folder.with_file_name(unfinished))?;
    let disk = FileDisk::new(&unfinished.0)
        .map_err(ToolError::system(&unfinished.0, "the folder cannot be opened"))?;
    let copied = copy(&disk)?;
    // Nobody needs a backup of which he learns too late that it is damaged.
    read_store(&disk, false, &mut |_, _, _| Ok(()))?;
    fs::rename(&unfinished.0, folder)
        .map_err(ToolError::system(folder, "the finished backup cannot get this name"))?;
    let around = folder.parent().filter(|around| !around.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(around)
        .and_then(|around| around.sync_all())
        .map_err(ToolError::system(around, "the name of the backup cannot be synced"))?;
    Ok(BackedUp {
        folder: folder.to_owned(),
        segments: copied.segments,
        bytes: copied.bytes,
        position: copied.end.0,
        millis: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

/// A folder that goes unless it has got another name.
struct Unfinished(PathBuf);

impl Unfinished {
    fn make(path: PathBuf) -> Result<Self, ToolError> {
        use std::os::unix::fs::DirBuilderExt;
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => ToolError::system(
                &path,
                "another backup of this name is under way; if not, delete what it has left",
            )(error),
            _ => ToolError::system(&path, "the folder cannot be made")(error),
        })?;
        Ok(Self(path))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0); // It is gone already where all went well.
    }
}

/// Keeps a copy from going faster than it may.
struct Pace {
    started: Instant,
    bytes: u64,
    per_sec: Option<u64>,
}

impl Pace {
    fn new(per_sec: Option<u64>) -> Self {
        Self { started: Instant::now(), bytes: 0, per_sec }
    }

    fn after(&mut self, bytes: u64) {
        self.bytes += bytes;
        if let Some(per_sec) = self.per_sec {
            let due = Duration::from_secs_f64(self.bytes as f64 / per_sec.max(1) as f64);
            thread::sleep(due.saturating_sub(self.started.elapsed()));
        }
    }
}
