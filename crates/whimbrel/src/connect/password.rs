//! Where the password comes from: the command line, a file, the environment. Not from a terminal.

use std::{fs::File, io::Read, path::Path};

/// The variable that holds the password.
const VARIABLE: &str = "WHIMBREL_PASSWORD";

/// The longest password that a packet carries, in bytes.
const BYTES_MAX: u64 = 65_535;

/// The password: what is nearer to this one call goes first.
pub(super) fn find(
    argument: Option<&str>,
    file: Option<&Path>,
    url: Option<Vec<u8>>,
) -> Result<Option<Vec<u8>>, String> {
    if let Some(argument) = argument {
        return Ok(Some(argument.as_bytes().to_vec()));
    }
    if let Some(file) = file {
        return read(file).map(Some);
    }
    if url.is_some() {
        return Ok(url);
    }
    Ok(std::env::var_os(VARIABLE).map(std::ffi::OsString::into_encoded_bytes))
}

/// The first line of a file.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(BYTES_MAX + 2).read_to_end(&mut bytes));
    if let Err(error) = read {
        return Err(format!("the password file {} cannot be read: {error}", path.display()));
    }
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(format!("the first line of the password file {} is empty", path.display()));
    }
    Ok(line.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_source_wins() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "from file\r\nsecond line\n").unwrap();
        let url = || Some(b"from url".to_vec());
        let found = |argument, file: Option<&Path>, url| {
            find(argument, file, url).unwrap().map(|bytes| String::from_utf8(bytes).unwrap())
        };
        assert_eq!(found(Some("from argument"), Some(&file), url()).as_deref(), Some("from argument"));
        assert_eq!(found(None, Some(&file), url()).as_deref(), Some("from file"));
        assert_eq!(found(None, None, url()).as_deref(), Some("from url"));
    }

    #[test]
    fn a_file_that_holds_no_password_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty");
        std::fs::write(&empty, "\n").unwrap();
        assert!(find(None, Some(&empty), None).unwrap_err().contains("is empty"));
        let missing = find(None, Some(&folder.path().join("missing")), None).unwrap_err();
        assert!(missing.contains("cannot be read"), "{missing}");
    }
}
