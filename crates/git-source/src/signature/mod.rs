//! Signatures of commits and tags: taken off the object, proven by a key that may sign.
//!
//! SSH signatures (`gpg.format=ssh`) of Ed25519, ECDSA (P-256, P-384) and RSA keys are verified, those of security keys
//! included. OpenPGP and X.509 signatures are known and refused.

mod signers;
mod ssh;

use object_model::Timestamp;

use crate::id::GitId;
use crate::object::{GitObject, ObjectError, ObjectKind, ObjectSource, tag_target};
use crate::repository::Repository;

pub use signers::AllowedSigners;

/// The namespace in which Git signs.
const NAMESPACE: &[u8] = b"git";
const SSH_BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const SSH_END: &str = "-----END SSH SIGNATURE-----";
/// The largest signature that is read, in bytes.
const SIGNATURE_BYTES_MAX: usize = 64 << 10;

/// Who signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The name that the list of signers gives to the key; its fingerprint when it gives none.
    pub by: String,
    /// The fingerprint of the key, as OpenSSH writes it.
    pub fingerprint: String,
}

/// Why a commit or tag does not count as signed.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// There is no signature.
    #[error("{what} is not signed")]
    Missing {
        /// The commit or tag.
        what: String,
    },
    /// The signature is of a kind that is not verified here.
    #[error("{what} has a signature by {kind}, which is not verified here")]
    Unsupported {
        /// The commit or tag.
        what: String,
        /// The kind.
        kind: &'static str,
    },
    /// The signature can't be read, or is not one for Git.
    #[error("the signature of {what} is malformed: {why}")]
    Malformed {
        /// The commit or tag.
        what: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The key is on no list.
    #[error("{what} is signed by key {fingerprint}, which is not an allowed signer")]
    UnknownKey {
        /// The commit or tag.
        what: String,
        /// The key.
        fingerprint: String,
    },
    /// The key is on the list, but not for now.
    #[error("{what} is signed by key {fingerprint}, which is not valid at {at}")]
    NotValidNow {
        /// The commit or tag.
        what: String,
        /// The key.
        fingerprint: String,
        /// The present moment.
        at: Timestamp,
    },
    /// The signature is of something else.
    #[error("the signature of {what} does not match its content")]
    Wrong {
        /// The commit or tag.
        what: String,
    },
    /// The object can't be read.
    #[error("failed to read what is to be verified")]
    Object(#[from] ObjectError),
}

/// Proves that a commit is signed by one of `signers`, whose key is valid at `now`.
///
/// # Errors
/// When it is not signed, or not by one of them, or can't be read.
pub fn verify_commit(
    repository: &Repository,
    commit: GitId,
    signers: &AllowedSigners,
    now: Timestamp,
) -> Result<Signed, SignatureError> {
    let object = repository.object(&commit)?.expect(ObjectKind::Commit)?;
    let what = format!("commit {commit}");
    let (payload, signature) = parts_of_commit(&object, &what)?;
    verify(&what, &payload, &signature, signers, now)
}

/// The same for the annotated tag at a full reference name, which has to lead to `commit` and bear the very name: a
/// signed tag under another name would be another release.
///
/// # Errors
/// As [`verify_commit`]; a lightweight tag is not signed.
pub fn verify_tag(
    repository: &Repository,
    reference: &str,
    commit: GitId,
    signers: &AllowedSigners,
    now: Timestamp,
) -> Result<Signed, SignatureError> {
    let name = reference.strip_prefix("refs/tags/").unwrap_or(reference);
    let what = format!("tag {name}");
    let missing = || SignatureError::Missing { what: what.clone() };
    let id = repository.refs()?.refs.get(reference).copied().ok_or_else(missing)?;
    let object = repository.object(&id)?;
    if object.kind() != ObjectKind::Tag {
        return Err(missing());
    }
    if tag_target(&object)? != commit {
        return Err(SignatureError::Malformed { what, why: "it is of a tag that leads to another object" });
    }
    if named_in(&object) != Some(name) {
        return Err(SignatureError::Malformed { what, why: "it is of a tag of another name" });
    }
    let (payload, signature) = parts_of_tag(&object, &what)?;
    verify(&what, payload, &signature, signers, now)
}

fn verify(
    what: &str,
    payload: &[u8],
    signature: &str,
    signers: &AllowedSigners,
    now: Timestamp,
) -> Result<Signed, SignatureError> {
    let malformed = |why| SignatureError::Malformed { what: what.to_owned(), why };
    if signature.len() > SIGNATURE_BYTES_MAX {
        return Err(malformed("it is too large"));
    }
    if signature.starts_with("-----BEGIN PGP") {
        return Err(SignatureError::Unsupported { what: what.to_owned(), kind: "OpenPGP" });
    }
    if signature.starts_with("-----BEGIN SIGNED MESSAGE") {
        return Err(SignatureError::Unsupported { what: what.to_owned(), kind: "X.509" });
    }
    let signature = ssh::Signature::parse(signature).map_err(malformed)?;
    let fingerprint = ssh::fingerprint(&signature.key);
    if signature.namespace != NAMESPACE {
        return Err(malformed("it was made for something else than Git"));
    }
    let Some(signer) = signers.find(&signature.key) else {
        return Err(SignatureError::UnknownKey { what: what.to_owned(), fingerprint });
    };
    if !signature.is_of(payload).map_err(malformed)? {
        return Err(SignatureError::Wrong { what: what.to_owned() });
    }
    let Some(by) = signer.valid_at(now) else {
        return Err(SignatureError::NotValidNow { what: what.to_owned(), fingerprint, at: now });
    };
    let by = if by.is_empty() { fingerprint.clone() } else { by.to_owned() };
    Ok(Signed { by, fingerprint })
}

/// The commit without its signature, and the signature.
fn parts_of_commit(object: &GitObject, what: &str) -> Result<(Vec<u8>, String), SignatureError> {
    let malformed = |why| SignatureError::Malformed { what: what.to_owned(), why };
    let bytes = object.bytes();
    let head = bytes.windows(2).position(|pair| pair == b"\n\n").map_or(bytes.len(), |at| at + 1);
    let (head, rest) = bytes.split_at_checked(head).unwrap_or((bytes, b""));
    let mut payload = Vec::with_capacity(bytes.len());
    let mut signature: Option<String> = None;
    let mut in_signature = false;
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b"gpgsig-") {
            return Err(malformed("there is one of another kind beside it"));
        }
        if let Some(first) = line.strip_prefix(b"gpgsig ") {
            if signature.is_some() {
                return Err(malformed("there are two of them"));
            }
            in_signature = true;
            signature = Some(text(first).ok_or_else(|| malformed("it is no text"))?);
        } else if let (true, Some(more)) = (in_signature, line.strip_prefix(b" ")) {
            let more = text(more).ok_or_else(|| malformed("it is no text"))?;
            signature.get_or_insert_default().push_str(&more);
        } else {
            in_signature = false;
            payload.extend_from_slice(line);
        }
    }
    payload.extend_from_slice(rest);
    match signature {
        Some(signature) => Ok((payload, signature)),
        None => Err(SignatureError::Missing { what: what.to_owned() }),
    }
}

/// The tag up to its signature, and the signature, which stands at the end of the message.
fn parts_of_tag<'o>(object: &'o GitObject, what: &str) -> Result<(&'o [u8], String), SignatureError> {
    let bytes = object.bytes();
    let begins = [SSH_BEGIN, "-----BEGIN PGP SIGNATURE-----", "-----BEGIN SIGNED MESSAGE-----"];
    let at = begins.iter().filter_map(|begin| {
        let begin = begin.as_bytes();
        let is_line = |at: &usize| *at == 0 || bytes.get(at - 1) == Some(&b'\n');
        bytes.windows(begin.len()).enumerate().filter(|(_, window)| *window == begin).map(|(at, _)| at).find(is_line)
    });
    let Some((payload, signature)) = at.min().and_then(|at| bytes.split_at_checked(at)) else {
        return Err(SignatureError::Missing { what: what.to_owned() });
    };
    let signature = text(signature);
    let signature =
        signature.ok_or_else(|| SignatureError::Malformed { what: what.to_owned(), why: "it is no text" })?;
    Ok((payload, signature))
}

/// The name in the head of a tag object.
fn named_in(object: &GitObject) -> Option<&str> {
    let text = std::str::from_utf8(object.bytes().get(..4096.min(object.bytes().len()))?);
    let text = match text {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(object.bytes().get(..error.valid_up_to())?).ok()?,
    };
    text.split("\n\n").next()?.lines().find_map(|line| line.strip_prefix("tag "))
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}
