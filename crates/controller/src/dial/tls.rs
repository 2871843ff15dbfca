//! TLS: why a handshake fails, and a configuration for requests that contain no secret.

use std::{io, sync::Arc};

use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime},
};

/// Why TLS failed. It contains no text of the server, unlike the messages of rustls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TlsFailure {
    /// The issuer of the certificate is unknown.
    UnknownIssuer,
    /// The certificate is for another name.
    AnotherName,
    Expired,
    NotValidYet,
    /// The certificate is invalid for another reason.
    InvalidCertificate,
    /// The server requires a client certificate.
    NoClientCertificate,
    /// The server uses TLS, but rejected the connection.
    Rejected,
    /// The server does not use TLS, or the handshake is malformed.
    Malformed,
}

/// Why TLS failed. `None` if the error does not come from TLS.
pub(super) fn failure(error: &io::Error) -> Option<TlsFailure> {
    let Some(error) = error.get_ref().and_then(|error| error.downcast_ref::<Error>()) else {
        // rustls reports this if the server sends more than its buffer holds.
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
        Error::AlertReceived(alert) => match alert {
            // OpenSSL sends the first one before TLS 1.3. Others mean that the certificate is missing or unknown.
            AlertDescription::HandshakeFailure
            | AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied => TlsFailure::NoClientCertificate,
            _ => TlsFailure::Rejected,
        },
        _ => TlsFailure::Malformed,
    })
}

/// A configuration that verifies nothing, because the operator does not know the issuers of most certificates in a
/// cluster.
///
/// It is only for requests that contain no secret, and if only the class of the response is kept. So an attacker on the
/// network learns and changes no more than the Pod itself could.
///
/// Fails if rustls is built without a protocol version.
pub(crate) fn unverified() -> Result<Arc<ClientConfig>, Error> {
    let builder = ClientConfig::builder_with_provider(ring::default_provider().into());
    let builder = builder.with_safe_default_protocol_versions()?.dangerous();
    let mut config = builder.with_custom_certificate_verifier(Arc::new(Unverified)).with_no_client_auth();
    // No handshake reuses data of an earlier connection.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// Accepts every certificate, even a malformed one, because rustls does not parse it before.
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

    /// All schemes, because the server chooses a scheme that fits its key. Old keys need the last schemes.
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
