//! Files that sops has encrypted: values one by one, with a key that is itself encrypted for the age
//! identities of those who may read them.
//!
//! Follows `github.com/getsops/sops/v3`: `aes/cipher.go` for values, `sops.go` for the digest over
//! all of them. Of its ways to keep the key, age is there.
//!
//! # Guarantees
//! - A file of which any value, or its place, was changed by anybody else is refused.
//! - No error has a part of a value or a key in it.

use std::io::Read as _;
use std::str::FromStr as _;

use aes_gcm::aead::consts::U32;
use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{AesGcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json};
use sha2::{Digest as _, Sha512};

use crate::base::ids::hex;
use crate::yaml::helm::{self, Numbers};
use crate::yaml::node::{Node, NodeKind};

/// Where sops keeps what it needs to decrypt a file.
pub const METADATA: &str = "sops";
/// Values within one another; a parsed document has fewer.
const DEPTH_MAX: usize = 200;

type Cipher = AesGcm<aes::Aes256, U32>;

/// Why a file cannot be decrypted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SopsError {
    /// A key that age cannot read.
    #[error("line {line} of the keys is no age key: one begins with `AGE-SECRET-KEY-1`")]
    Key {
        /// From 1.
        line: usize,
    },
    /// Keys, and none of them.
    #[error("it is for {}, and none of the keys is theirs", .recipients.join(", "))]
    NoKey {
        /// The public keys that it was encrypted for.
        recipients: Vec<String>,
    },
    /// Kept for something else than age.
    #[error("its key is not kept with age, which is the only way that is supported")]
    NotAge,
    /// A value that is not as sops writes it.
    #[error("the value of `{path}` is damaged")]
    Value {
        /// Its keys, with dots between them.
        path: String,
    },
    /// The digest over all values is missing or another one.
    #[error("it was changed by something else than sops")]
    Changed,
}

/// Keys that decrypt.
pub struct Keys(Vec<age::x25519::Identity>);

impl Keys {
    /// Reads age keys, one in a line; empty lines and comments are left out.
    ///
    /// # Errors
    /// [`SopsError::Key`].
    pub fn parse(text: &str) -> Result<Self, SopsError> {
        let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
        let keys = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let key = |(line, text)| {
            age::x25519::Identity::from_str(text).map_err(|_| SopsError::Key { line })
        };
        Ok(Self(keys.map(key).collect::<Result<_, _>>()?))
    }

    fn decrypt(&self, armoured: &str) -> Option<Vec<u8>> {
        let reader = age::armor::ArmoredReader::new(armoured.as_bytes());
        let decryptor = age::Decryptor::new(reader).ok()?;
        let keys = self.0.iter().map(|key| key as &dyn age::Identity);
        let mut plain = Vec::new();
        // A data key is 32 bytes; whoever wrote the file may have put anything there.
        decryptor.decrypt(keys).ok()?.take(64).read_to_end(&mut plain).ok()?;
        Some(plain)
    }
}

/// What was encrypted.
#[derive(Clone, Debug, PartialEq)]
pub struct Decrypted {
    /// The values, without what sops keeps for itself.
    pub values: Json,
    /// Those that were encrypted, as text.
    pub secrets: Vec<String>,
}

/// Decrypts a document that sops has written.
///
/// # Errors
/// Says why it cannot be decrypted, or that it was changed.
pub fn decrypt(document: &Node, keys: &Keys) -> Result<Decrypted, SopsError> {
    let metadata = document.get(METADATA).ok_or(SopsError::Changed)?;
    let cipher = cipher(metadata, keys)?;
    let text = |name: &str| metadata.get(name).and_then(Node::text);
    let mut walk = Walk {
        cipher: &cipher,
        hash: Sha512::new(),
        hashes_encrypted_only: text("mac_only_encrypted") == Some("true"),
        secrets: Vec::new(),
        path: Vec::new(),
    };
    let values = walk.value(document)?;
    let digest = hex(&walk.hash.finalize()).to_uppercase();
    let (mac, time) = text("mac").zip(text("lastmodified")).ok_or(SopsError::Changed)?;
    let known = open(&cipher, mac, time).ok_or(SopsError::Changed)?;
    if known.0 != digest.as_bytes() {
        return Err(SopsError::Changed);
    }
    Ok(Decrypted { values, secrets: walk.secrets })
}

/// The cipher of a file, by the first of its entries that a key can open.
fn cipher(metadata: &Node, keys: &Keys) -> Result<Cipher, SopsError> {
    let entries = metadata.get("age").map(Node::items).unwrap_or_default();
    if entries.is_empty() {
        return Err(SopsError::NotAge);
    }
    for entry in entries {
        let sealed = entry.get("enc").and_then(Node::text).unwrap_or_default();
        if let Some(key) = keys.decrypt(sealed)
            && let Ok(cipher) = Cipher::new_from_slice(&key)
        {
            return Ok(cipher);
        }
    }
    let recipient = |entry: &Node| Some(entry.get("recipient")?.text()?.to_owned());
    Err(SopsError::NoKey { recipients: entries.iter().filter_map(recipient).collect() })
}

/// Going through a document in its order, which the digest is over.
struct Walk<'a> {
    cipher: &'a Cipher,
    hash: Sha512,
    hashes_encrypted_only: bool,
    secrets: Vec<String>,
    path: Vec<String>,
}

impl Walk<'_> {
    fn value(&mut self, node: &Node) -> Result<Json, SopsError> {
        if self.path.len() > DEPTH_MAX {
            return Err(self.damaged());
        }
        match &node.kind {
            NodeKind::Mapping(entries) => self.mapping(entries),
            NodeKind::Sequence(items) => {
                items.iter().map(|item| self.value(item)).collect::<Result<_, _>>().map(Json::Array)
            }
            NodeKind::Scalar { text, .. } if text.starts_with("ENC[") => self.encrypted(text),
            NodeKind::Scalar { .. } => self.plain(node),
        }
    }

    fn mapping(&mut self, entries: &[(Node, Node)]) -> Result<Json, SopsError> {
        let mut values = Map::new();
        for (key, value) in entries {
            let key = key.text().ok_or_else(|| self.damaged())?;
            if self.path.is_empty() && key == METADATA {
                continue;
            }
            self.path.push(key.to_owned());
            let value = self.value(value)?;
            self.path.pop();
            values.insert(key.to_owned(), value);
        }
        Ok(Json::Object(values))
    }

    fn encrypted(&mut self, text: &str) -> Result<Json, SopsError> {
        let place = format!("{}:", self.path.join(":"));
        let (plain, kind) = open(self.cipher, text, &place).ok_or_else(|| self.damaged())?;
        self.hash.update(&plain);
        let plain = String::from_utf8(plain).map_err(|_| self.damaged())?;
        let value = match kind.as_str() {
            "str" | "bytes" => Some(Json::from(plain.as_str())),
            "int" | "float" => plain.parse::<f64>().ok().map(Json::from),
            "bool" => plain.to_lowercase().parse::<bool>().ok().map(Json::from),
            _ => None,
        };
        let value = value.ok_or_else(|| self.damaged())?;
        self.secrets.push(plain);
        Ok(value)
    }

    /// A value that is not encrypted: below a key that ends in `_unencrypted`, or as a file's own
    /// rules say; empty texts always.
    fn plain(&mut self, node: &Node) -> Result<Json, SopsError> {
        let value = helm::to_json(node, Numbers::Floats).map_err(|_| self.damaged())?;
        if self.hashes_encrypted_only {
            return Ok(value);
        }
        match &value {
            Json::String(text) => self.hash.update(text),
            Json::Bool(holds) => self.hash.update(if *holds { "True" } else { "False" }),
            Json::Number(number) => self.hash.update(number_text(number)),
            _ => {}
        }
        Ok(value)
    }

    fn damaged(&self) -> SopsError {
        SopsError::Value { path: self.path.join(".") }
    }
}

/// As Go writes a number: whole ones without a point, none with an exponent.
fn number_text(number: &serde_json::Number) -> String {
    number.as_i64().map_or_else(
        || number.as_f64().map_or_else(|| number.to_string(), |float| float.to_string()),
        |whole| whole.to_string(),
    )
}

/// The plain bytes of `ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]`, and their type. `place` is what
/// binds a value to where it stands.
fn open(cipher: &Cipher, text: &str, place: &str) -> Option<(Vec<u8>, String)> {
    let inner = text.strip_prefix("ENC[AES256_GCM,data:")?.strip_suffix(']')?;
    let (data, rest) = inner.split_once(",iv:")?;
    let (iv, rest) = rest.split_once(",tag:")?;
    let (tag, kind) = rest.split_once(",type:")?;
    let mut sealed = STANDARD.decode(data).ok()?;
    sealed.extend(STANDARD.decode(tag).ok()?);
    let iv: [u8; 32] = STANDARD.decode(iv).ok()?.try_into().ok()?;
    let payload = Payload { msg: &sealed, aad: place.as_bytes() };
    let plain = cipher.decrypt(&Nonce::<U32>::from(iv), payload).ok()?;
    Some((plain, kind.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::base::span::SourceFile;
    use crate::yaml::parse;

    /// A file that sops 3.11 has written.
    fn case(name: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/sops").join(name);
        std::fs::read_to_string(path).unwrap()
    }

    fn with(key: &str, text: &str) -> Result<Decrypted, SopsError> {
        let document = parse::parse(&SourceFile::new("secrets.yaml", text)).unwrap().remove(0);
        decrypt(&document, &Keys::parse(&case(key))?)
    }

    #[test]
    fn a_file_of_sops_is_decrypted_as_sops_does() {
        let found = with("key.txt", &case("secrets.yaml")).unwrap();
        let plain: Json = serde_json::from_str(&case("plain.json")).unwrap();
        let float = |value: &Json| value.as_f64().map_or(value.clone(), Json::from);
        assert_eq!(found.values["database"]["port"], float(&plain["database"]["port"]));
        assert_eq!(found.values["database"]["large"], float(&plain["database"]["large"]));
        for name in ["adminPassword", "empty", "tokens", "note_unencrypted", "multi"] {
            assert_eq!(found.values[name], plain[name], "{name}");
        }
        assert_eq!(found.values["database"]["tls"], Json::Bool(true));
        assert!(found.values.get("sops").is_none());
        assert!(found.secrets.contains(&"hunter2-admin".to_owned()));
        assert!(!found.secrets.contains(&"this may be read".to_owned()));
    }

    #[test]
    fn what_somebody_changed_is_refused() {
        let text = case("secrets.yaml");
        for (from, to) in [
            ("note_unencrypted: this may be read", "note_unencrypted: this may not"),
            ("count_unencrypted: 3", "count_unencrypted: 4"),
            ("flag_unencrypted: false\n", ""),
            ("lastmodified: \"2026", "lastmodified: \"2027"),
        ] {
            assert!(text.contains(from), "{from}");
            assert_eq!(
                with("key.txt", &text.replacen(from, to, 1)),
                Err(SopsError::Changed),
                "{from}"
            );
        }
        // A value in another place.
        let moved = text.replace("adminPassword:", "password:");
        let error = with("key.txt", &moved).unwrap_err();
        assert_eq!(error, SopsError::Value { path: "password".to_owned() });
    }

    #[test]
    fn other_keys_and_no_keys_are_told_apart() {
        let text = case("secrets.yaml");
        let error = with("other-key.txt", &text).unwrap_err();
        assert!(matches!(error, SopsError::NoKey { .. }), "{error}");
        assert!(error.to_string().contains("age12xspne"), "{error}");
        let at = text.find("    age:").unwrap();
        let end = text.find("    lastmodified").unwrap();
        let without = format!("{}{}", &text[..at], &text[end..]);
        assert_eq!(with("key.txt", &without), Err(SopsError::NotAge));
        let wrong = Keys::parse("# mine\n\nAGE-SECRET-KEY-1NOT").err();
        assert_eq!(wrong, Some(SopsError::Key { line: 3 }));
    }
}
