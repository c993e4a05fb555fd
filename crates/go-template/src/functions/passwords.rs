//! Functions of passwords: hashes, derived passwords, and AES.

use aes::Aes256;
use aes::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use hmac_next::{Hmac, KeyInit as _, Mac as _};
use sha2_next::Sha256;

use super::encoding::{BASE64, decode64};
use super::{Answer, STRING, text};
use crate::function::{Args, Call, CallError, Function, Functions, Signature};
use crate::value::{Type, UintKind};

const UINT32: &Type = &Type::Uint(UintKind::Uint32);

/// Steps that a slow hash costs.
const BCRYPT_STEPS: usize = 1_000_000;
const SCRYPT_STEPS: usize = 2_000_000;

const BCRYPT_COST: u32 = 10;
const BCRYPT_BYTES_MAX: usize = 72;
const BLOCK: usize = 16;

pub(super) fn add(functions: &mut Functions) {
    functions.add(Function::new("bcrypt", Signature::fixed(&[STRING]), |call, args| {
        let hash = hashed(call, args.string(0)?.as_bytes())?;
        text(call, hash)
    }));
    functions.add(Function::new("htpasswd", Signature::fixed(&[STRING, STRING]), |call, args| {
        let user = args.text(0)?;
        if user.contains(':') {
            return text(call, format!("invalid username: {user}"));
        }
        let hash = hashed(call, args.string(1)?.as_bytes())?;
        text(call, format!("{user}:{hash}"))
    }));
    let signature = Signature::fixed(&[UINT32, STRING, STRING, STRING, STRING]);
    functions.add(Function::new("derivePassword", signature, derived));
    functions.add(Function::new("encryptAES", Signature::fixed(&[STRING, STRING]), encrypted));
    functions.add(Function::new("decryptAES", Signature::fixed(&[STRING, STRING]), decrypted));
}

/// A bcrypt hash in its usual form; sprig returns a failure as the text.
fn hashed(call: &mut Call<'_>, password: &[u8]) -> Result<String, CallError> {
    if password.len() > BCRYPT_BYTES_MAX {
        let what = "bcrypt: password length exceeds 72 bytes";
        return Ok(format!("failed to encrypt string with bcrypt: {what}"));
    }
    call.step(BCRYPT_STEPS)?;
    let mut salt = [0; 16];
    call.fill(&mut salt)?;
    // A byte of zero ends the password.
    let mut ended = password.to_vec();
    ended.push(0);
    ended.truncate(BCRYPT_BYTES_MAX);
    let hash = bcrypt::bcrypt(BCRYPT_COST, salt, &ended);
    let hash = hash.get(..23).unwrap_or(&hash);
    Ok(format!("$2a${BCRYPT_COST:02}${}{}", bcrypt_digits(&salt), bcrypt_digits(hash)))
}

/// Base64 without padding in the alphabet of bcrypt.
fn bcrypt_digits(bytes: &[u8]) -> String {
    let to_bcrypt = |digit: u8| match digit {
        b'A' => '.',
        b'B' => '/',
        b'C'..=b'Z' => char::from(digit - 2),
        b'a' => 'Y',
        b'b' => 'Z',
        b'c'..=b'z' => char::from(digit - 2),
        b'0' => 'y',
        b'1' => 'z',
        b'2'..=b'9' => char::from(digit - 2),
        b'+' => '8',
        _ => '9',
    };
    BASE64.encode(bytes).into_iter().filter(|&digit| digit != b'=').map(to_bcrypt).collect()
}

const SEED: &[u8] = b"com.lyndir.masterpassword";

/// The forms of a kind of password: each letter stands for a class of characters.
fn forms_of(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "maximum" => &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"],
        "long" => &[
            "CvcvnoCvcvCvcv",
            "CvcvCvcvnoCvcv",
            "CvcvCvcvCvcvno",
            "CvccnoCvcvCvcv",
            "CvccCvcvnoCvcv",
            "CvccCvcvCvcvno",
            "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv",
            "CvcvCvccCvcvno",
            "CvcvnoCvcvCvcc",
            "CvcvCvcvnoCvcc",
            "CvcvCvcvCvccno",
            "CvccnoCvccCvcv",
            "CvccCvccnoCvcv",
            "CvccCvccCvcvno",
            "CvcvnoCvccCvcc",
            "CvcvCvccnoCvcc",
            "CvcvCvccCvccno",
            "CvccnoCvcvCvcc",
            "CvccCvcvnoCvcc",
            "CvccCvcvCvccno",
        ],
        "medium" => &["CvcnoCvc", "CvcCvcno"],
        "short" => &["Cvcn"],
        "basic" => &["aaanaaan", "aannaaan", "aaannaaa"],
        "pin" => &["nnnn"],
        _ => return None,
    })
}

fn characters_of(class: u8) -> &'static [u8] {
    match class {
        b'V' => b"AEIOU",
        b'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
        b'v' => b"aeiou",
        b'c' => b"bcdfghjklmnpqrstvwxyz",
        b'A' => b"AEIOUBCDFGHJKLMNPQRSTVWXYZ",
        b'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        b'n' => b"0123456789",
        b'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
        _ => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
    }
}

/// The Master Password algorithm: scrypt over password and user, an HMAC over site and counter.
fn derived(call: &mut Call<'_>, args: Args<'_>) -> Answer {
    let counter = match args.value(0) {
        crate::Value::Uint(counter, _) => u32::try_from(*counter).unwrap_or(u32::MAX),
        _ => 0,
    };
    let kind = args.text(1)?;
    let Some(forms) = forms_of(&kind) else {
        return text(call, format!("cannot find password template {kind}"));
    };
    call.step(SCRYPT_STEPS)?;
    let length_of = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
    let (password, user, site) = (args.string(2)?.as_bytes(), args.string(3)?.as_bytes(), args.string(4)?.as_bytes());
    let failed = |what: String| CallError::new(format!("failed to derive password: {what}"));
    let parameters = scrypt::Params::new(15, 8, 2).map_err(|error| failed(error.to_string()))?;
    let salt = [SEED, &length_of(user), user].concat();
    let mut key = [0; 64];
    scrypt::scrypt(password, &salt, &parameters, &mut key).map_err(|error| failed(error.to_string()))?;
    let mut code = Hmac::<Sha256>::new_from_slice(&key).map_err(|error| failed(error.to_string()))?;
    code.update(&[SEED, &length_of(site), site, &counter.to_be_bytes()].concat());
    let seed = code.finalize().into_bytes();
    let (choice, rest) = seed.split_first().map_or((0, seed.as_slice()), |(first, rest)| (usize::from(*first), rest));
    let form = forms.get(choice % forms.len()).copied().unwrap_or_default();
    let derived: Vec<u8> = form
        .bytes()
        .zip(rest)
        .filter_map(|(class, &byte)| {
            let characters = characters_of(class);
            characters.get(usize::from(byte) % characters.len()).copied()
        })
        .collect();
    text(call, derived)
}

/// The password cut or filled with zeros to the 32 bytes of a key.
fn key_of(password: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    for (byte, given) in key.iter_mut().zip(password) {
        *byte = *given;
    }
    key
}

fn encrypted(call: &mut Call<'_>, args: Args<'_>) -> Answer {
    let plain = args.string(1)?.as_bytes();
    if plain.is_empty() {
        return text(call, Vec::new());
    }
    call.step(plain.len() / 4)?;
    call.produce(plain.len().saturating_mul(2))?;
    let mut vector = [0; BLOCK];
    call.fill(&mut vector)?;
    let padding = BLOCK - plain.len() % BLOCK;
    let mut content = plain.to_vec();
    content.resize(plain.len() + padding, u8::try_from(padding).unwrap_or(0));
    let mut cipher = cbc::Encryptor::<Aes256>::new(&key_of(args.string(0)?.as_bytes()).into(), &vector.into());
    let mut written = vector.to_vec();
    for block in content.chunks_exact(BLOCK) {
        let mut bytes = [0; BLOCK];
        bytes.copy_from_slice(block);
        let mut block = bytes.into();
        cipher.encrypt_block(&mut block);
        written.extend_from_slice(&block);
    }
    text(call, BASE64.encode(&written))
}

fn decrypted(call: &mut Call<'_>, args: Args<'_>) -> Answer {
    let given = args.string(1)?.as_bytes();
    if given.is_empty() {
        return text(call, Vec::new());
    }
    call.step(given.len() / 4)?;
    call.produce(given.len())?;
    let bytes =
        decode64(given).map_err(|place| CallError::new(format!("illegal base64 data at input byte {place}")))?;
    let capacity = bytes.len();
    let out_of_range = |bounds: String| CallError::new(format!("runtime error: slice bounds out of range {bounds}"));
    let (vector, content) = bytes
        .split_first_chunk::<BLOCK>()
        .ok_or_else(|| out_of_range(format!("[:{BLOCK}] with capacity {capacity}")))?;
    if content.len() % BLOCK != 0 {
        return Err(CallError::new("crypto/cipher: input not full blocks"));
    }
    let mut cipher = cbc::Decryptor::<Aes256>::new(&key_of(args.string(0)?.as_bytes()).into(), &(*vector).into());
    let mut plain = Vec::with_capacity(content.len());
    for block in content.chunks_exact(BLOCK) {
        let mut bytes = [0; BLOCK];
        bytes.copy_from_slice(block);
        let mut block = bytes.into();
        cipher.decrypt_block(&mut block);
        plain.extend_from_slice(&block);
    }
    let Some(&padding) = plain.last() else {
        return Err(CallError::new("runtime error: index out of range [-1]"));
    };
    let Some(length) = plain.len().checked_sub(usize::from(padding)) else {
        let end = i64::try_from(plain.len()).unwrap_or(i64::MAX) - i64::from(padding);
        return Err(out_of_range(format!("[:{end}]")));
    };
    plain.truncate(length);
    text(call, plain)
}
