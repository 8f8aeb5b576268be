//! A token taken apart: head, what it says, signature. Nothing in it is believed yet.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::{Map, Value};

use super::{TokenFault, json};
use crate::config::Algorithm;

/// A longer token is refused unseen: this bounds the work that a stranger can put on a thread.
pub const TOKEN_BYTES_MAX: usize = 16 * 1_024;

/// A longer name of a key is none.
const KEY_ID_BYTES_MAX: usize = 256;

/// A token in its compact form.
pub(super) struct Jws<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<Box<str>>,
    /// What is signed.
    pub(super) signed: &'a str,
    /// In base64url.
    pub(super) signature: &'a str,
    pub(super) claims: Map<String, Value>,
}

/// Whether a password looks like a token: three parts between dots in the alphabet of base64url, the first of which begins
/// as an object of JSON does.
pub(super) fn looks_like_token(password: &[u8]) -> bool {
    let mut dots = 0;
    let written = password.iter().all(|byte| {
        dots += usize::from(*byte == b'.');
        byte.is_ascii_alphanumeric() || b"-_.".contains(byte)
    });
    written && dots == 2 && (password.starts_with(b"ey") || password.starts_with(b"ew"))
}

impl<'a> Jws<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// What is wrong with its form, or with what its head asks for.
    pub(super) fn parse(token: &'a [u8]) -> Result<Jws<'a>, TokenFault> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenFault::TooLong);
        }
        let token = str::from_utf8(token).map_err(|_| TokenFault::Malformed)?;
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenFault::Malformed)?;
        let (head, claims) = signed.split_once('.').ok_or(TokenFault::Malformed)?;
        let part = |text: &str| {
            let bytes = Base64UrlUnpadded::decode_vec(text).map_err(|_| TokenFault::Malformed)?;
            json::object(&bytes).map_err(|_| TokenFault::Malformed)
        };
        let head = part(head)?;
        // Whatever else the head says is not asked for: neither keys nor places where keys would be.
        if head.contains_key("crit")
            || head.contains_key("b64")
            || head.contains_key("zip")
            || head.contains_key("enc")
        {
            return Err(TokenFault::Head);
        }
        let algorithm = head.get("alg").and_then(Value::as_str).and_then(|word| word.parse().ok());
        let key_id = match head.get("kid") {
            None => None,
            Some(Value::String(id)) if id.len() <= KEY_ID_BYTES_MAX => Some(id.as_str().into()),
            Some(_) => return Err(TokenFault::Head),
        };
        let algorithm = algorithm.ok_or(TokenFault::Algorithm)?;
        Ok(Jws { algorithm, key_id, signed, signature, claims: part(claims)? })
    }
}
