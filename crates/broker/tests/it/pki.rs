//! Certificates made for one test: CAs, what they issue, what they revoke. Files in a folder of the test's own.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
    date_time_ymd,
};

/// A CA.
pub(super) struct Ca(CertifiedIssuer<'static, KeyPair>);

/// What is unusual about a certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    Nothing,
    Expired,
    NotYetValid,
    /// For the other role.
    Purpose,
}

/// A certificate in a file and its key in another.
#[derive(Clone)]
pub(super) struct Pair {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl Ca {
    pub(super) fn new(name: &str) -> Ca {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ca(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its own certificate.
    pub(super) fn write(&self, path: &Path) -> PathBuf {
        fs::write(path, self.0.pem()).unwrap();
        path.to_owned()
    }

    /// A server's certificate for localhost.
    pub(super) fn server(&self, folder: &Path, name: &str) -> Pair {
        self.issue(
            folder,
            name,
            &["localhost", "127.0.0.1"],
            ExtendedKeyUsagePurpose::ServerAuth,
            Flaw::Nothing,
        )
    }

    /// A client's certificate; its serial number is made of its name.
    pub(super) fn client(&self, folder: &Path, name: &str, flaw: Flaw) -> Pair {
        let purpose = match flaw {
            Flaw::Purpose => ExtendedKeyUsagePurpose::ServerAuth,
            _ => ExtendedKeyUsagePurpose::ClientAuth,
        };
        self.issue(folder, name, &[], purpose, flaw)
    }

    fn issue(
        &self,
        folder: &Path,
        name: &str,
        names: &[&str],
        purpose: ExtendedKeyUsagePurpose,
        flaw: Flaw,
    ) -> Pair {
        let mut params = params(name, names, purpose);
        match flaw {
            Flaw::Expired => params.not_after = date_time_ymd(2020, 1, 1),
            Flaw::NotYetValid => params.not_before = date_time_ymd(3000, 1, 1),
            Flaw::Nothing | Flaw::Purpose => {}
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap().pem();
        write_pair(folder, name, &certificate, &key)
    }

    /// The list of the certificates that it has revoked, by name.
    pub(super) fn write_crl(&self, path: &Path, revoked: &[&str]) -> PathBuf {
        let revoked = revoked.iter().map(|name| RevokedCertParams {
            serial_number: serial(name),
            revocation_time: date_time_ymd(2021, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2021, 1, 1),
            next_update: date_time_ymd(3000, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        fs::write(path, list.signed_by(&self.0).unwrap().pem().unwrap()).unwrap();
        path.to_owned()
    }
}

/// A client's certificate that nobody but itself has signed.
pub(super) fn self_signed(folder: &Path, name: &str) -> Pair {
    let key = KeyPair::generate().unwrap();
    let params = params(name, &[], ExtendedKeyUsagePurpose::ClientAuth);
    let certificate = params.self_signed(&key).unwrap().pem();
    write_pair(folder, name, &certificate, &key)
}

fn params(name: &str, names: &[&str], purpose: ExtendedKeyUsagePurpose) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(serial(name));
    params.extended_key_usages = vec![purpose];
    params.use_authority_key_identifier_extension = true;
    params
}

fn serial(name: &str) -> SerialNumber {
    SerialNumber::from([&[1], name.as_bytes()].concat())
}

fn write_pair(folder: &Path, name: &str, certificate: &str, key: &KeyPair) -> Pair {
    let pair =
        Pair { certificate: folder.join(format!("{name}.pem")), key: folder.join(format!("{name}.key")) };
    fs::write(&pair.certificate, certificate).unwrap();
    fs::write(&pair.key, key.serialize_pem()).unwrap();
    pair
}
