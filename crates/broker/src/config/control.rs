//! The room `[control]`: the local socket for `whimbrel ctl`. Not the socket.

use std::path::PathBuf;

use super::room::room;

room! {
    /// The local socket by which `whimbrel ctl` looks at the broker and commands it. Only the account that the broker
    /// runs as, and root, can use it.
    pub struct Control("control") {
        /// Whether there is the socket.
        enabled: bool = true;

        /// The path of the socket, at most 100 bytes. Without one it is `control.sock` in `$RUNTIME_DIRECTORY` (what
        /// systemd makes by `RuntimeDirectory=`), else in `/run/whimbrel` if the broker runs as root, else in
        /// `$XDG_RUNTIME_DIR/whimbrel`, else in `whimbrel-UID` in the folder for temporary files. A second broker of the
        /// same account calls it `control-PID.sock`; where no socket can be made the log says so and the broker runs
        /// without. A path that is set here must be free, or the broker does not start. In
        /// the configuration file a relative path counts from the folder of that file.
        socket: Option<PathBuf> = None, flag("control-socket"), example("whimbrel.sock");
    }
}
