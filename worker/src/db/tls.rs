//! TLS to PostgreSQL: what is proven of the server's certificate, and what SCRAM binds to it. Knows rustls; nothing of
//! sockets or messages.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::files::Files;

/// What must be proven of the server's certificate (libpq's sslmode).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verify {
    /// `prefer`, `require`: encryption only.
    Nothing,
    /// `verify-ca`: a trusted authority signed it.
    Chain,
    /// `verify-full`: and it names the host.
    ChainAndName,
}

/// Whom to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Roots {
    None,
    System,
    File(PathBuf),
}

/// How one database's connections are encrypted.
pub(super) struct Tls {
    config: Arc<ClientConfig>,
    /// A server without TLS is refused.
    pub(super) required: bool,
    /// `sslnegotiation=direct`: no SSLRequest, TLS from the first byte (PostgreSQL 17).
    pub(super) direct: bool,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("required", &self.required)
            .field("direct", &self.direct)
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the roots, once and for good. An error says which file and what to do.
    pub(super) fn new(
        verify: Verify,
        roots: &Roots,
        required: bool,
        direct: bool,
        files: &Files,
    ) -> Result<Tls, String> {
        let provider = Arc::new(ring::default_provider());
        let (roots, pinned) = load(roots, files)?;
        let verifier = ServerProof {
            verify,
            roots,
            pinned,
            provider: Arc::clone(&provider),
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|fault| format!("TLS cannot be set up: {fault}"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        // The name that PostgreSQL 17 asks for in a direct handshake; older servers ignore it.
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(Tls {
            config: Arc::new(config),
            required,
            direct,
        })
    }

    /// The same rules for a client that makes its own sessions.
    pub(super) fn config(&self) -> ClientConfig {
        ClientConfig::clone(&self.config)
    }

    /// A new session towards the server named.
    pub(super) fn session(&self, name: &ServerName<'static>) -> Result<ClientConnection, Error> {
        let mut session = ClientConnection::new(Arc::clone(&self.config), name.clone())?;
        // Our own output is bounded by the size of a call, so it can be taken whole.
        session.set_buffer_limit(None);
        Ok(session)
    }
}

/// The authorities, and the certificates of a root file: they may be the server's own, a self-signed certificate being
/// its own authority.
fn load(
    roots: &Roots,
    files: &Files,
) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), String> {
    let mut store = RootCertStore::empty();
    let mut pinned = Vec::new();
    match roots {
        Roots::None => {}
        Roots::System => {
            let found = files.system_roots().map_err(|fault| {
                format!("the system's root certificates cannot be read: {fault}")
            })?;
            store.add_parsable_certificates(found);
            if store.is_empty() {
                return Err("the system has no root certificates; install ca-certificates or set sslrootcert".to_string());
            }
        }
        Roots::File(path) => {
            pinned = certificates(path, files)?;
            for certificate in &pinned {
                // A certificate without the form of an authority can still be trusted as itself.
                let _ = store.add(certificate.clone());
            }
        }
    }
    Ok((store, pinned))
}

fn certificates(path: &Path, files: &Files) -> Result<Vec<CertificateDer<'static>>, String> {
    let fail = |fault: &dyn fmt::Display| {
        format!(
            "the root certificates of sslrootcert cannot be read from {}: {fault}",
            path.display()
        )
    };
    let pem = files
        .read(path)
        .map_err(|fault| fail(&format_args!("I/O error: {fault}")))?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|fault| fail(&fault))?;
    if found.is_empty() {
        return Err(format!(
            "{} has no certificate in PEM form; give sslrootcert a file that has",
            path.display()
        ));
    }
    Ok(found)
}

/// rustls asks it about the server's certificate. The handshake's own signature is always checked: whoever answers holds
/// the key of the certificate that was shown.
#[derive(Debug)]
struct ServerProof {
    verify: Verify,
    roots: RootCertStore,
    pinned: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for ServerProof {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.verify == Verify::Nothing {
            return Ok(ServerCertVerified::assertion());
        }
        let certificate = ParsedCertificate::try_from(end_entity)?;
        if !self.pinned.contains(end_entity) {
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                &self.roots,
                intermediates,
                now,
                algorithms,
            )?;
        }
        if self.verify == Verify::ChainAndName {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The `tls-server-end-point` binding of RFC 5929 section 4.1: the certificate's hash by the hash function of its own
/// signature, SHA-256 in place of MD5 and SHA-1. `None` for signatures that name no hash function (Ed25519).
pub(super) fn end_point_binding(session: &ClientConnection) -> Option<Vec<u8>> {
    let certificate = session.peer_certificates()?.first()?;
    Some(match signature_hash(certificate)? {
        Hash::Sha256 => Sha256::digest(certificate).to_vec(),
        Hash::Sha384 => Sha384::digest(certificate).to_vec(),
        Hash::Sha512 => Sha512::digest(certificate).to_vec(),
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OID, .. }, .. } (RFC 5280 section 4.1).
fn signature_hash(certificate: &[u8]) -> Option<Hash> {
    let (content, _) = der_value(certificate)?;
    let (_, after) = der_value(content)?;
    let (algorithm, _) = der_value(after)?;
    let (oid, _) = der_value(algorithm)?;
    match oid {
        // 1.2.840.113549.1.1.n: RSA PKCS #1 with MD5, SHA-1, SHA-256, SHA-384, SHA-512 (RFC 8017).
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 4 | 5 | 11] => Some(Hash::Sha256),
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 12] => Some(Hash::Sha384),
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 13] => Some(Hash::Sha512),
        // 1.2.840.10045.4.1 and .4.3.n: ECDSA with SHA-1, SHA-256, SHA-384, SHA-512 (RFC 5758).
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01]
        | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 2] => Some(Hash::Sha256),
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 3] => Some(Hash::Sha384),
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 4] => Some(Hash::Sha512),
        _ => None,
    }
}

/// The content of the first DER element of `bytes`, and what follows the element.
fn der_value(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = bytes.get(1..)?.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) = rest
            .split_at_checked(usize::from(first & 0x7f))
            .filter(|(digits, _)| digits.len() <= 4)?;
        (
            digits
                .iter()
                .fold(0, |length, &digit| length << 8 | usize::from(digit)),
            rest,
        )
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binding_uses_the_signatures_hash() {
        let certificate = |oid: &[u8]| {
            let mut bytes = vec![
                0x30,
                0x81,
                (4 + 4 + oid.len()) as u8,
                0x30,
                0x02,
                0x05,
                0x00,
            ];
            bytes.extend([0x30, 2 + oid.len() as u8, 0x06, oid.len() as u8]);
            bytes.extend(oid);
            bytes
        };
        let rsa = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
        let table = [
            (5, Some(Hash::Sha256)),
            (11, Some(Hash::Sha256)),
            (12, Some(Hash::Sha384)),
            (13, Some(Hash::Sha512)),
            (10, None),
        ];
        for (last, expected) in table {
            assert_eq!(
                signature_hash(&certificate(&[&rsa[..], &[last]].concat())),
                expected
            );
        }
        let ecdsa = certificate(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 3]);
        assert_eq!(signature_hash(&ecdsa), Some(Hash::Sha384));
        for cut in 0..ecdsa.len() {
            assert_eq!(signature_hash(&ecdsa[..cut]), None);
        }
    }
}
