//! Secrets of a control plane that lives for minutes: the key that signs ServiceAccount tokens, and bearer tokens.

use anyhow::{Context as _, Result};
use pem::Pem;
use ring::{
    rand::{SecureRandom as _, SystemRandom},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};

/// A P-256 key pair as the API server and the controller manager read it.
pub(super) struct SigningKey {
    /// PKCS #8.
    pub(super) private_pem: String,
    /// `SubjectPublicKeyInfo`.
    pub(super) public_pem: String,
}

/// The DER in front of an uncompressed P-256 point that makes it a `SubjectPublicKeyInfo` (RFC 5480): two sequences, the
/// object identifiers `id-ecPublicKey` and `prime256v1`, and the head of a bit string of 65 bytes.
const P256_SPKI_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

impl SigningKey {
    pub(super) fn generate() -> Result<Self> {
        let random = SystemRandom::new();
        let private = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .ok()
            .context("cannot generate a signing key")?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private.as_ref(), &random)
            .ok()
            .context("cannot read back the signing key")?;
        let public = [P256_SPKI_HEAD.as_slice(), pair.public_key().as_ref()].concat();
        Ok(Self {
            private_pem: pem::encode(&Pem::new("PRIVATE KEY", private.as_ref())),
            public_pem: pem::encode(&Pem::new("PUBLIC KEY", public)),
        })
    }
}

/// A bearer token that nobody guesses.
pub(super) fn token() -> Result<String> {
    Ok(hex(&random_bytes::<16>()?))
}

/// A few letters that set one run's names apart from another's.
pub(crate) fn nonce() -> Result<String> {
    Ok(hex(&random_bytes::<3>()?))
}

fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).ok().context("the system gives no random numbers")?;
    Ok(bytes)
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
