//! The authenticator that takes the word of a client's certificate. Not the certificate, which TLS has verified before.

use super::{Answer, Authenticator, Credentials, Denial, Identity, Verdict};

/// Lets in whoever has a certificate that says who it is, under the name that stands there: whatever user name and password
/// the CONNECT has. Who has none is somebody else's affair.
#[derive(Clone, Copy, Debug, Default)]
pub struct Certificate;

impl Authenticator for Certificate {
    fn is_for(&self, credentials: &Credentials) -> bool {
        credentials.certificate.is_some()
    }

    fn is_guess(&self, _credentials: &Credentials) -> bool {
        false
    }

    fn authenticate(&self, credentials: Credentials) -> Answer {
        Answer::Now(match credentials.certificate {
            Some(name) => Verdict::Allow(Identity::named(name)),
            None => Verdict::Deny(Denial::NotAuthorized),
        })
    }
}
