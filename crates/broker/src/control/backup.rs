//! Has the store copied while the broker goes on.

use std::path::Path;

use super::{Control, Refusal};
use crate::store::backup_log;

pub use crate::store::BackedUp;

impl Control {
    /// Copies the store into a folder, which must not be there or be empty. Everything that was acknowledged before the call
    /// is in the copy, and the copy is a store by itself. Clients are served meanwhile; space is given back when it is over.
    /// It needs a tokio runtime, on whose threads for blocking work it runs. Whoever asked may go: the copy is finished.
    ///
    /// # Errors
    /// [`Refusal::Backup`]: there is no store, another backup is being written, the folder is not empty or has not its whole
    /// path, a disk is full or fails. What was copied is removed then.
    pub async fn backup(&self, folder: &Path, bytes_per_sec: Option<u64>) -> Result<BackedUp, Refusal> {
        let refused = |why: String| Refusal::Backup { why };
        if !folder.is_absolute() {
            return Err(refused(format!("{} is not a whole path", folder.display())));
        }
        let inner = self.0.clone();
        let folder = folder.to_owned();
        let copied = tokio::task::spawn_blocking(move || {
            let Some(store) = &inner.store else {
                return Err("this broker keeps nothing on disk (store.durability = \"memory\")".to_owned());
            };
            let Some(_alone) = inner.backing_up.try_lock() else {
                return Err("another one is being written; try again when it is done".to_owned());
            };
            tracing::info!("control: a backup is written to {}", folder.display());
            let copied = backup_log(&store.log, &folder, bytes_per_sec);
            match &copied {
                Ok(copied) => tracing::info!(
                    "control: the backup in {} is whole: {} bytes, up to position {}",
                    folder.display(),
                    copied.bytes,
                    copied.position
                ),
                Err(error) => tracing::warn!("control: no backup in {}: {error}", folder.display()),
            }
            copied.map_err(|error| error.to_string())
        });
        match copied.await {
            Ok(copied) => copied.map_err(refused),
            Err(error) => Err(refused(error.to_string())),
        }
    }
}
