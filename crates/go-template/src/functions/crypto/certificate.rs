//! X.509 certificates as Go's `crypto/x509` makes them from sprig's templates.

use core::net::IpAddr;

use sha2_next::{Digest, Sha256};

use super::super::time::Time;
use super::der::{self, DerError, Reader, tag};
use super::keys::PrivateKey;

const COMMON_NAME: &[u32] = &[2, 5, 4, 3];
const SUBJECT_KEY_ID: &[u32] = &[2, 5, 29, 14];
const KEY_USAGE: &[u32] = &[2, 5, 29, 15];
const ALTERNATIVE_NAMES: &[u32] = &[2, 5, 29, 17];
const BASIC_CONSTRAINTS: &[u32] = &[2, 5, 29, 19];
const AUTHORITY_KEY_ID: &[u32] = &[2, 5, 29, 35];
const EXTENDED_KEY_USAGE: &[u32] = &[2, 5, 29, 37];
const SERVER_AUTH: &[u32] = &[1, 3, 6, 1, 5, 5, 7, 3, 1];
const CLIENT_AUTH: &[u32] = &[1, 3, 6, 1, 5, 5, 7, 3, 2];

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Authority,
    Leaf,
}

/// What a certificate says, but for its key and who signs it.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    pub(crate) common_name: Vec<u8>,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) names: Vec<Vec<u8>>,
    pub(crate) serial: [u8; 16],
    pub(crate) not_before: Time,
    pub(crate) not_after: Time,
    pub(crate) role: Role,
}

/// Who signs: its name, its key identifier and its key as its certificate holds it.
#[derive(Debug, Clone)]
pub(crate) struct Issuer {
    pub(crate) name: Vec<u8>,
    pub(crate) key_id: Vec<u8>,
    pub(crate) key_info: Vec<u8>,
}

impl Issuer {
    /// Reads what is needed of the issuer's certificate.
    pub(crate) fn from_der(bytes: &[u8]) -> Result<Self, DerError> {
        let mut outer = Reader::new(bytes);
        let mut certificate = outer.sequence()?;
        outer.end()?;
        let mut body = certificate.sequence()?;
        body.optional(tag::explicit(0))?;
        body.integer()?;
        body.sequence()?;
        body.sequence()?;
        body.sequence()?;
        let name = body.expect(tag::SEQUENCE)?.whole.to_vec();
        let key_info = body.expect(tag::SEQUENCE)?.whole.to_vec();
        let mut key_id = Vec::new();
        while !body.is_at_end() {
            let part = body.any()?;
            if part.tag != tag::explicit(3) {
                continue;
            }
            let mut extensions = Reader::new(part.content).sequence()?;
            while !extensions.is_at_end() {
                let mut extension = extensions.sequence()?;
                let identifier = extension.expect(tag::OBJECT_IDENTIFIER)?.whole;
                extension.optional(tag::BOOLEAN)?;
                let content = extension.expect(tag::OCTET_STRING)?.content;
                if identifier == der::object_identifier(SUBJECT_KEY_ID) {
                    key_id = Reader::new(content).expect(tag::OCTET_STRING)?.content.to_vec();
                }
            }
        }
        // The signature stands behind.
        certificate.sequence()?;
        certificate.bit_string()?;
        Ok(Self { name, key_id, key_info })
    }
}

/// Makes a certificate for a key; without an issuer it is signed by the key itself.
pub(crate) fn sign(
    template: &Template,
    key: &PrivateKey,
    issuer: Option<&Issuer>,
    signer: &PrivateKey,
) -> Result<Vec<u8>, String> {
    let algorithm =
        signer.signature_algorithm().ok_or("x509: certificate private key does not implement crypto.Signer")?;
    let public = key.public_key().ok_or("x509: unsupported public key type: *dsa.PublicKey")?;
    if let Some(issuer) = issuer
        && signer.public_key().is_none_or(|public| public.info != issuer.key_info)
    {
        return Err("x509: provided PrivateKey doesn't match parent's PublicKey".to_owned());
    }
    let subject = name(&template.common_name);
    let key_id = Sha256::digest(&public.bits).get(..20).unwrap_or_default().to_vec();
    let authority = issuer.filter(|issuer| issuer.name != subject && !issuer.key_id.is_empty());
    let body = der::sequence(&[
        der::value(tag::explicit(0), &der::integer(&[2])),
        der::integer(&template.serial),
        algorithm.clone(),
        issuer.map_or_else(|| subject.clone(), |issuer| issuer.name.clone()),
        der::sequence(&[instant(&template.not_before), instant(&template.not_after)]),
        subject,
        public.info,
        der::value(tag::explicit(3), &der::sequence(&extensions(template, &key_id, authority))),
    ]);
    let signature = signer.sign(&body)?;
    Ok(der::sequence(&[body, algorithm, der::bit_string(&signature)]))
}

/// A name of a common name only; an empty one is no name at all.
fn name(common_name: &[u8]) -> Vec<u8> {
    if common_name.is_empty() {
        return der::sequence(&[]);
    }
    let is_printable = |byte: &u8| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(byte);
    let kind = if common_name.iter().all(is_printable) { tag::PRINTABLE_STRING } else { tag::UTF8_STRING };
    let attribute = der::sequence(&[der::object_identifier(COMMON_NAME), der::value(kind, common_name)]);
    der::sequence(&[der::all(tag::SET, &[attribute])])
}

/// Two digits of the year until 2049, four after.
fn instant(time: &Time) -> Vec<u8> {
    let civil = time.civil();
    let rest = format!("{:02}{:02}{:02}{:02}{:02}Z", civil.month, civil.day, civil.hour, civil.minute, civil.second);
    if (1950..2050).contains(&civil.year) {
        return der::value(tag::UTC_TIME, format!("{:02}{rest}", civil.year.rem_euclid(100)).as_bytes());
    }
    der::value(tag::GENERALIZED_TIME, format!("{:04}{rest}", civil.year.clamp(0, 9_999)).as_bytes())
}

/// Whether a reader that does not know the extension must refuse the certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weight {
    Critical,
    Plain,
}

fn extension(identifier: &[u32], weight: Weight, content: &[u8]) -> Vec<u8> {
    let mut values = vec![der::object_identifier(identifier)];
    if weight == Weight::Critical {
        values.push(der::value(tag::BOOLEAN, &[0xFF]));
    }
    values.push(der::value(tag::OCTET_STRING, content));
    der::sequence(&values)
}

fn extensions(template: &Template, key_id: &[u8], authority: Option<&Issuer>) -> Vec<Vec<u8>> {
    let is_authority = template.role == Role::Authority;
    // Digital signature, key encipherment, and for an authority the signing of certificates: bits 0, 2 and 5.
    let usage: &[u8] = if is_authority { &[2, 0b1010_0100] } else { &[5, 0b1010_0000] };
    let purposes = der::sequence(&[der::object_identifier(SERVER_AUTH), der::object_identifier(CLIENT_AUTH)]);
    let constraints =
        if is_authority { der::sequence(&[der::value(tag::BOOLEAN, &[0xFF])]) } else { der::sequence(&[]) };
    let mut extensions = vec![
        extension(KEY_USAGE, Weight::Critical, &der::value(tag::BIT_STRING, usage)),
        extension(EXTENDED_KEY_USAGE, Weight::Plain, &purposes),
        extension(BASIC_CONSTRAINTS, Weight::Critical, &constraints),
    ];
    if is_authority {
        extensions.push(extension(SUBJECT_KEY_ID, Weight::Plain, &der::value(tag::OCTET_STRING, key_id)));
    }
    if let Some(issuer) = authority {
        let content = der::sequence(&[der::value(tag::implicit(0), &issuer.key_id)]);
        extensions.push(extension(AUTHORITY_KEY_ID, Weight::Plain, &content));
    }
    if !template.names.is_empty() || !template.addresses.is_empty() {
        let mut names: Vec<Vec<u8>> = template.names.iter().map(|name| der::value(tag::implicit(2), name)).collect();
        names.extend(template.addresses.iter().map(|address| match address {
            IpAddr::V4(address) => der::value(tag::implicit(7), &address.octets()),
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(address) => der::value(tag::implicit(7), &address.octets()),
                None => der::value(tag::implicit(7), &address.octets()),
            },
        }));
        // Without a subject the names are all there is.
        let weight = if template.common_name.is_empty() { Weight::Critical } else { Weight::Plain };
        extensions.push(extension(ALTERNATIVE_NAMES, weight, &der::sequence(&names)));
    }
    extensions
}
