//! SSH signatures as `ssh-keygen -Y sign` makes them (PROTOCOL.sshsig of OpenSSH).

use base64::Engine as _;
use ring::digest::{self, SHA256, SHA384, SHA512};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512,
    RsaPublicKeyComponents, UnparsedPublicKey,
};

use super::{SSH_BEGIN, SSH_END};

const MAGIC: &[u8] = b"SSHSIG";

/// A signature that was read and not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) key: Vec<u8>,
    pub(super) namespace: Vec<u8>,
    reserved: Vec<u8>,
    hash: Vec<u8>,
    signature: Vec<u8>,
}

/// Reads the fields of SSH's binary form.
struct Fields<'b>(&'b [u8]);

impl<'b> Fields<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn string(&mut self) -> Option<&'b [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }

    fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }
}

/// The kind that a public key says it is of.
pub(super) fn kind_of(key: &[u8]) -> Option<&[u8]> {
    Fields(key).string()
}

/// A key as OpenSSH names it.
pub(super) fn fingerprint(key: &[u8]) -> String {
    let digest = digest::digest(&SHA256, key);
    format!("SHA256:{}", base64::engine::general_purpose::STANDARD_NO_PAD.encode(digest))
}

impl Signature {
    /// Reads the armoured form.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let body = text.trim().strip_prefix(SSH_BEGIN).ok_or("it is of no known kind")?;
        let body = body.strip_suffix(SSH_END).ok_or("it does not end")?;
        let packed: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let bytes = base64::engine::general_purpose::STANDARD.decode(packed).map_err(|_| "it is not base64")?;
        let mut fields = Fields(&bytes);
        if fields.take(MAGIC.len()) != Some(MAGIC) {
            return Err("it does not begin as one");
        }
        if fields.number() != Some(1) {
            return Err("it is of an unknown version");
        }
        let mut next = || fields.string().map(<[u8]>::to_vec).ok_or("it is cut off");
        let read = Self { key: next()?, namespace: next()?, reserved: next()?, hash: next()?, signature: next()? };
        if fields.is_at_end() { Ok(read) } else { Err("it has more than one signature has") }
    }

    /// Whether it is of this content, by the key that it names.
    pub(super) fn is_of(&self, content: &[u8]) -> Result<bool, &'static str> {
        let algorithm = match self.hash.as_slice() {
            b"sha256" => &SHA256,
            b"sha512" => &SHA512,
            _ => return Err("its digest is of an unknown kind"),
        };
        let digest = digest::digest(algorithm, content);
        let mut signed = MAGIC.to_vec();
        for part in [&self.namespace, &self.reserved, &self.hash, &digest.as_ref().to_vec()] {
            put_string(&mut signed, part);
        }
        let mut fields = Fields(&self.signature);
        let kind = fields.string().ok_or("it is cut off")?;
        let value = fields.string().ok_or("it is cut off")?;
        verify(&self.key, kind, value, fields, &signed)
    }
}

fn put_string(to: &mut Vec<u8>, part: &[u8]) {
    to.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
    to.extend_from_slice(part);
}

fn verify(key: &[u8], kind: &[u8], value: &[u8], mut more: Fields<'_>, message: &[u8]) -> Result<bool, &'static str> {
    let mut fields = Fields(key);
    let key_kind = fields.string().ok_or("its key is cut off")?;
    let mut next = || fields.string().ok_or("its key is cut off");
    // The kind of an RSA signature names its digest; all others are named as their key.
    let is_rsa = key_kind == b"ssh-rsa";
    if !is_rsa && kind != key_kind {
        return Err("it is of another kind than its key");
    }
    match key_kind {
        b"ssh-ed25519" => Ok(UnparsedPublicKey::new(&ED25519, next()?).verify(message, value).is_ok()),
        b"ecdsa-sha2-nistp256" | b"ecdsa-sha2-nistp384" => {
            let (_curve, point) = (next()?, next()?);
            ecdsa(key_kind, point, value, message)
        }
        b"ssh-rsa" => {
            let (exponent, modulus) = (next()?, next()?);
            rsa(kind, exponent, modulus, value, message)
        }
        b"sk-ssh-ed25519@openssh.com" => {
            let (point, application) = (next()?, next()?);
            let touched = by_security_key(application, &mut more, message)?;
            Ok(UnparsedPublicKey::new(&ED25519, point).verify(&touched, value).is_ok())
        }
        b"sk-ecdsa-sha2-nistp256@openssh.com" => {
            let (_curve, point, application) = (next()?, next()?, next()?);
            let touched = by_security_key(application, &mut more, message)?;
            ecdsa(b"ecdsa-sha2-nistp256", point, value, &touched)
        }
        _ => Err("its key is of an unknown kind"),
    }
}

/// What a security key signs: it adds that somebody was there, and how often it was used.
fn by_security_key(application: &[u8], more: &mut Fields<'_>, message: &[u8]) -> Result<Vec<u8>, &'static str> {
    let flags = more.take(1).ok_or("it is cut off")?;
    let counter = more.take(4).ok_or("it is cut off")?;
    if flags.first().is_none_or(|flags| flags & 1 == 0) {
        return Err("nobody touched its security key");
    }
    let mut signed = digest::digest(&SHA256, application).as_ref().to_vec();
    signed.extend_from_slice(flags);
    signed.extend_from_slice(counter);
    signed.extend_from_slice(digest::digest(&SHA256, message).as_ref());
    Ok(signed)
}

fn ecdsa(kind: &[u8], point: &[u8], value: &[u8], message: &[u8]) -> Result<bool, &'static str> {
    let (algorithm, length) = match kind {
        b"ecdsa-sha2-nistp256" => (&ECDSA_P256_SHA256_FIXED, SHA256.output_len()),
        _ => (&ECDSA_P384_SHA384_FIXED, SHA384.output_len()),
    };
    let mut fields = Fields(value);
    let mut fixed = Vec::with_capacity(2 * length);
    for _ in 0..2 {
        let number = positive(fields.string().ok_or("it is cut off")?);
        let padding = length.checked_sub(number.len()).ok_or("a number of it is too large")?;
        fixed.resize(fixed.len() + padding, 0);
        fixed.extend_from_slice(number);
    }
    Ok(UnparsedPublicKey::new(algorithm, point).verify(message, &fixed).is_ok())
}

fn rsa(kind: &[u8], exponent: &[u8], modulus: &[u8], value: &[u8], message: &[u8]) -> Result<bool, &'static str> {
    let algorithm = match kind {
        b"rsa-sha2-256" => &RSA_PKCS1_2048_8192_SHA256,
        b"rsa-sha2-512" => &RSA_PKCS1_2048_8192_SHA512,
        _ => return Err("it is by RSA with a digest that is too weak"),
    };
    let key = RsaPublicKeyComponents { n: positive(modulus), e: positive(exponent) };
    Ok(key.verify(algorithm, message, value).is_ok())
}

/// A number without the zeros before it.
fn positive(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn arbitrary_signatures_never_panic(bytes: Vec<u8>, key: Vec<u8>, value: Vec<u8>) {
            let armoured = format!("{SSH_BEGIN}\n{}\n{SSH_END}\n", base64::engine::general_purpose::STANDARD.encode(&bytes));
            let _ = Signature::parse(&armoured);
            for kind in ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa", "sk-ssh-ed25519@openssh.com"] {
                let mut blob = Vec::new();
                put_string(&mut blob, kind.as_bytes());
                blob.extend_from_slice(&key);
                let _ = verify(&blob, kind.as_bytes(), &value, Fields(&bytes), b"message");
            }
        }
    }
}
