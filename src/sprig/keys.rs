//! Private keys: generated from the world's randomness, read from PEM, used to sign.
//!
//! A key is a function of 32 random bytes. The costly ones are remembered by those bytes, so that
//! rendering the same chart again with the same world does not search for primes again.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use p256::ecdsa::signature::Signer as _;
use rcgen::{PublicKeyData as _, SigningKey as _};
use rsa::pkcs1::{DecodeRsaPrivateKey as _, EncodeRsaPrivateKey as _, EncodeRsaPublicKey as _};
use rsa::rand_core::{TryCryptoRng, TryRng};
use rsa::sha2::{Digest as _, Sha256};

use super::der::{self, Reader, tag};
use super::pem;
use crate::template::world::World;

const OID_RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
const OID_RSA_SHA256: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b";
const OID_EC: &[u8] = b"\x2a\x86\x48\xce\x3d\x02\x01";
const OID_P256: &[u8] = b"\x2a\x86\x48\xce\x3d\x03\x01\x07";
const OID_ECDSA_SHA256: &[u8] = b"\x2a\x86\x48\xce\x3d\x04\x03\x02";
const OID_ED25519: &[u8] = b"\x2b\x65\x70";
const NULL: &[u8] = b"\x05\x00";

/// Generated keys that are remembered; a fleet has fewer charts than that.
const REMEMBERED_MAX: usize = 1_024;

/// A private key.
#[derive(Clone)]
pub(super) enum Key {
    Rsa(Arc<rsa::PrivateKey>),
    P256(p256::ecdsa::SigningKey),
    Ed25519(Arc<rcgen::KeyPair>),
}

/// Random numbers that follow from 32 bytes: a hash of them and a counter.
struct Stream {
    seed: [u8; 32],
    counter: u64,
    ready: Vec<u8>,
}

impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            if self.ready.is_empty() {
                let block = Sha256::new().chain_update(self.seed);
                let block = block.chain_update(self.counter.to_le_bytes()).finalize();
                self.counter += 1;
                self.ready = block.to_vec();
            }
            *byte = self.ready.pop().unwrap_or_default();
        }
        Ok(())
    }
}

impl TryCryptoRng for Stream {}

fn seed(world: &dyn World) -> [u8; 32] {
    let mut seed = [0; 32];
    world.random(&mut seed);
    seed
}

/// Keys by the random bytes they follow from and their size.
type Remembered = BTreeMap<([u8; 32], usize), Arc<rsa::PrivateKey>>;

static REMEMBERED: Mutex<Remembered> = Mutex::new(BTreeMap::new());

impl Key {
    /// A new RSA key.
    pub(super) fn generate_rsa(world: &dyn World, bits: usize) -> Result<Self, String> {
        let seed = seed(world);
        let remembered = || REMEMBERED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = remembered().get(&(seed, bits)) {
            return Ok(Self::Rsa(Arc::clone(key)));
        }
        let mut stream = Stream { seed, counter: 0, ready: Vec::new() };
        let key = rsa::PrivateKey::new(&mut stream, bits).map_err(|error| error.to_string())?;
        let key = Arc::new(key);
        let mut remembered = remembered();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert((seed, bits), Arc::clone(&key));
        Ok(Self::Rsa(key))
    }

    /// A new key on the curve P-256.
    pub(super) fn generate_p256(world: &dyn World) -> Self {
        loop {
            // All but one in 2^32 candidates are below the order of the curve.
            if let Ok(key) = p256::ecdsa::SigningKey::from_slice(&seed(world)) {
                return Self::P256(key);
            }
        }
    }

    /// A new Ed25519 key.
    pub(super) fn generate_ed25519(world: &dyn World) -> Result<Self, String> {
        Self::ed25519(&seed(world))
    }

    fn ed25519(seed: &[u8]) -> Result<Self, String> {
        let pkcs8 = pkcs8_ed25519(seed).into();
        let pair = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8, &rcgen::PKCS_ED25519);
        Ok(Self::Ed25519(Arc::new(pair.map_err(|error| error.to_string())?)))
    }

    /// Reads the first block of a PEM text. The error is Go's text as far as it has one.
    pub(super) fn from_pem(text: &str) -> Result<Self, String> {
        let block = pem::read(text).ok_or("no PEM data in input")?;
        if block.label == "PRIVATE KEY" {
            return Self::from_pkcs8(&block.bytes)
                .map_err(|complaint| format!("decoding PEM as PKCS#8: {complaint}"));
        }
        let kind = block
            .label
            .strip_suffix(" PRIVATE KEY")
            .ok_or_else(|| format!("no private key data in PEM block of type {}", block.label))?;
        match kind {
            "RSA" => Self::from_pkcs1(&block.bytes)
                .map_err(|complaint| format!("parsing RSA private key from PEM: {complaint}")),
            "EC" => Self::from_sec1(&block.bytes)
                .map_err(|complaint| format!("parsing EC private key from PEM: {complaint}")),
            _ => Err(format!("invalid private key type {kind}")),
        }
    }

    fn from_pkcs1(bytes: &[u8]) -> Result<Self, String> {
        let key = rsa::PrivateKey::from_pkcs1_der(bytes);
        Ok(Self::Rsa(Arc::new(key.map_err(|_| "x509: failed to parse private key")?)))
    }

    fn from_sec1(bytes: &[u8]) -> Result<Self, String> {
        let scalar = || {
            let mut key = Reader::new(bytes).expect(tag::SEQUENCE)?.inside();
            key.expect(tag::INTEGER)?;
            key.expect(tag::OCTET_STRING)
        };
        let scalar = scalar().ok_or("x509: failed to parse EC private key")?;
        let key = p256::ecdsa::SigningKey::from_slice(scalar.content);
        key.map(Self::P256).map_err(|_| "x509: unknown elliptic curve".to_owned())
    }

    fn from_pkcs8(bytes: &[u8]) -> Result<Self, String> {
        let parts = || {
            let mut key = Reader::new(bytes).expect(tag::SEQUENCE)?.inside();
            key.expect(tag::INTEGER)?;
            let algorithm = key.expect(tag::SEQUENCE)?.inside().expect(tag::OBJECT)?;
            Some((algorithm.content, key.expect(tag::OCTET_STRING)?.content))
        };
        let (algorithm, key) = parts().ok_or("asn1: structure error")?;
        match algorithm {
            OID_RSA => Self::from_pkcs1(key),
            OID_EC => Self::from_sec1(key),
            OID_ED25519 => {
                let seed = Reader::new(key).expect(tag::OCTET_STRING);
                Self::ed25519(seed.ok_or("x509: invalid Ed25519 private key")?.content)
            }
            _ => {
                Err("x509: PKCS#8 wrapping contained private key with unknown algorithm".to_owned())
            }
        }
    }

    /// The key as PEM, in the format that Go prefers for its kind.
    pub(super) fn to_pem(&self) -> Result<String, String> {
        Ok(match self {
            Self::Rsa(key) => {
                let bytes = key.to_pkcs1_der().map_err(|error| error.to_string())?;
                pem::write("RSA PRIVATE KEY", bytes.as_bytes())
            }
            Self::P256(key) => pem::write("EC PRIVATE KEY", &sec1(key)),
            Self::Ed25519(key) => pem::write("PRIVATE KEY", key.serialized_der()),
        })
    }

    /// The bytes of the public key alone.
    pub(super) fn public(&self) -> Result<Vec<u8>, String> {
        Ok(match self {
            Self::Rsa(key) => {
                let bytes = key.to_public_key().to_pkcs1_der();
                bytes.map_err(|error| error.to_string())?.as_bytes().to_vec()
            }
            Self::P256(key) => point(key),
            Self::Ed25519(key) => key.der_bytes().to_vec(),
        })
    }

    /// The public key with its algorithm, as certificates hold it.
    pub(super) fn public_info(&self) -> Result<Vec<u8>, String> {
        let object = |oid: &[u8]| der::value(tag::OBJECT, oid);
        let algorithm = match self {
            Self::Rsa(_) => der::sequence(&[&object(OID_RSA), NULL]),
            Self::P256(_) => der::sequence(&[&object(OID_EC), &object(OID_P256)]),
            Self::Ed25519(_) => der::sequence(&[&object(OID_ED25519)]),
        };
        Ok(der::sequence(&[&algorithm, &der::bit_string(&self.public()?)]))
    }

    /// The algorithm with which it signs, as certificates name it.
    pub(super) fn signature_algorithm(&self) -> Vec<u8> {
        let object = |oid: &[u8]| der::value(tag::OBJECT, oid);
        match self {
            Self::Rsa(_) => der::sequence(&[&object(OID_RSA_SHA256), NULL]),
            Self::P256(_) => der::sequence(&[&object(OID_ECDSA_SHA256)]),
            Self::Ed25519(_) => der::sequence(&[&object(OID_ED25519)]),
        }
    }

    /// Signs a message; the same one always gets the same signature.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        match self {
            Self::Rsa(key) => {
                // For blinding only: the signature does not depend on it.
                let seed = Sha256::digest(message).into();
                let mut stream = Stream { seed, counter: 0, ready: Vec::new() };
                let signature = key.pkcs1v15_sign_with_rng::<Sha256, _>(&mut stream, message);
                signature.map_err(|error| error.to_string())
            }
            Self::P256(key) => {
                let signature: p256::ecdsa::DerSignature = key.sign(message);
                Ok(signature.as_bytes().to_vec())
            }
            Self::Ed25519(key) => key.sign(message).map_err(|error| error.to_string()),
        }
    }
}

fn pkcs8_ed25519(seed: &[u8]) -> Vec<u8> {
    let algorithm = der::sequence(&[&der::value(tag::OBJECT, OID_ED25519)]);
    let seed = der::value(tag::OCTET_STRING, seed);
    der::sequence(&[&der::integer(&[0]), &algorithm, &der::value(tag::OCTET_STRING, &seed)])
}

fn point(key: &p256::ecdsa::SigningKey) -> Vec<u8> {
    key.verifying_key().to_sec1_point(false).as_bytes().to_vec()
}

fn sec1(key: &p256::ecdsa::SigningKey) -> Vec<u8> {
    let curve = der::value(tag::CONTEXT_0, &der::value(tag::OBJECT, OID_P256));
    let public = der::value(tag::CONTEXT_1, &der::bit_string(&point(key)));
    let scalar = der::value(tag::OCTET_STRING, &key.to_bytes());
    der::sequence(&[&der::integer(&[1]), &scalar, &curve, &public])
}
