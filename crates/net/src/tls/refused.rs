//! The verifiers of both sides: the library's own, which say no, and a note of whose certificate it was.
//!
//! The library's error carries neither the certificate nor its names, and another error would send the peer another
//! alert. So the names are left on the thread that verified: a handshake's step and the look at its error are one
//! poll, and nothing else verifies on that thread in between.

use std::{cell::RefCell, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};

use super::{certificate::Names, pin::Pin};

thread_local! {
    static REFUSED: RefCell<Option<Refused>> = const { RefCell::new(None) };
}

/// A certificate that was not accepted.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    /// Nothing where it cannot be parsed.
    pub(super) names: Option<Names>,
    /// Whether it is a server's.
    pub(super) is_server: bool,
    /// The name under which a server was dialled.
    pub(super) wanted: Option<String>,
    /// What is wrong with it.
    pub(super) error: Error,
    /// The fingerprint, where another was wanted.
    pub(super) pin: Option<Pin>,
}

impl Refused {
    /// The certificate that this thread refused last, once.
    pub(super) fn take() -> Option<Refused> {
        REFUSED.take()
    }

    fn note(self) {
        REFUSED.set(Some(self));
    }
}

/// The client's view of servers.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    /// Absent where a fingerprint is all that counts.
    pub(super) chain: Option<Arc<dyn ServerCertVerifier>>,
    pub(super) pins: Vec<Pin>,
    pub(super) provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let pin = Pin::of(end_entity);
        let pinned = self.pins.is_empty() || self.pins.contains(&pin);
        let verified = match &self.chain {
            _ if !pinned => Err(CertificateError::ApplicationVerificationFailure.into()),
            Some(chain) => {
                chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            None => Ok(ServerCertVerified::assertion()),
        };
        verified.inspect_err(|error| {
            let refused = Refused {
                names: Names::of(end_entity),
                is_server: true,
                error: error.clone(),
                wanted: Some(server_name.to_str().into_owned()),
                pin: (!pinned).then_some(pin),
            };
            refused.note();
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// A listener's view of clients.
#[derive(Debug)]
pub(super) struct ClientVerifier(pub(super) Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for ClientVerifier {
    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.0.verify_client_cert(end_entity, intermediates, now).inspect_err(|error| {
            let names = Names::of(end_entity);
            Refused { names, is_server: false, wanted: None, error: error.clone(), pin: None }.note();
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
