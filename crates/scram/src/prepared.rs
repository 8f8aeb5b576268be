//! SASLprep (RFC 4013): names and passwords that look the same are the same. Not what is done with them.

use std::borrow::Cow;

/// A text that SASLprep has no form for: it has control characters, or directions mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it has characters that SASLprep (RFC 4013) does not allow, such as control characters")]
pub struct Unprepared;

/// The text in the form in which it is compared.
///
/// # Errors
/// There is none.
pub fn prepare(text: &str) -> Result<Cow<'_, str>, Unprepared> {
    stringprep::saslprep(text).map_err(|_| Unprepared)
}

/// The bytes of a password as they are hashed: prepared where they are a text that has such a form, else as they are. No
/// password is shut out by it that another program has hashed as it was.
pub(crate) fn prepare_password(password: &[u8]) -> Cow<'_, [u8]> {
    match str::from_utf8(password).map(prepare) {
        Ok(Ok(Cow::Owned(text))) => Cow::Owned(text.into_bytes()),
        Ok(Ok(Cow::Borrowed(text))) => Cow::Borrowed(text.as_bytes()),
        _ => Cow::Borrowed(password),
    }
}
