//! Opens what listeners ask to find out who may connect, and strings it together for each of them. Not the asking.

use std::sync::Arc;

use crate::{
    auth::{Anonymous, Authenticator, Certificate, Chain, PasswordFile, Tokens},
    broker::Error,
    config::{Config, Listener, Method, Methods},
    mapping,
};

/// Everything that was opened at the start; a reload strings it together anew.
#[derive(Clone)]
pub(crate) struct Authenticators {
    pub(crate) passwords: Option<Arc<PasswordFile>>,
    /// Without issuers as long as the configuration names none.
    pub(crate) tokens: Arc<Tokens>,
}

impl Authenticators {
    /// Opens what the listeners of this configuration ask.
    pub(crate) fn open(config: &Config) -> Result<Authenticators, Error> {
        let asks = |listener: &&Listener| config.methods(listener).has(Method::PasswordFile);
        let asking = config.listeners.iter().find(asks);
        let passwords = asking.map(|listener| password_file(config, listener)).transpose()?;
        let (at_once, waiting_max) = mapping::verifications(config);
        let tokens = Arc::new(Tokens::open(mapping::tokens(config), at_once, waiting_max)?);
        Ok(Authenticators { passwords, tokens })
    }

    /// Who decides at a listener.
    pub(crate) fn chain(
        &self,
        listener: &Listener,
        methods: &Methods,
    ) -> Result<Arc<dyn Authenticator>, Error> {
        let mut members = Vec::new();
        for method in methods.iter() {
            members.push(self.member(listener, method)?);
        }
        Ok(match <[_; 1]>::try_from(members) {
            Ok([only]) => only,
            Err(members) => Arc::new(Chain::new(members)),
        })
    }

    fn member(&self, listener: &Listener, method: Method) -> Result<Arc<dyn Authenticator>, Error> {
        Ok(match method {
            Method::Anonymous => Arc::new(Anonymous),
            Method::Certificate => Arc::new(Certificate),
            Method::PasswordFile => match &self.passwords {
                Some(passwords) => passwords.clone(),
                None => return Err(Error::PasswordsAfterRestart { listener: listener.label() }),
            },
            Method::Token => self.tokens.clone(),
        })
    }
}

fn password_file(config: &Config, listener: &Listener) -> Result<Arc<PasswordFile>, Error> {
    let Some(options) = mapping::password_file(config) else {
        return Err(Error::NoPasswordFile { listener: listener.label() });
    };
    let (passwords, warnings) = PasswordFile::open(&options)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Ok(Arc::new(passwords))
}
