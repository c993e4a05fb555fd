//! Masks secret values so that a diff, a record or a message shows that they differ, and never what they are.
//!
//! A mask is a keyed tag: equal values have equal masks under one key, and without the key a mask can't be tried out.
//! The caller makes the key anew for each process.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use object_model::{Object, Secret};
use serde_json::{Map, Value};
use sha2::Sha256;

use crate::normalise::LAST_APPLIED_ANNOTATION;

/// Masks values under one key.
#[derive(Debug, Clone)]
pub struct Redactor {
    key: Secret<Vec<u8>>,
}

/// Deeper than any API type nests.
const DEPTH_MAX: usize = 128;

/// Shorter values would blank out ordinary words of a message.
const SCRUBBED_MIN: usize = 4;

impl Redactor {
    /// Takes the key; make it of 32 random bytes, once per process.
    pub fn new(key: &[u8]) -> Self {
        Self { key: Secret::new(key.to_vec()) }
    }

    /// The mask of a value: `[redacted 1f3a…]`, equal for equal values.
    pub fn mask(&self, value: &[u8]) -> String {
        let Ok(mut tag) = Hmac::<Sha256>::new_from_slice(self.key.expose()) else {
            return "[redacted]".to_owned();
        };
        tag.update(value);
        let tag: String = tag.finalize().into_bytes().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        format!("[redacted {tag}]")
    }

    /// Returns the object with everything secret in it masked: the values of a Secret (`stringData` moved into `data`,
    /// one mask for one value), its copy in the last-applied annotation, and private keys anywhere.
    pub fn redact(&self, object: &Object) -> Object {
        let mut redacted = object.clone();
        let is_secret = object.kind() == "Secret" && object.group().is_empty();
        if is_secret {
            self.mask_secret(redacted.json_mut());
        }
        if let Some(text) = object.annotation(LAST_APPLIED_ANNOTATION) {
            let masked = self.mask_last_applied(text, is_secret);
            redacted.set_annotation(LAST_APPLIED_ANNOTATION, &masked);
        }
        for value in redacted.json_mut().values_mut() {
            self.mask_private_keys(value, 0);
        }
        redacted
    }

    /// Returns a message in which each of the given secret values is masked, the longest first.
    pub fn scrub<'a>(&self, message: &str, secrets: impl IntoIterator<Item = &'a Secret<String>>) -> String {
        let mut values: Vec<&String> =
            secrets.into_iter().map(Secret::expose).filter(|value| value.len() >= SCRUBBED_MIN).collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values.iter().fold(message.to_owned(), |text, value| text.replace(value.as_str(), &self.mask(value.as_bytes())))
    }

    /// The plain values of a Secret, to be given to [`Redactor::scrub`].
    pub fn values_of(secret: &Object) -> Vec<Secret<String>> {
        let mut values = BTreeSet::new();
        for (field, is_encoded) in [("/data", true), ("/stringData", false)] {
            let Some(Value::Object(map)) = secret.pointer(field) else { continue };
            for text in map.values().filter_map(Value::as_str) {
                values.insert(text.to_owned());
                if is_encoded && let Ok(bytes) = STANDARD.decode(text) {
                    values.extend(String::from_utf8(bytes));
                }
            }
        }
        values.into_iter().map(Secret::new).collect()
    }

    fn mask_secret(&self, json: &mut Map<String, Value>) {
        for (field, is_encoded) in [("data", true), ("stringData", false)] {
            match json.get_mut(field) {
                None | Some(Value::Null) => {}
                Some(Value::Object(map)) => {
                    for value in map.values_mut() {
                        *value = self.mask_value(value, is_encoded).into();
                    }
                }
                // A value of a wrong type may still be the secret.
                Some(other) => *other = self.mask(other.to_string().as_bytes()).into(),
            }
        }
        Self::fold(json);
    }

    /// Moves masked `stringData` into `data`, as the server does, so that both spellings are compared.
    fn fold(json: &mut Map<String, Value>) {
        let Some(Value::Object(plain)) = json.remove("stringData") else { return };
        match json.entry("data").or_insert_with(|| Value::Object(Map::new())) {
            Value::Object(data) => data.extend(plain),
            other => *other = Value::Object(plain),
        }
    }

    fn mask_value(&self, value: &Value, is_encoded: bool) -> String {
        let Some(text) = value.as_str() else { return self.mask(value.to_string().as_bytes()) };
        match STANDARD.decode(text) {
            Ok(bytes) if is_encoded => self.mask(&bytes),
            _ => self.mask(text.as_bytes()),
        }
    }

    fn mask_last_applied(&self, text: &str, is_secret: bool) -> String {
        let Ok(Value::Object(mut json)) = serde_json::from_str(text) else { return self.mask(text.as_bytes()) };
        if is_secret {
            self.mask_secret(&mut json);
        }
        let mut value = Value::Object(json);
        self.mask_private_keys(&mut value, 0);
        value.to_string()
    }

    fn mask_private_keys(&self, value: &mut Value, depth: usize) {
        match value {
            Value::String(text) if text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----") => {
                *text = self.mask(text.as_bytes());
            }
            Value::Array(list) if depth < DEPTH_MAX => {
                list.iter_mut().for_each(|item| self.mask_private_keys(item, depth + 1))
            }
            Value::Object(map) if depth < DEPTH_MAX => {
                map.values_mut().for_each(|item| self.mask_private_keys(item, depth + 1))
            }
            _ => {}
        }
    }
}
