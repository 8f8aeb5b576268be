//! Several authenticators asked in their order: the first for which what a client gave is of its kind decides, and its word
//! is the last. Not what any of them asks for.

use std::sync::Arc;

use super::{Answer, Authenticator, Credentials, Denial, Exchange, Verdict};

/// The authenticators of a listener. What none of them is there for is refused.
pub struct Chain(Vec<Arc<dyn Authenticator>>);

impl Chain {
    /// The first is asked first.
    pub fn new(members: Vec<Arc<dyn Authenticator>>) -> Self {
        Self(members)
    }
}

impl Authenticator for Chain {
    fn is_for(&self, credentials: &Credentials) -> bool {
        self.0.iter().any(|member| member.is_for(credentials))
    }

    fn is_guess(&self, credentials: &Credentials) -> bool {
        self.0
            .iter()
            .find(|member| member.is_for(credentials))
            .is_some_and(|member| member.is_guess(credentials))
    }

    fn authenticate(&self, credentials: Credentials) -> Answer {
        match self.0.iter().find(|member| member.is_for(&credentials)) {
            Some(member) => member.authenticate(credentials),
            None => Answer::Now(Verdict::Deny(match credentials.user_name {
                None => Denial::NotAuthorized,
                Some(_) => Denial::BadUserNameOrPassword,
            })),
        }
    }

    fn begin(&self, method: &str) -> Option<Box<dyn Exchange>> {
        self.0.iter().find_map(|member| member.begin(method))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::Chain;
    use crate::auth::{Answer, Authenticator, Credentials, Denial, Identity, Secret, Verdict};

    /// Is there for one password, and lets in or refuses whoever has it.
    struct Stub {
        password: &'static [u8],
        allows: bool,
        asked: AtomicUsize,
    }

    impl Authenticator for Stub {
        fn is_for(&self, credentials: &Credentials) -> bool {
            credentials.password.as_ref().is_some_and(|given| given.expose() == self.password)
        }

        fn authenticate(&self, _: Credentials) -> Answer {
            self.asked.fetch_add(1, Relaxed);
            Answer::Now(match self.allows {
                true => Verdict::Allow(Identity::named(Arc::from("somebody"))),
                false => Verdict::Deny(Denial::NotAuthorized),
            })
        }
    }

    fn stub(password: &'static [u8], allows: bool) -> Arc<Stub> {
        Arc::new(Stub { password, allows, asked: AtomicUsize::new(0) })
    }

    fn ask(chain: &Chain, user_name: Option<&str>, password: &[u8]) -> Verdict {
        let user_name = user_name.map(Into::into);
        let password = Some(Secret::from(password));
        match chain.authenticate(Credentials { user_name, password, ..Credentials::default() }) {
            Answer::Now(verdict) => verdict,
            Answer::Later(_) => panic!("nobody here takes time"),
        }
    }

    #[test]
    fn the_first_that_is_there_for_it_decides_and_nobody_behind_it_is_asked() {
        let (first, second, third) = (stub(b"a", true), stub(b"b", false), stub(b"b", true));
        let chain = Chain::new(vec![first.clone(), second.clone(), third.clone()]);
        assert!(matches!(ask(&chain, None, b"a"), Verdict::Allow(_)));
        assert_eq!(
            ask(&chain, None, b"b"),
            Verdict::Deny(Denial::NotAuthorized),
            "a refusal is the last word"
        );
        let asked = [first, second, third].map(|stub| stub.asked.load(Relaxed));
        assert_eq!(asked, [1, 1, 0]);
    }

    #[test]
    fn what_nobody_is_there_for_is_refused() {
        for chain in [Chain::new(vec![stub(b"a", true)]), Chain::new(Vec::new())] {
            assert_eq!(ask(&chain, Some("alice"), b"c"), Verdict::Deny(Denial::BadUserNameOrPassword));
            assert_eq!(ask(&chain, None, b"c"), Verdict::Deny(Denial::NotAuthorized));
        }
    }
}
