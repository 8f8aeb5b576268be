//! Where a payload comes from: the command line, a file, all of standard input.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// More bytes than a packet can carry.
pub(super) const BYTES_MAX: u64 = 268_435_456;

/// What is sent.
#[derive(Debug)]
pub(super) enum Source {
    /// This payload.
    One(Vec<u8>),
    /// Each line of standard input.
    Lines,
}

/// The content of a file.
pub(super) fn file(path: &Path) -> Result<Vec<u8>, String> {
    let whole = File::open(path).and_then(read);
    whole.map_err(|error| format!("the file {} cannot be sent: {error}", path.display()))
}

/// All of standard input.
pub(super) fn standard_input() -> Result<Vec<u8>, String> {
    read(io::stdin().lock()).map_err(|error| format!("standard input cannot be sent: {error}"))
}

fn read(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(io::Error::other("it is longer than a message can be, 256 MiB"));
    }
    Ok(bytes)
}
