//! The authenticator that asks nobody for anything. Not a fallback behind another one.

use super::{Answer, Authenticator, Credentials, Identity, Verdict};

/// Lets every client in. A user name or password that a client sends is neither checked nor kept: an
/// identity carries only a name that was proved.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anonymous;

impl Authenticator for Anonymous {
    fn is_guess(&self, _credentials: &Credentials) -> bool {
        false
    }

    fn authenticate(&self, _credentials: Credentials) -> Answer {
        Answer::Now(Verdict::Allow(Identity::default()))
    }
}

#[cfg(test)]
mod tests {
    use super::Anonymous;
    use crate::auth::{Answer, Authenticator, Credentials, Identity, Secret, Verdict};

    #[test]
    fn anonymous_lets_everybody_in_and_believes_no_name() {
        for user_name in [None, Some("alice".into())] {
            let password = Some(Secret::from(&b"anything"[..]));
            let credentials = Credentials { user_name, password, ..Credentials::default() };
            let Answer::Now(verdict) = Anonymous.authenticate(credentials) else {
                panic!("an anonymous client is not made to wait");
            };
            assert_eq!(verdict, Verdict::Allow(Identity::default()));
        }
    }
}
