//! A password on its way to be verified: bytes that never print and are wiped when they are dropped.
//! Not a stored hash.

use std::fmt;

use zeroize::Zeroizing;

/// A password as the client or the user gave it. It has no `Display`, its `Debug` shows nothing of it,
/// and its memory is wiped when it is dropped.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over, without a copy that would stay behind.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes. Whoever calls this is responsible for every copy.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Secret {
    fn from(bytes: &[u8]) -> Self {
        Self::new(bytes.to_vec())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_secret_shows_neither_its_bytes_nor_its_length() {
        let shown = [&b""[..], b"x", b"open sesame"].map(|bytes| format!("{:?}", Secret::from(bytes)));
        assert_eq!(shown, ["Secret(…)"; 3]);
    }

    #[test]
    fn a_secret_is_the_bytes_it_was_made_of() {
        assert_eq!(Secret::new(vec![0, 255, b':']).expose(), [0, 255, b':']);
    }
}
