//! The four messages: read strictly, from bytes that anybody may have sent. Not what they prove.

use base64ct::{Base64, Encoding as _};

/// The longest message that is read, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 8_192;

/// What is wrong with a message, or with what it says. Each side tells the other no more than that it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It is longer than any message is read.
    #[error("the message is longer than {MESSAGE_BYTES_MAX} bytes")]
    TooLong,
    /// It does not have the form of its place in the exchange.
    #[error("the message is malformed")]
    Malformed,
    /// The client insists on channel binding.
    #[error("the client insists on channel binding, which is not offered")]
    ChannelBinding,
    /// The client wants to act as somebody else than it proves to be.
    #[error("the client wants to act for somebody else")]
    OtherIdentity,
    /// The message has an extension that is not known and not to be ignored.
    #[error("the message needs an extension that is not known")]
    Extension,
    /// It answers another exchange: its nonce or what it repeats of the first message is not this one's.
    #[error("the message is not of this exchange")]
    OtherExchange,
    /// The proof is wrong: another password, or no such user.
    #[error("the proof is wrong")]
    Proof,
    /// The server asks for so few iterations that the proof would give the password away, or for so many that it would take
    /// too long.
    #[error("the server asks for {0} iterations, which are too few or too many")]
    Iterations(u32),
    /// The server has not proved that it knows the verifier.
    #[error("the server has not proved that it knows the password's verifier")]
    Server,
}

/// What the client says first.
pub(crate) struct ClientFirst<'a> {
    /// `n,,` or `y,,`, with an identity between the commas if the client gives one.
    pub(crate) header: &'a str,
    /// Everything behind it.
    pub(crate) bare: &'a str,
    pub(crate) user_name: String,
    pub(crate) nonce: &'a str,
}

/// What the client says last.
pub(crate) struct ClientFinal<'a> {
    pub(crate) without_proof: &'a str,
    /// The header of the first message, as it came with the last.
    pub(crate) header: Vec<u8>,
    pub(crate) nonce: &'a str,
    pub(crate) proof: Vec<u8>,
}

/// What the server asks.
pub(crate) struct ServerFirst<'a> {
    pub(crate) nonce: &'a str,
    pub(crate) salt: Vec<u8>,
    pub(crate) iterations: u32,
}

fn text(message: &[u8]) -> Result<&str, Fault> {
    if message.len() > MESSAGE_BYTES_MAX {
        return Err(Fault::TooLong);
    }
    let text = str::from_utf8(message).map_err(|_| Fault::Malformed)?;
    if text.contains('\0') { Err(Fault::Malformed) } else { Ok(text) }
}

/// The value of the attribute with this letter.
fn value<'a>(attribute: Option<&'a str>, letter: &str) -> Result<&'a str, Fault> {
    let value = attribute.and_then(|attribute| attribute.strip_prefix(letter)?.strip_prefix('='));
    value.filter(|value| !value.is_empty()).ok_or(Fault::Malformed)
}

/// Printable characters of ASCII; commas are not within an attribute.
fn nonce(attribute: Option<&str>) -> Result<&str, Fault> {
    let nonce = value(attribute, "r")?;
    if nonce.bytes().all(|byte| byte.is_ascii_graphic()) { Ok(nonce) } else { Err(Fault::Malformed) }
}

fn bytes(value: &str) -> Result<Vec<u8>, Fault> {
    Base64::decode_vec(value).map_err(|_| Fault::Malformed)
}

/// What follows the attributes that have to be there is to be ignored, if it has the form of attributes.
fn ignore<'a>(extensions: impl Iterator<Item = &'a str>) -> Result<(), Fault> {
    for extension in extensions {
        let mut letters = extension.chars();
        let is_attribute = letters.next().is_some_and(|letter| letter.is_ascii_alphabetic())
            && letters.next() == Some('=')
            && letters.next().is_some();
        match is_attribute {
            true if extension.starts_with("m=") => return Err(Fault::Extension),
            true => {}
            false => return Err(Fault::Malformed),
        }
    }
    Ok(())
}

/// A name with its `,` and `=` back.
fn name(written: &str) -> Result<String, Fault> {
    let mut name = String::with_capacity(written.len());
    let mut rest = written;
    while let Some((before, behind)) = rest.split_once('=') {
        name.push_str(before);
        let (letter, after) = match (behind.strip_prefix("2C"), behind.strip_prefix("3D")) {
            (Some(after), _) => (',', after),
            (_, Some(after)) => ('=', after),
            _ => return Err(Fault::Malformed),
        };
        name.push(letter);
        rest = after;
    }
    name.push_str(rest);
    Ok(name)
}

/// A name as it is written.
pub(crate) fn written(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

impl<'a> ClientFirst<'a> {
    pub(crate) fn read(message: &'a [u8]) -> Result<Self, Fault> {
        let text = text(message)?;
        let mut parts = text.splitn(3, ',');
        let (flag, identity, bare) = (parts.next(), parts.next(), parts.next());
        match flag {
            Some("n" | "y") => {}
            Some(flag) if flag.strip_prefix("p=").is_some_and(|name| !name.is_empty()) => {
                return Err(Fault::ChannelBinding);
            }
            _ => return Err(Fault::Malformed),
        }
        let (Some(identity), Some(bare)) = (identity, bare) else { return Err(Fault::Malformed) };
        let header = text.get(..text.len() - bare.len()).unwrap_or_default();
        if bare.starts_with("m=") {
            return Err(Fault::Extension);
        }
        let mut attributes = bare.split(',');
        let user_name = name(value(attributes.next(), "n")?)?;
        let nonce = nonce(attributes.next())?;
        ignore(attributes)?;
        if !identity.is_empty() && name(value(Some(identity), "a")?)? != user_name {
            return Err(Fault::OtherIdentity);
        }
        Ok(Self { header, bare, user_name, nonce })
    }
}

impl<'a> ClientFinal<'a> {
    pub(crate) fn read(message: &'a [u8]) -> Result<Self, Fault> {
        let text = text(message)?;
        let (without_proof, proof) = text.rsplit_once(',').ok_or(Fault::Malformed)?;
        let proof = bytes(value(Some(proof), "p")?)?;
        let mut attributes = without_proof.split(',');
        let header = bytes(value(attributes.next(), "c")?)?;
        let nonce = nonce(attributes.next())?;
        ignore(attributes)?;
        Ok(Self { without_proof, header, nonce, proof })
    }
}

impl<'a> ServerFirst<'a> {
    pub(crate) fn read(message: &'a [u8]) -> Result<Self, Fault> {
        let text = text(message)?;
        if text.starts_with("m=") {
            return Err(Fault::Extension);
        }
        let mut attributes = text.split(',');
        let nonce = nonce(attributes.next())?;
        let salt = bytes(value(attributes.next(), "s")?)?;
        let iterations = value(attributes.next(), "i")?;
        let is_number = iterations.bytes().all(|byte| byte.is_ascii_digit()) && !iterations.starts_with('0');
        if !is_number || salt.is_empty() {
            return Err(Fault::Malformed);
        }
        // What is no u32 is a number all the same, and too large.
        let iterations = iterations.parse().unwrap_or(u32::MAX);
        ignore(attributes)?;
        Ok(Self { nonce, salt, iterations })
    }
}

/// The signature in what the server says last; a refusal in its words is one.
pub(crate) fn server_final(message: &[u8]) -> Result<Vec<u8>, Fault> {
    let text = text(message)?;
    if text.starts_with("e=") {
        return Err(Fault::Proof);
    }
    let mut attributes = text.split(',');
    let signature = bytes(value(attributes.next(), "v")?)?;
    ignore(attributes)?;
    Ok(signature)
}
