//! TLS for the server: from settings to what rustls takes, and the verifier of clients' certificates.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::ring::{cipher_suite, default_provider, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
    SupportedCipherSuite, version,
};
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use crate::parse::webconfig::{ClientAuth, Curve, Pem, Suite, TlsSettings};

/// The name of HTTP/2 in the negotiation of protocols (RFC 9113, 3.2).
pub(super) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// Why TLS can't be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    #[error(
        "failed to read {what}_file ({path}): {source}; it has to be a regular file that the exporter's user can read"
    )]
    Read { what: &'static str, path: String, source: io::Error },
    #[error("no certificate in {0}; give a PEM file with the server's certificate, then its issuers'")]
    NoCertificate(String),
    #[error("no private key in {0}; give a PEM file with the key of the certificate, without a passphrase")]
    NoKey(String),
    #[error("the certificate and the key can't be used: {0}; give a key that belongs to the certificate")]
    Pair(rustls::Error),
    #[error("the client CAs can't be used: {0}; give PEM certificates")]
    ClientCa(String),
    #[error("TLS can't be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// What rustls needs for `settings`, and what is to be warned of. Reads the files that they name.
///
/// # Errors
/// When a file can't be read, or does not hold what it should.
pub(super) fn server_config(
    settings: &TlsSettings,
    http2: bool,
) -> Result<(Arc<ServerConfig>, Option<String>), TlsError> {
    let provider = Arc::new(provider(settings));
    let versions: Vec<_> = [(settings.tls13, &version::TLS13), (settings.tls12, &version::TLS12)]
        .into_iter()
        .filter_map(|(is_spoken, version)| is_spoken.then_some(version))
        .collect();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(&versions)?;
    let (verifier, warning) = verifier(settings, &provider)?;
    let builder = match verifier {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(verifier),
    };
    let mut config = builder.with_single_cert(chain(settings)?, key(settings)?).map_err(TlsError::Pair)?;
    config.ignore_client_order = settings.prefer_server_order;
    config.alpn_protocols = if http2 { vec![HTTP2.to_vec(), HTTP1.to_vec()] } else { vec![HTTP1.to_vec()] };
    Ok((Arc::new(config), warning))
}

fn provider(settings: &TlsSettings) -> CryptoProvider {
    let mut provider = default_provider();
    if !settings.suites.is_empty() {
        let is_tls13 = |suite: &SupportedCipherSuite| suite.tls13().is_some();
        provider.cipher_suites.retain(is_tls13);
        provider.cipher_suites.extend(settings.suites.iter().map(|suite| suite_of(*suite)));
    }
    if !settings.curves.is_empty() {
        provider.kx_groups = settings.curves.iter().map(|curve| group_of(*curve)).collect();
    }
    provider
}

fn suite_of(suite: Suite) -> SupportedCipherSuite {
    match suite {
        Suite::EcdheEcdsaAes128Gcm => cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        Suite::EcdheEcdsaAes256Gcm => cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        Suite::EcdheEcdsaChacha20 => cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        Suite::EcdheRsaAes128Gcm => cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        Suite::EcdheRsaAes256Gcm => cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        Suite::EcdheRsaChacha20 => cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    }
}

fn group_of(curve: Curve) -> &'static dyn SupportedKxGroup {
    match curve {
        Curve::P256 => kx_group::SECP256R1,
        Curve::P384 => kx_group::SECP384R1,
        Curve::X25519 => kx_group::X25519,
    }
}

/// The bytes of `pem`, and what errors call it.
fn bytes(pem: &Pem, what: &'static str) -> Result<(Vec<u8>, String), TlsError> {
    match pem {
        Pem::Inline(text) => Ok((text.clone().into_bytes(), what.to_owned())),
        Pem::File(path) => {
            let name = format!("{what}_file ({})", path.display());
            let read = |source| TlsError::Read { what, path: path.display().to_string(), source };
            Ok((super::config::read_file(path).map_err(read)?, name))
        }
    }
}

fn chain(settings: &TlsSettings) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let (bytes, name) = bytes(&settings.certificate, "cert")?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&bytes).filter_map(Result::ok).collect();
    if chain.is_empty() { Err(TlsError::NoCertificate(name)) } else { Ok(chain) }
}

fn key(settings: &TlsSettings) -> Result<PrivateKeyDer<'static>, TlsError> {
    let (bytes, name) = bytes(&settings.key, "key")?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| TlsError::NoKey(name))
}

/// A verifier, unless no certificate is requested, and a warning.
type Asked = (Option<Arc<dyn ClientCertVerifier>>, Option<String>);

fn verifier(settings: &TlsSettings, provider: &Arc<CryptoProvider>) -> Result<Asked, TlsError> {
    let is_verified = match settings.client_auth {
        ClientAuth::None => return Ok((None, None)),
        ClientAuth::Request | ClientAuth::RequireAny => false,
        ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify => true,
    };
    let is_mandatory = settings.requires_client_certificate();
    let mut warning = None;
    let trusted = if is_verified { Some(trusted(settings, provider, &mut warning)?) } else { None };
    let verifier =
        Verifier { provider: Arc::clone(provider), is_mandatory, trusted, allowed_sans: settings.allowed_sans.clone() };
    Ok((Some(Arc::new(verifier)), warning))
}

fn trusted(
    settings: &TlsSettings,
    provider: &Arc<CryptoProvider>,
    warning: &mut Option<String>,
) -> Result<Trusted, TlsError> {
    let certificates: Vec<_> = match &settings.client_ca {
        None => rustls_native_certs::load_native_certs().certs,
        Some(pem) => {
            let (bytes, _) = bytes(pem, "client_ca")?;
            CertificateDer::pem_slice_iter(&bytes).filter_map(Result::ok).collect()
        }
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates.iter().cloned());
    if roots.is_empty() {
        *warning = Some("there is no certificate among the client CAs: every client certificate is refused".to_owned());
        return Ok(Trusted { authorities: None, themselves: Vec::new() });
    }
    let authorities = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .allow_unauthenticated()
        .build()
        .map_err(|error| TlsError::ClientCa(error.to_string()))?;
    let themselves = if settings.client_ca.is_some() { certificates } else { Vec::new() };
    Ok(Trusted { authorities: Some(authorities), themselves })
}

/// Whose certificates are trusted.
#[derive(Debug)]
struct Trusted {
    authorities: Option<Arc<dyn ClientCertVerifier>>,
    /// A certificate that is itself among the client CAs is trusted: a client with a self-signed one.
    themselves: Vec<CertificateDer<'static>>,
}

/// Asks clients for a certificate, and judges it.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    is_mandatory: bool,
    /// None: any certificate will do.
    trusted: Option<Trusted>,
    allowed_sans: Option<Vec<String>>,
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.is_mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        let authorities = self.trusted.as_ref().and_then(|trusted| trusted.authorities.as_ref());
        authorities.map_or(&[], |authorities| authorities.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if let Some(trusted) = &self.trusted {
            trusted.verify(end_entity, intermediates, now)?;
        }
        match &self.allowed_sans {
            Some(allowed) if !names_of(end_entity)?.iter().any(|name| allowed.contains(name)) => {
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
            _ => Ok(ClientCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl Trusted {
    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        if self.themselves.iter().any(|trusted| trusted == end_entity) {
            return in_time(end_entity, now);
        }
        let authorities = self.authorities.as_ref().ok_or(CertificateError::UnknownIssuer)?;
        authorities.verify_client_cert(end_entity, intermediates, now).map(|_| ())
    }
}

fn in_time(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), rustls::Error> {
    let (_, parsed) = parse_x509_certificate(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let validity = parsed.validity();
    if now < validity.not_before.timestamp() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > validity.not_after.timestamp() {
        return Err(CertificateError::Expired.into());
    }
    Ok(())
}

/// The subject alternative names of a certificate: DNS names, e-mail addresses, IP addresses, URIs.
fn names_of(certificate: &CertificateDer<'_>) -> Result<Vec<String>, rustls::Error> {
    let bad = |_| rustls::Error::from(CertificateError::BadEncoding);
    let (_, parsed) = parse_x509_certificate(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let Some(extension) = parsed.subject_alternative_name().map_err(|error| bad(error.to_string()))? else {
        return Ok(Vec::new());
    };
    Ok(extension.value.general_names.iter().filter_map(name_of).collect())
}

fn name_of(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv4Addr::from(bytes).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        },
        _ => None,
    }
}

/// The files that `settings` name.
pub(super) fn files(settings: &TlsSettings) -> impl Iterator<Item = &Path> {
    let all = [Some(&settings.certificate), Some(&settings.key), settings.client_ca.as_ref()];
    all.into_iter().flatten().filter_map(|pem| match pem {
        Pem::File(path) => Some(path.as_path()),
        Pem::Inline(_) => None,
    })
}
