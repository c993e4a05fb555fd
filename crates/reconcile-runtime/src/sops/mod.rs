//! Files that SOPS encrypted with age keys: decrypted in memory, and only when nobody changed them.
//!
//! YAML and JSON files are read; comments are lost, as no authentication code is of them. Other stores, other keys than
//! age's and groups of keys are told as not supported: such a file is never rendered as it stands.

mod age;
mod leaves;

use std::collections::BTreeMap;

use aes_gcm::aead::consts::U32;
use aes_gcm::aead::{Aead, Payload};
use aes_gcm::aes::Aes256;
use aes_gcm::{AesGcm, KeyInit, Nonce};
use base64::Engine as _;
use object_model::Secret;
use ring::digest::{Context, SHA256, SHA512, digest};
use serde_json::Value;
use subtle::ConstantTimeEq as _;
use yaml::{Document, Step};

use age::Identity;
use leaves::Leaf;

/// What the code begins with where it is of encrypted values only (`mac_only_encrypted`), so that it is no other's.
const ENCRYPTED_ONLY: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b, 0x0b, 0x97, 0x5b,
    0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];

/// How SOPS encrypts values: with a nonce of 32 bytes.
type Cipher = AesGcm<Aes256, U32>;

/// Why a file is not decrypted. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SopsError {
    #[error("it is encrypted by SOPS, and spec.decryption names no keys")]
    NoKeys,
    #[error("it is encrypted by SOPS in a way that is not supported: {0}")]
    Unsupported(&'static str),
    #[error("none of the age keys of spec.decryption opens it")]
    WrongKeys,
    #[error("its part `sops` is malformed: {0}")]
    Malformed(&'static str),
    #[error("value `{0}` can't be decrypted: it was changed, or moved from another place")]
    Value(String),
    #[error("its authentication code does not match: it was changed after SOPS wrote it")]
    Mac,
}

/// The age keys of a config.
#[derive(Debug, Clone)]
pub(crate) struct SopsKeys {
    identities: Vec<Identity>,
    digest: String,
}

impl SopsKeys {
    /// Reads the keys of a Secret, from its entries `*.agekey` as Flux has them.
    pub(crate) fn parse(values: &BTreeMap<String, Secret<String>>) -> Result<Self, String> {
        let mut identities = Vec::new();
        let mut all = Vec::new();
        for (name, value) in values.iter().filter(|(name, _)| name.ends_with(".agekey")) {
            for line in value.expose().lines().map(str::trim) {
                if line.is_empty() || line.starts_with('#') {
                    continue;
                }
                let identity =
                    Identity::parse(line).ok_or_else(|| format!("`{name}` has a line that is no age key"))?;
                all.extend_from_slice(line.as_bytes());
                identities.push(identity);
            }
        }
        if identities.is_empty() {
            return Err("it has no age key (an entry `*.agekey`)".to_owned());
        }
        let digest = digest(&SHA256, &all).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { identities, digest })
    }

    /// Changes with the keys, and does not show them.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }
}

/// A file in the clear.
pub(crate) struct Decrypted {
    pub(crate) content: Vec<u8>,
    /// Every text that was encrypted.
    pub(crate) texts: Vec<String>,
}

/// Decrypts a file; `None` when SOPS did not encrypt it.
pub(crate) fn decrypt(path: &str, content: &[u8], keys: Option<&SopsKeys>) -> Option<Result<Decrypted, SopsError>> {
    let has = |words: &[u8]| content.windows(words.len()).any(|window| window == words);
    let is_text = [".yaml", ".yml", ".json"].iter().any(|end| path.ends_with(end));
    if !is_text || !has(b"ENC[AES256_GCM,") || !has(b"sops") {
        return None;
    }
    // What can't be read at all is told by whoever reads it next.
    let documents = yaml::parse(content).ok()?;
    let sops =
        documents.iter().find_map(|document| document.value.get("sops").filter(|sops| sops.get("mac").is_some()));
    let sops = sops?.clone();
    let Some(keys) = keys else { return Some(Err(SopsError::NoKeys)) };
    Some(open(&documents, &sops, keys, path.ends_with(".json")))
}

fn open(documents: &[Document], sops: &Value, keys: &SopsKeys, is_json: bool) -> Result<Decrypted, SopsError> {
    let cipher = data_key(sops, keys)?;
    let mut hash = Context::new(&SHA512);
    let is_of_encrypted_only = sops.get("mac_only_encrypted").and_then(Value::as_bool) == Some(true);
    if is_of_encrypted_only {
        hash.update(&ENCRYPTED_ONLY);
    }
    let mut texts = Vec::new();
    let mut values: Vec<Value> = documents.iter().map(|document| document.value.clone()).collect();
    let mut comments = Vec::new();
    for leaf in leaves::in_order(documents) {
        let Some(sealed) = leaf.value.as_str().and_then(Sealed::parse) else {
            if let Some(text) = leaves::hashed(leaf.value).filter(|_| !is_of_encrypted_only) {
                hash.update(text.as_bytes());
            }
            continue;
        };
        // A comment between the items of a list was made an item.
        if sealed.kind == "comment" {
            sealed.open(&cipher, &leaf.place()).ok_or_else(|| SopsError::Value(leaf.keys.join(".")))?;
            comments.push((leaf.document, leaf.path));
            continue;
        }
        let plain = plain_value(&cipher, &leaf, &sealed, &mut hash, &mut texts)?;
        if let Some(place) = values.get_mut(leaf.document).and_then(|value| value_at(value, &leaf.path)) {
            *place = plain;
        }
    }
    check_mac(&cipher, sops, hash)?;
    for (document, path) in comments.iter().rev() {
        let Some((Step::Index(index), list)) = path.split_last() else { continue };
        let list = values.get_mut(*document).and_then(|value| value_at(value, list)).and_then(Value::as_array_mut);
        if let Some(list) = list.filter(|list| *index < list.len()) {
            list.remove(*index);
        }
    }
    let mut content = String::new();
    for mut value in values {
        if let Value::Object(map) = &mut value {
            map.remove("sops");
        }
        if is_json {
            content.push_str(&value.to_string());
        } else {
            content.push_str("---\n");
            content.push_str(&yaml::to_yaml(&value));
        }
    }
    Ok(Decrypted { content: content.into_bytes(), texts })
}

fn value_at<'v>(value: &'v mut Value, path: &[Step]) -> Option<&'v mut Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(index) => value.get_mut(index),
        Step::Entry { .. } => None,
    })
}

/// The key that the values are encrypted with.
fn data_key(sops: &Value, keys: &SopsKeys) -> Result<Cipher, SopsError> {
    let is_set = |field: &str| match sops.get(field) {
        None | Some(Value::Null) => false,
        Some(Value::Array(items)) => !items.is_empty(),
        Some(_) => true,
    };
    if is_set("key_groups") || is_set("shamir_threshold") {
        return Err(SopsError::Unsupported("its key is shared among groups of keys"));
    }
    let recipients = sops.get("age").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if recipients.is_empty() {
        return Err(SopsError::Unsupported("it is for no age key"));
    }
    let sealed = recipients.iter().filter_map(|recipient| recipient.get("enc")?.as_str());
    let key = sealed.take(100).find_map(|sealed| age::open(sealed, &keys.identities)).ok_or(SopsError::WrongKeys)?;
    Cipher::new_from_slice(&key).map_err(|_| SopsError::Malformed("its key has not 32 bytes"))
}

/// An encrypted value as SOPS writes it.
struct Sealed<'t> {
    data: Vec<u8>,
    nonce: Vec<u8>,
    tag: Vec<u8>,
    kind: &'t str,
}

impl<'t> Sealed<'t> {
    fn parse(text: &'t str) -> Option<Self> {
        let body = text.strip_prefix("ENC[AES256_GCM,")?.strip_suffix(']')?;
        let mut parts = body.split(',');
        let mut next = |name: &str| parts.next()?.strip_prefix(name)?.strip_prefix(':');
        let decode = |text: &str| base64::engine::general_purpose::STANDARD.decode(text).ok();
        let (data, nonce, tag) = (decode(next("data")?)?, decode(next("iv")?)?, decode(next("tag")?)?);
        Some(Self { data, nonce, tag, kind: next("type")? })
    }

    fn open(&self, cipher: &Cipher, place: &str) -> Option<Vec<u8>> {
        let nonce = Nonce::<U32>::try_from(self.nonce.as_slice()).ok()?;
        let sealed = [self.data.as_slice(), &self.tag].concat();
        cipher.decrypt(&nonce, Payload { msg: &sealed, aad: place.as_bytes() }).ok()
    }
}

/// Takes an encrypted value into the code, and gives what it is in the clear.
fn plain_value(
    cipher: &Cipher,
    leaf: &Leaf<'_>,
    sealed: &Sealed<'_>,
    hash: &mut Context,
    texts: &mut Vec<String>,
) -> Result<Value, SopsError> {
    let bad = || SopsError::Value(leaf.keys.join("."));
    let bytes = sealed.open(cipher, &leaf.place()).ok_or_else(bad)?;
    hash.update(&bytes);
    let text = String::from_utf8(bytes).map_err(|_| bad())?;
    let value = match sealed.kind {
        "str" | "bytes" | "time" => Value::from(text.as_str()),
        "int" => Value::from(text.parse::<i64>().map_err(|_| bad())?),
        "float" => serde_json::Number::from_f64(text.parse().map_err(|_| bad())?).map(Value::from).ok_or_else(bad)?,
        "bool" => Value::from(text.eq_ignore_ascii_case("true")),
        _ => return Err(bad()),
    };
    if let Some(decoded) =
        base64::engine::general_purpose::STANDARD.decode(&text).ok().and_then(|it| String::from_utf8(it).ok())
        && !decoded.is_empty()
    {
        texts.push(decoded);
    }
    texts.push(text);
    Ok(value)
}

fn check_mac(cipher: &Cipher, sops: &Value, hash: Context) -> Result<(), SopsError> {
    let text = |field: &str| sops.get(field).and_then(Value::as_str);
    let mac = text("mac").and_then(Sealed::parse).ok_or(SopsError::Malformed("it has no authentication code"))?;
    let modified = text("lastmodified").ok_or(SopsError::Malformed("it does not say when it was written"))?;
    let wanted = mac.open(cipher, modified).ok_or(SopsError::Mac)?;
    let found: String = hash.finish().as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    if bool::from(found.as_bytes().ct_eq(&wanted)) { Ok(()) } else { Err(SopsError::Mac) }
}

#[cfg(test)]
mod tests;
