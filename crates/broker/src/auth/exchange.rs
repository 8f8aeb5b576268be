//! A method of enhanced authentication (MQTT 5.0, section 4.12) as the connection that asks for it sees it: what the client
//! says goes in, what it is told comes out. Not a method.

use tokio::sync::oneshot;

use super::{Denial, Identity};

/// One client's exchange by a method, from its first data to the verdict. It is forgotten with the verdict; who
/// authenticates again begins another one.
pub trait Exchange: Send {
    /// Takes what the client says: the first time in CONNECT or in the AUTH that begins anew, then in each AUTH. Never
    /// blocks and never takes longer than a few microseconds: anything slower is a [`Said::Later`].
    fn hear(&mut self, data: Option<&[u8]>) -> Said;

    /// Whether what the client says next may be somebody's guess, of which there are only so many.
    fn is_guess(&self) -> bool;

    /// Whom the client claims to be, as soon as it has said so.
    fn user_name(&self) -> Option<&str>;
}

/// What an [`Exchange`] says to what it has heard.
#[derive(Debug)]
pub enum Said {
    /// It is known.
    Now(Step),
    /// It comes by this channel. When the channel closes without it, the method has been shut down, and the client is
    /// told that the server is busy.
    Later(oneshot::Receiver<Step>),
}

/// One step of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The client is given this, and has to say more.
    Continue(Vec<u8>),
    /// The client may connect, this is who it is, and it is given what proves the server to it, if the method does.
    Allow(Identity, Option<Vec<u8>>),
    /// It may not.
    Deny(Denial),
}
