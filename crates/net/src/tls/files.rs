//! Certificates, keys and revocation lists out of PEM files, each with the line at which it begins. Not their use.

use std::{fs, path::Path};

use rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer,
    pem::{self, SectionKind, SliceIter},
};

use sha2::{Digest, Sha256};

use super::{TlsFault, certificate::Names};

/// The largest file that is read: the trusted CAs of a whole system are a quarter of a megabyte.
const BYTES_MAX: u64 = 16 << 20;

/// A file as it was read. It may hold a key, so it is never printed.
pub(super) struct PemFile {
    pub(super) path: Box<Path>,
    bytes: Vec<u8>,
}

/// One section of a file and the line of its BEGIN.
struct Section {
    kind: SectionKind,
    der: Vec<u8>,
    line: usize,
}

impl PemFile {
    pub(super) fn read(path: &Path) -> Result<PemFile, TlsFault> {
        let unreadable = |source| TlsFault::Unreadable { path: path.to_owned(), source };
        let length = fs::metadata(path).map_err(unreadable)?.len();
        if length > BYTES_MAX {
            let source = std::io::Error::other(format!("it has {length} bytes, more than {BYTES_MAX}"));
            return Err(unreadable(source));
        }
        Ok(PemFile { path: path.into(), bytes: fs::read(path).map_err(unreadable)? })
    }

    /// What tells this content from another.
    pub(super) fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.bytes).into()
    }

    /// Every certificate, in the order of the file; at least one.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
        let mut found = Vec::new();
        for section in self.sections()?.into_iter().filter(|section| section.kind == SectionKind::Certificate)
        {
            let certificate = CertificateDer::from(section.der);
            if Names::of(&certificate).is_none() {
                let reason = "this is no certificate: its content is broken".to_owned();
                return Err(self.unusable(section.line, reason));
            }
            found.push(certificate);
        }
        if found.is_empty() { Err(self.missing("certificate", "")) } else { Ok(found) }
    }

    /// The first private key.
    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>, TlsFault> {
        for section in self.sections()? {
            match section.kind {
                SectionKind::PrivateKey => return Ok(PrivateKeyDer::Pkcs8(section.der.into())),
                SectionKind::RsaPrivateKey => return Ok(PrivateKeyDer::Pkcs1(section.der.into())),
                SectionKind::EcPrivateKey => return Ok(PrivateKeyDer::Sec1(section.der.into())),
                _ => {}
            }
        }
        let text = String::from_utf8_lossy(&self.bytes);
        let hint = if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED")
        {
            "; it is locked by a password: `openssl pkey -in FILE -out OTHER` writes it without"
        } else if text.contains("BEGIN CERTIFICATE") {
            ": that is a file of certificates; name the file of the key"
        } else {
            ""
        };
        Err(self.missing("private key", hint))
    }

    /// Every list of revoked certificates; at least one.
    pub(super) fn revocations(&self) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsFault> {
        let lists: Vec<_> = self
            .sections()?
            .into_iter()
            .filter(|section| section.kind == SectionKind::Crl)
            .map(|section| CertificateRevocationListDer::from(section.der))
            .collect();
        if lists.is_empty() { Err(self.missing("revocation list (X509 CRL)", "")) } else { Ok(lists) }
    }

    /// The line at which certificate or list number `index` begins.
    pub(super) fn unusable_at(&self, index: usize, reason: String) -> TlsFault {
        let line = self.begins().nth(index).unwrap_or(1);
        self.unusable(line, reason)
    }

    fn sections(&self) -> Result<Vec<Section>, TlsFault> {
        let mut begins = self.begins();
        let mut found = Vec::new();
        for section in SliceIter::<(SectionKind, Vec<u8>)>::new(&self.bytes) {
            let line = begins.next().unwrap_or(1);
            match section {
                Ok((kind, der)) => found.push(Section { kind, der, line }),
                Err(error) => {
                    let path = self.path.to_path_buf();
                    return Err(TlsFault::Pem { path, line, reason: reason(&error) });
                }
            }
        }
        Ok(found)
    }

    /// The lines on which sections of a known kind begin.
    fn begins(&self) -> impl Iterator<Item = usize> + '_ {
        let known = |line: &[u8]| {
            let label = line.trim_ascii().strip_prefix(b"-----BEGIN ")?.strip_suffix(b"-----")?;
            SectionKind::try_from(label).ok()
        };
        let lines = self.bytes.split(|byte| *byte == b'\n');
        (1..).zip(lines).filter(move |(_, line)| known(line).is_some()).map(|(number, _)| number)
    }

    fn missing(&self, wanted: &'static str, hint: &'static str) -> TlsFault {
        TlsFault::Missing { path: self.path.to_path_buf(), wanted, hint }
    }

    fn unusable(&self, line: usize, reason: String) -> TlsFault {
        TlsFault::Unusable { path: self.path.to_path_buf(), line, reason }
    }
}

fn reason(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "its END line is missing".to_owned(),
        pem::Error::IllegalSectionStart { .. } => "its BEGIN line is broken".to_owned(),
        pem::Error::Base64Decode(_) => "what stands in it is no base64".to_owned(),
        other => other.to_string(),
    }
}
