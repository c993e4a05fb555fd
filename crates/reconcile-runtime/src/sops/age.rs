//! Opens what was sealed for an X25519 key of age (age-encryption.org/v1): the data keys of SOPS files.
//!
//! The primitives are ring's and curve25519-dalek's; the format around them is small. Passphrases, plugins and other kinds
//! of recipients are not opened.

use base64::Engine as _;
use curve25519_dalek::constants::X25519_BASEPOINT;
use curve25519_dalek::montgomery::MontgomeryPoint;
use object_model::Secret;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::{hkdf, hmac};

const KEY_BEGIN: &str = "age-secret-key-";
const ARMOUR_BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
const ARMOUR_END: &str = "-----END AGE ENCRYPTED FILE-----";
const VERSION: &str = "age-encryption.org/v1";
/// The largest file that is opened, in bytes: a data key is 32 bytes, and one chunk holds 64 KiB.
const FILE_BYTES_MAX: usize = 64 << 10;
/// The most recipients of one file.
const STANZAS_MAX: usize = 64;

/// A secret key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity(Secret<[u8; 32]>);

impl Identity {
    /// Reads a key as `age-keygen` writes it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let lower = text.trim().to_ascii_lowercase();
        let key = from_bech32(&lower, KEY_BEGIN)?;
        Some(Self(Secret::new(key.try_into().ok()?)))
    }

    fn shared(&self, point: [u8; 32]) -> Option<[u8; 32]> {
        let shared = MontgomeryPoint(point).mul_clamped(*self.0.expose()).to_bytes();
        (shared != [0; 32]).then_some(shared)
    }

    fn public(&self) -> [u8; 32] {
        X25519_BASEPOINT.mul_clamped(*self.0.expose()).to_bytes()
    }
}

/// Opens an armoured file with the first key that fits. `None` when none does, or somebody meddled with it.
pub(super) fn open(armoured: &str, identities: &[Identity]) -> Option<Vec<u8>> {
    let body = armoured.trim().strip_prefix(ARMOUR_BEGIN)?.strip_suffix(ARMOUR_END)?;
    if body.len() > 2 * FILE_BYTES_MAX {
        return None;
    }
    let packed: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let file = base64::engine::general_purpose::STANDARD.decode(packed).ok()?;
    let header = Header::parse(&file)?;
    let file_key = header.stanzas.iter().find_map(|stanza| identities.iter().find_map(|own| unwrap(stanza, own)))?;
    let mac_key = derive(&file_key, &[], b"header")?;
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &mac_key), header.signed, &header.mac).ok()?;
    let (nonce, sealed) = header.payload.split_at_checked(16)?;
    let key = derive(&file_key, nonce, b"payload")?;
    // One chunk, which is the last: a counter of zeros, then one.
    let mut nonce = [0; 12];
    *nonce.last_mut()? = 1;
    decrypt(&key, nonce, sealed)
}

struct Stanza {
    share: [u8; 32],
    body: Vec<u8>,
}

struct Header<'f> {
    stanzas: Vec<Stanza>,
    /// What the authentication code is of.
    signed: &'f [u8],
    mac: Vec<u8>,
    payload: &'f [u8],
}

impl<'f> Header<'f> {
    fn parse(file: &'f [u8]) -> Option<Self> {
        let end = file.windows(5).position(|window| window == b"\n--- ")?;
        let (before, rest) = file.split_at_checked(end + 1)?;
        let line_end = rest.iter().position(|byte| *byte == b'\n')?;
        let (mac_line, payload) = rest.split_at_checked(line_end)?;
        let signed = file.get(..end + 4)?;
        let mac = unpadded(std::str::from_utf8(mac_line.get(4..)?).ok()?)?;
        let mut lines = std::str::from_utf8(before).ok()?.lines();
        if lines.next()? != VERSION {
            return None;
        }
        let mut stanzas = Vec::new();
        let mut lines = lines.peekable();
        let mut seen = 0;
        while let Some(line) = lines.next() {
            seen += 1;
            if seen > STANZAS_MAX {
                return None;
            }
            let mut words = line.strip_prefix("-> ")?.split(' ');
            let (kind, share) = (words.next()?, words.next());
            let mut body = String::new();
            while let Some(more) = lines.next_if(|line| !line.starts_with("-> ")) {
                body.push_str(more);
            }
            if kind == "X25519" {
                stanzas.push(Stanza { share: unpadded(share?)?.try_into().ok()?, body: unpadded(&body)? });
            }
        }
        Some(Self { stanzas, signed, mac, payload: payload.get(1..)? })
    }
}

fn unpadded(text: &str) -> Option<Vec<u8>> {
    base64::engine::general_purpose::STANDARD_NO_PAD.decode(text).ok()
}

fn unwrap(stanza: &Stanza, own: &Identity) -> Option<Vec<u8>> {
    let shared = own.shared(stanza.share)?;
    let salt = [stanza.share, own.public()].concat();
    let key = derive(&shared, &salt, b"age-encryption.org/v1/X25519")?;
    decrypt(&key, [0; 12], &stanza.body).filter(|file_key| file_key.len() == 16)
}

/// 32 bytes by HKDF with SHA-256.
fn derive(secret: &[u8], salt: &[u8], info: &[u8]) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    extracted.expand(&[info], hkdf::HKDF_SHA256).ok()?.fill(&mut key).ok()?;
    Some(key)
}

fn decrypt(key: &[u8; 32], nonce: [u8; 12], sealed: &[u8]) -> Option<Vec<u8>> {
    let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).ok()?);
    let mut text = sealed.to_vec();
    let opened = key.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut text).ok()?;
    Some(opened.to_vec())
}

/// Reads Bech32 of one prefix, whatever its length.
fn from_bech32(text: &str, prefix: &str) -> Option<Vec<u8>> {
    const DIGITS: &str = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let data = text.strip_prefix(prefix)?.strip_prefix('1')?;
    let digits: Vec<u8> = data.chars().map(|c| u8::try_from(DIGITS.find(c)?).ok()).collect::<Option<_>>()?;
    let high = prefix.bytes().map(|byte| byte >> 5);
    let low = prefix.bytes().map(|byte| byte & 31);
    if checksum(high.chain([0]).chain(low).chain(digits.iter().copied())) != 1 {
        return None;
    }
    let (digits, _) = digits.split_at_checked(digits.len().checked_sub(6)?)?;
    let (mut bytes, mut rest, mut bits) = (Vec::new(), 0_u32, 0_u32);
    for digit in digits {
        rest = rest << 5 | u32::from(*digit);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(rest >> bits & 0xff).ok()?);
        }
        rest &= (1 << bits) - 1;
    }
    (rest == 0 && bits < 5).then_some(bytes)
}

fn checksum(values: impl Iterator<Item = u8>) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    values.fold(1, |sum, value| {
        let next = (sum & 0x1ff_ffff) << 5 ^ u32::from(value);
        let taps = GENERATOR.iter().enumerate().filter(|(bit, _)| sum >> 25 >> bit & 1 == 1);
        taps.fold(next, |next, (_, tap)| next ^ tap)
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn to_bech32(prefix: &str, bytes: &[u8]) -> String {
        const DIGITS: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
        let (mut digits, mut rest, mut bits) = (Vec::new(), 0_u32, 0);
        for byte in bytes {
            rest = rest << 8 | u32::from(*byte);
            bits += 8;
            while bits >= 5 {
                bits -= 5;
                digits.push((rest >> bits & 31) as u8);
            }
            rest &= (1 << bits) - 1;
        }
        if bits > 0 {
            digits.push((rest << (5 - bits) & 31) as u8);
        }
        let expanded = prefix.bytes().map(|byte| byte >> 5).chain([0]).chain(prefix.bytes().map(|byte| byte & 31));
        let sum = checksum(expanded.chain(digits.iter().copied()).chain([0; 6])) ^ 1;
        digits.extend((0..6).map(|place| (sum >> (5 * (5 - place)) & 31) as u8));
        let text: String = digits.iter().map(|digit| char::from(DIGITS[usize::from(*digit)])).collect();
        format!("{prefix}1{text}")
    }

    pub(crate) fn identity() -> (Identity, String) {
        let text = to_bech32(KEY_BEGIN, &[7; 32]).to_uppercase();
        (Identity::parse(&text).unwrap(), text)
    }

    /// Seals for a key with a share that is known, which only a test may do.
    pub(crate) fn seal(own: &Identity, content: &[u8]) -> String {
        let secret = [9; 32];
        let share = X25519_BASEPOINT.mul_clamped(secret).to_bytes();
        let shared = MontgomeryPoint(own.public()).mul_clamped(secret).to_bytes();
        let file_key = [5; 16];
        let encrypt = |key: &[u8; 32], nonce: [u8; 12], content: &[u8]| {
            let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).unwrap());
            let mut sealed = content.to_vec();
            key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed).unwrap();
            sealed
        };
        let salt = [share, own.public()].concat();
        let wrap = derive(&shared, &salt, b"age-encryption.org/v1/X25519").unwrap();
        let code = |bytes: &[u8]| base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes);
        let body = encrypt(&wrap, [0; 12], &file_key);
        let header = format!("{VERSION}\n-> X25519 {}\n{}\n---", code(&share), code(&body));
        let mac_key = derive(&file_key, &[], b"header").unwrap();
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &mac_key), header.as_bytes());
        let mut file = format!("{header} {}\n", code(mac.as_ref())).into_bytes();
        file.extend_from_slice(&[3; 16]);
        let mut nonce = [0; 12];
        nonce[11] = 1;
        file.extend(encrypt(&derive(&file_key, &[3; 16], b"payload").unwrap(), nonce, content));
        format!("{ARMOUR_BEGIN}\n{}\n{ARMOUR_END}\n", base64::engine::general_purpose::STANDARD.encode(file))
    }

    #[test]
    fn what_was_sealed_for_a_key_is_opened_by_it_and_by_no_other() {
        let (own, text) = identity();
        let sealed = seal(&own, b"data key");
        assert_eq!(open(&sealed, std::slice::from_ref(&own)).as_deref(), Some(b"data key".as_slice()));
        let other = Identity::parse(&to_bech32(KEY_BEGIN, &[8; 32])).unwrap();
        assert_eq!(open(&sealed, std::slice::from_ref(&other)), None);
        assert_eq!(open(&sealed, &[other, own]).as_deref(), Some(b"data key".as_slice()));
        assert_eq!(Identity::parse(&text.replace('Q', "P")), None, "the checksum is wrong");
        assert_eq!(Identity::parse("AGE-SECRET-KEY-1"), None);
    }

    #[test]
    fn a_file_that_somebody_meddled_with_is_not_opened() {
        let (own, _) = identity();
        let sealed = seal(&own, b"data key");
        let body: String = sealed.lines().filter(|line| !line.starts_with('-')).collect();
        let file = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
        for at in 0..file.len() {
            let mut bad = file.clone();
            bad[at] ^= 1;
            let bad = base64::engine::general_purpose::STANDARD.encode(bad);
            let armoured = format!("{ARMOUR_BEGIN}\n{bad}\n{ARMOUR_END}");
            assert_eq!(open(&armoured, std::slice::from_ref(&own)), None, "byte {at}");
        }
    }
}
