//! TLS to a checked address: why a handshake fails, and TLS for requests that contain no secret.

use std::{io, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime},
};

/// Why there is no TLS. It has no text of the other side, which rustls' own message repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TlsFailure {
    /// Nobody known has signed its certificate.
    UnknownIssuer,
    /// Its certificate is for another name.
    AnotherName,
    Expired,
    NotValidYet,
    /// Its certificate is invalid for another reason.
    InvalidCertificate,
    /// It speaks TLS, but not with this client. It may require a certificate of the client.
    Rejected,
    /// It does not speak TLS, or the handshake is malformed.
    Malformed,
}

/// Why TLS failed, if it was TLS that failed.
pub(super) fn failure(error: &io::Error) -> Option<TlsFailure> {
    let Some(error) = error.get_ref().and_then(|error| error.downcast_ref::<Error>()) else {
        // rustls has read more than it keeps.
        return (error.kind() == io::ErrorKind::InvalidData).then_some(TlsFailure::Malformed);
    };
    Some(match error {
        Error::InvalidCertificate(why) => match why {
            CertificateError::UnknownIssuer => TlsFailure::UnknownIssuer,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TlsFailure::AnotherName
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFailure::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => TlsFailure::NotValidYet,
            _ => TlsFailure::InvalidCertificate,
        },
        Error::AlertReceived(_) => TlsFailure::Rejected,
        _ => TlsFailure::Malformed,
    })
}

/// TLS that verifies nothing. It is for requests that contain no secret and of whose response only the class is kept.
/// So an attacker on the network learns and changes no more than the Pod itself could. Inside a cluster, the operator
/// does not know the issuers of most certificates.
///
/// Fails if rustls is built without a protocol version.
pub(crate) fn unverified() -> Result<Arc<ClientConfig>, Error> {
    let builder = ClientConfig::builder_with_provider(ring::default_provider().into());
    let builder = builder.with_safe_default_protocol_versions()?.dangerous();
    let mut config = builder.with_custom_certificate_verifier(Arc::new(Unverified)).with_no_client_auth();
    // No handshake reuses data of an earlier one.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// Takes every certificate. rustls has not parsed it, so a malformed one is taken as well.
#[derive(Debug)]
struct Unverified;

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    /// All of them, because the server chooses one that fits its key. Old keys can only use the last ones.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::ECDSA_NISTP384_SHA384,
            SignatureScheme::ECDSA_NISTP521_SHA512,
            SignatureScheme::ED25519,
            SignatureScheme::ED448,
            SignatureScheme::RSA_PSS_SHA256,
            SignatureScheme::RSA_PSS_SHA384,
            SignatureScheme::RSA_PSS_SHA512,
            SignatureScheme::RSA_PKCS1_SHA256,
            SignatureScheme::RSA_PKCS1_SHA384,
            SignatureScheme::RSA_PKCS1_SHA512,
            SignatureScheme::ECDSA_SHA1_Legacy,
            SignatureScheme::RSA_PKCS1_SHA1,
        ]
    }
}

#[cfg(test)]
mod tests;
