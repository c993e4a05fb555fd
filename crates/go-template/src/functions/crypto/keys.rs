//! Private keys of the kinds that sprig makes: RSA, DSA, ECDSA on P-256, Ed25519.

use crypto_bigint::{BoxedUint, U1024, U2048};
use crypto_primes::Flavor;
use ed25519_dalek::Signer as _;
use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use rsa::traits::{PrivateKeyParts as _, PublicKeyParts as _};
use sha2_next::{Digest, Sha256};

use super::der::{self, DerError, Reader, tag};
use super::dsa::DsaKey;
use super::pem::Block;
use super::seeded::Seeded;

const RSA_ENCRYPTION: &[u32] = &[1, 2, 840, 113_549, 1, 1, 1];
const SHA256_WITH_RSA: &[u32] = &[1, 2, 840, 113_549, 1, 1, 11];
const EC_PUBLIC_KEY: &[u32] = &[1, 2, 840, 10_045, 2, 1];
const P256_CURVE: &[u32] = &[1, 2, 840, 10_045, 3, 1, 7];
const ECDSA_WITH_SHA256: &[u32] = &[1, 2, 840, 10_045, 4, 3, 2];
const ED25519: &[u32] = &[1, 3, 101, 112];
const SHA256: &[u32] = &[2, 16, 840, 1, 101, 3, 4, 2, 1];

const RSA_EXPONENT: u64 = 65_537;

/// Bits of the largest RSA key that is read: signing with a larger one takes too long.
const RSA_BITS_MAX: usize = 8_192;

/// A private key.
#[derive(Clone)]
pub(crate) enum PrivateKey {
    Rsa(Box<rsa::RsaPrivateKey>),
    Dsa(DsaKey),
    Ecdsa(p256::ecdsa::SigningKey),
    Ed25519(Box<ed25519_dalek::SigningKey>),
}

/// Bits of an RSA key that is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RsaBits {
    Bits2048,
    Bits4096,
}

/// Why there is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("no PEM data in input")]
    NoPem,
    #[error("no private key data in PEM block of type {0}")]
    NoPrivateKey(String),
    #[error("invalid private key type {0}")]
    UnknownType(String),
    #[error("decoding PEM as PKCS#8: {0}")]
    Pkcs8(String),
    #[error("parsing {kind} private key from PEM: {what}")]
    Parse { kind: &'static str, what: String },
    #[error("no prime was found")]
    NoPrime,
}

impl PrivateKey {
    /// Makes an RSA key.
    pub(crate) fn generate_rsa(bits: RsaBits, random: &mut Seeded) -> Result<Self, KeyError> {
        // Two equal or unfit primes are as likely as guessing one; a few turns are plenty.
        for _ in 0..8 {
            let mut prime = || -> BoxedUint {
                match bits {
                    RsaBits::Bits2048 => {
                        let prime: U1024 = rsa_prime(random, 1_024);
                        BoxedUint::from(&prime)
                    }
                    RsaBits::Bits4096 => {
                        let prime: U2048 = rsa_prime(random, 2_048);
                        BoxedUint::from(&prime)
                    }
                }
            };
            let (p, q) = (prime(), prime());
            if let Ok(key) = rsa::RsaPrivateKey::from_p_q(p, q, BoxedUint::from(RSA_EXPONENT)) {
                return Ok(Self::Rsa(Box::new(key)));
            }
        }
        Err(KeyError::NoPrime)
    }

    /// Makes a DSA key with parameters of its own.
    pub(crate) fn generate_dsa(random: &mut Seeded) -> Result<Self, KeyError> {
        DsaKey::generate(random).map(Self::Dsa).ok_or(KeyError::NoPrime)
    }

    /// Makes a key on P-256.
    pub(crate) fn generate_ecdsa(random: &mut Seeded) -> Result<Self, KeyError> {
        // Nearly every 32 bytes are a scalar of the curve.
        for _ in 0..64 {
            let mut bytes = [0; 32];
            random.fill(&mut bytes);
            if let Ok(key) = p256::ecdsa::SigningKey::from_slice(&bytes) {
                return Ok(Self::Ecdsa(key));
            }
        }
        Err(KeyError::NoPrime)
    }

    /// Makes an Ed25519 key.
    pub(crate) fn generate_ed25519(random: &mut Seeded) -> Self {
        let mut bytes = [0; 32];
        random.fill(&mut bytes);
        Self::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&bytes)))
    }

    /// Reads the first key of a PEM text.
    pub(crate) fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        let block = Block::decode(text).ok_or(KeyError::NoPem)?;
        if block.kind == "PRIVATE KEY" {
            return pkcs8(&block.bytes).map_err(KeyError::Pkcs8);
        }
        let Some(kind) = block.kind.strip_suffix(" PRIVATE KEY") else {
            return Err(KeyError::NoPrivateKey(block.kind));
        };
        let (kind, key) = match kind {
            "RSA" => ("RSA", pkcs1(&block.bytes)),
            "EC" => ("EC", sec1(&block.bytes, false)),
            "DSA" => ("DSA", DsaKey::from_der(&block.bytes).map(Self::Dsa).map_err(|error| error.to_string())),
            _ => return Err(KeyError::UnknownType(block.kind)),
        };
        key.map_err(|what| KeyError::Parse { kind, what })
    }

    /// Writes the key in the PEM form of its kind.
    pub(crate) fn to_pem(&self) -> String {
        let (kind, bytes) = match self {
            Self::Rsa(key) => ("RSA PRIVATE KEY", rsa_der(key)),
            Self::Dsa(key) => ("DSA PRIVATE KEY", key.to_der()),
            Self::Ecdsa(key) => ("EC PRIVATE KEY", ec_der(key)),
            Self::Ed25519(key) => ("PRIVATE KEY", ed25519_der(key)),
        };
        Block { kind: kind.to_owned(), bytes }.encode()
    }

    /// Writes the public half as certificates hold it; none for DSA, which Go does not certify.
    pub(crate) fn public_key(&self) -> Option<PublicKey> {
        let null = || der::value(tag::NULL, &[]);
        let (algorithm, bits) = match self {
            Self::Rsa(key) => {
                let bits = der::sequence(&[der::integer(&key.n_bytes()), der::integer(&key.e_bytes())]);
                (der::sequence(&[der::object_identifier(RSA_ENCRYPTION), null()]), bits)
            }
            Self::Dsa(_) => return None,
            Self::Ecdsa(key) => {
                let curve = der::object_identifier(P256_CURVE);
                (der::sequence(&[der::object_identifier(EC_PUBLIC_KEY), curve]), ec_point(key))
            }
            Self::Ed25519(key) => {
                (der::sequence(&[der::object_identifier(ED25519)]), key.verifying_key().to_bytes().to_vec())
            }
        };
        Some(PublicKey { info: der::sequence(&[algorithm, der::bit_string(&bits)]), bits })
    }

    /// Says by which algorithm the key signs.
    pub(crate) fn signature_algorithm(&self) -> Option<Vec<u8>> {
        Some(match self {
            Self::Rsa(_) => der::sequence(&[der::object_identifier(SHA256_WITH_RSA), der::value(tag::NULL, &[])]),
            Self::Dsa(_) => return None,
            Self::Ecdsa(_) => der::sequence(&[der::object_identifier(ECDSA_WITH_SHA256)]),
            Self::Ed25519(_) => der::sequence(&[der::object_identifier(ED25519)]),
        })
    }

    /// Signs a message.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let digest = Sha256::digest(message);
        match self {
            Self::Rsa(key) => {
                let algorithm = der::sequence(&[der::object_identifier(SHA256), der::value(tag::NULL, &[])]);
                let whole = der::sequence(&[algorithm, der::value(tag::OCTET_STRING, &digest)]);
                let prefix = whole.get(..whole.len() - digest.len()).unwrap_or_default();
                let scheme = rsa::Pkcs1v15Sign { hash_len: Some(digest.len()), prefix: prefix.into() };
                key.sign(scheme, &digest).map_err(|error| error.to_string())
            }
            Self::Dsa(_) => Err("x509: certificate private key does not implement crypto.Signer".to_owned()),
            Self::Ecdsa(key) => {
                let signature: p256::ecdsa::Signature = key.sign_prehash(&digest).map_err(|error| error.to_string())?;
                let (r, s) = signature.split_bytes();
                Ok(der::sequence(&[der::integer(&r), der::integer(&s)]))
            }
            Self::Ed25519(key) => Ok(key.sign(message).to_bytes().to_vec()),
        }
    }
}

/// A public key as certificates hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicKey {
    /// The algorithm and the key.
    pub(crate) info: Vec<u8>,
    /// The key alone.
    pub(crate) bits: Vec<u8>,
}

/// A prime whose two highest bits are set, so that a product of two has full length.
fn rsa_prime<T>(random: &mut Seeded, bits: u32) -> T
where
    T: crypto_bigint::UnsignedWithMontyForm + crypto_bigint::RandomBits + crypto_bigint::RandomMod,
{
    use crypto_primes::hazmat::{SetBits, SmallFactorsSieveFactory};
    let sieve = SmallFactorsSieveFactory::new(Flavor::Any, bits, SetBits::TwoMsb);
    let found = sieve.ok().and_then(|sieve| {
        crypto_primes::sieve_and_find(random, sieve, |_, candidate: &T| crypto_primes::is_prime(Flavor::Any, candidate))
            .ok()
            .flatten()
    });
    // A sieve of these sizes can be made and runs until it finds: the other way is never taken.
    found.unwrap_or_else(|| crypto_primes::random_prime(random, Flavor::Any, bits))
}

fn rsa_der(key: &rsa::RsaPrivateKey) -> Vec<u8> {
    let bytes = |number: &BoxedUint| der::integer(&number.to_be_bytes());
    let [p, q] = key.primes() else { return Vec::new() };
    let optional = |number: Option<&BoxedUint>| number.map_or_else(|| der::integer(&[0]), bytes);
    der::sequence(&[
        der::integer(&[0]),
        der::integer(&key.n_bytes()),
        der::integer(&key.e_bytes()),
        bytes(key.d()),
        bytes(p.as_ref()),
        bytes(q.as_ref()),
        optional(key.dp()),
        optional(key.dq()),
        key.crt_coefficient().map_or_else(|| der::integer(&[0]), |number| bytes(&number)),
    ])
}

fn pkcs1(bytes: &[u8]) -> Result<PrivateKey, String> {
    let told = |error: DerError| error.to_string();
    let mut outer = Reader::new(bytes);
    let mut inner = outer.sequence().map_err(told)?;
    outer.end().map_err(told)?;
    inner.integer().map_err(told)?;
    let mut number = || -> Result<BoxedUint, String> {
        let bytes = inner.integer().map_err(told)?;
        let bits = bytes.len() * 8;
        if bits > RSA_BITS_MAX {
            return Err("crypto/rsa: modulus too large".to_owned());
        }
        let bits = u32::try_from(bits.div_ceil(64).max(1) * 64).unwrap_or(64);
        BoxedUint::from_be_slice(bytes, bits)
            .map_err(|_| "x509: private key contains zero or negative value".to_owned())
    };
    let (n, e, d, p, q) = (number()?, number()?, number()?, number()?, number()?);
    rsa::RsaPrivateKey::from_components(n, e, d, vec![p, q])
        .map(|key| PrivateKey::Rsa(Box::new(key)))
        .map_err(|error| error.to_string())
}

fn ec_point(key: &p256::ecdsa::SigningKey) -> Vec<u8> {
    key.verifying_key().to_sec1_point(false).as_bytes().to_vec()
}

fn ec_der(key: &p256::ecdsa::SigningKey) -> Vec<u8> {
    der::sequence(&[
        der::integer(&[1]),
        der::value(tag::OCTET_STRING, &key.to_bytes()),
        der::value(tag::explicit(0), &der::object_identifier(P256_CURVE)),
        der::value(tag::explicit(1), &der::bit_string(&ec_point(key))),
    ])
}

/// An EC key; within PKCS#8 the curve stands outside.
fn sec1(bytes: &[u8], is_curve_known: bool) -> Result<PrivateKey, String> {
    let told = |error: DerError| format!("x509: failed to parse EC private key: {error}");
    let mut outer = Reader::new(bytes);
    let mut inner = outer.sequence().map_err(told)?;
    inner.integer().map_err(told)?;
    let secret = inner.expect(tag::OCTET_STRING).map_err(told)?.content;
    let curve = inner.optional(tag::explicit(0)).map_err(told)?;
    let is_p256 = curve.map_or(is_curve_known, |curve| curve.content == der::object_identifier(P256_CURVE));
    if !is_p256 {
        return Err("x509: unknown elliptic curve".to_owned());
    }
    let mut padded = vec![0; 32_usize.saturating_sub(secret.len())];
    padded.extend_from_slice(secret);
    p256::ecdsa::SigningKey::from_slice(&padded)
        .map(PrivateKey::Ecdsa)
        .map_err(|_| "x509: invalid elliptic curve private key value".to_owned())
}

fn ed25519_der(key: &ed25519_dalek::SigningKey) -> Vec<u8> {
    der::sequence(&[
        der::integer(&[0]),
        der::sequence(&[der::object_identifier(ED25519)]),
        der::value(tag::OCTET_STRING, &der::value(tag::OCTET_STRING, &key.to_bytes())),
    ])
}

fn pkcs8(bytes: &[u8]) -> Result<PrivateKey, String> {
    let told = |error: DerError| error.to_string();
    let mut outer = Reader::new(bytes);
    let mut inner = outer.sequence().map_err(told)?;
    inner.integer().map_err(told)?;
    let mut algorithm = inner.sequence().map_err(told)?;
    let identifier = algorithm.expect(tag::OBJECT_IDENTIFIER).map_err(told)?.whole;
    let key = inner.expect(tag::OCTET_STRING).map_err(told)?.content;
    if identifier == der::object_identifier(RSA_ENCRYPTION) {
        return pkcs1(key)
            .map_err(|error| format!("x509: failed to parse RSA private key embedded in PKCS#8: {error}"));
    }
    if identifier == der::object_identifier(EC_PUBLIC_KEY) {
        let curve = algorithm.expect(tag::OBJECT_IDENTIFIER).map_err(told)?.whole;
        return sec1(key, curve == der::object_identifier(P256_CURVE))
            .map_err(|error| format!("x509: failed to parse EC private key embedded in PKCS#8: {error}"));
    }
    if identifier == der::object_identifier(ED25519) {
        let seed = Reader::new(key).expect(tag::OCTET_STRING).map_err(told)?.content;
        let seed: [u8; 32] =
            seed.try_into().map_err(|_| format!("x509: invalid Ed25519 private key length: {}", seed.len()))?;
        return Ok(PrivateKey::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&seed))));
    }
    Err("x509: PKCS#8 wrapping contained private key with unknown algorithm".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_from_pem_and_one_seed_makes_one_key() {
        let mut random = Seeded::new([7; 32]);
        let rsa = PrivateKey::generate_rsa(RsaBits::Bits2048, &mut random).unwrap();
        let small =
            |random: &mut Seeded| [PrivateKey::generate_ecdsa(random).unwrap(), PrivateKey::generate_ed25519(random)];
        let [ecdsa, ed25519] = small(&mut Seeded::new([8; 32]));
        let again = small(&mut Seeded::new([8; 32])).map(|key| key.to_pem());
        assert_eq!([ecdsa.to_pem(), ed25519.to_pem()], again);
        for key in [rsa, ecdsa, ed25519] {
            let pem = key.to_pem();
            let read = PrivateKey::from_pem(pem.as_bytes()).unwrap();
            assert_eq!(read.to_pem(), pem);
            assert_eq!(read.public_key(), key.public_key());
            assert_eq!(read.sign(b"message").unwrap(), key.sign(b"message").unwrap());
        }
    }

    #[test]
    fn what_is_no_key_is_told() {
        let pem = |kind: &str| Block { kind: kind.to_owned(), bytes: vec![1, 2, 3] }.encode();
        let told = |text: String| PrivateKey::from_pem(text.as_bytes()).err().unwrap().to_string();
        assert_eq!(told(String::new()), "no PEM data in input");
        assert_eq!(told(pem("CERTIFICATE")), "no private key data in PEM block of type CERTIFICATE");
        assert_eq!(told(pem("FOO PRIVATE KEY")), "invalid private key type FOO PRIVATE KEY");
        assert!(told(pem("RSA PRIVATE KEY")).starts_with("parsing RSA private key from PEM: asn1: "));
    }
}
