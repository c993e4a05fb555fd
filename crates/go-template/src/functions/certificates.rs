//! Functions of keys and certificates. A render pays for each by steps, so that it can't ask for thousands.

use core::net::IpAddr;
use std::any::Any;

use super::crypto::certificate::{Issuer, Role, Template, sign};
use super::crypto::keys::{PrivateKey, RsaBits};
use super::crypto::pem::Block;
use super::crypto::seeded::{SEED_BYTES, Seeded};
use super::encoding::decode64;
use super::time::Time;
use super::{Answer, INT, LIST, STRING, text};
use crate::Str;
use crate::format::sprint;
use crate::function::{Args, Call, CallError, Function, Functions, Signature};
use crate::value::{Object, Type, Value};

/// Steps that keys cost: with the usual budget some thirty certificates can be made.
const RSA_2048_STEPS: usize = 1_500_000;
const RSA_4096_STEPS: usize = 10_000_000;
const DSA_STEPS: usize = 10_000_000;
const SMALL_KEY_STEPS: usize = 100_000;
const SIGNATURE_STEPS: usize = 100_000;

const CERTIFICATE: &Type = &Type::Object("sprig.certificate");

/// A certificate with its key, both in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Certificate {
    certificate: Str,
    key: Str,
}

impl Object for Certificate {
    fn object_type(&self) -> &'static Type {
        CERTIFICATE
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![("Cert", Value::Str(self.certificate.clone())), ("Key", Value::Str(self.key.clone()))]
    }

    fn is_equal(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref::<Self>() == Some(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn error(message: impl std::fmt::Display) -> CallError {
    CallError::new(message.to_string())
}

fn seeded(call: &mut Call<'_>) -> Result<Seeded, CallError> {
    let mut seed = [0; SEED_BYTES];
    call.fill(&mut seed)?;
    Ok(Seeded::new(seed))
}

fn new_key(call: &mut Call<'_>) -> Result<PrivateKey, CallError> {
    call.step(RSA_2048_STEPS)?;
    PrivateKey::generate_rsa(RsaBits::Bits2048, &mut seeded(call)?)
        .map_err(|what| error(format_args!("error generating rsa key: {what}")))
}

fn given_key(call: &mut Call<'_>, args: Args<'_>, place: usize) -> Result<PrivateKey, CallError> {
    call.step(SIGNATURE_STEPS)?;
    PrivateKey::from_pem(args.string(place)?.as_bytes())
        .map_err(|what| error(format_args!("parsing private key: {what}")))
}

pub(super) fn add(functions: &mut Functions) {
    functions.add(Function::new("genPrivateKey", Signature::fixed(&[STRING]), private_key));
    functions.add(Function::new("genCA", Signature::fixed(&[STRING, INT]), |call, args| {
        let key = new_key(call)?;
        authority(call, args, &key)
    }));
    functions.add(Function::new("genCAWithKey", Signature::fixed(&[STRING, INT, STRING]), |call, args| {
        let key = given_key(call, args, 2)?;
        authority(call, args, &key)
    }));
    functions.add(Function::new("genSelfSignedCert", Signature::fixed(&[STRING, LIST, LIST, INT]), |call, args| {
        let key = new_key(call)?;
        self_signed(call, args, &key)
    }));
    let signature = Signature::fixed(&[STRING, LIST, LIST, INT, STRING]);
    functions.add(Function::new("genSelfSignedCertWithKey", signature, |call, args| {
        let key = given_key(call, args, 4)?;
        self_signed(call, args, &key)
    }));
    let signature = Signature::fixed(&[STRING, LIST, LIST, INT, CERTIFICATE]);
    functions.add(Function::new("genSignedCert", signature, |call, args| {
        let key = new_key(call)?;
        signed(call, args, &key)
    }));
    let signature = Signature::fixed(&[STRING, LIST, LIST, INT, CERTIFICATE, STRING]);
    functions.add(Function::new("genSignedCertWithKey", signature, |call, args| {
        let key = given_key(call, args, 5)?;
        signed(call, args, &key)
    }));
    functions.add(Function::new("buildCustomCert", Signature::fixed(&[STRING, STRING]), custom));
}

fn private_key(call: &mut Call<'_>, args: Args<'_>) -> Answer {
    let kind = args.text(0)?;
    let key = match &*kind {
        "" | "rsa" => {
            call.step(RSA_4096_STEPS)?;
            PrivateKey::generate_rsa(RsaBits::Bits4096, &mut seeded(call)?)
        }
        "dsa" => {
            call.step(DSA_STEPS)?;
            PrivateKey::generate_dsa(&mut seeded(call)?)
        }
        "ecdsa" => {
            call.step(SMALL_KEY_STEPS)?;
            PrivateKey::generate_ecdsa(&mut seeded(call)?)
        }
        "ed25519" => {
            call.step(SMALL_KEY_STEPS)?;
            Ok(PrivateKey::generate_ed25519(&mut seeded(call)?))
        }
        other => return text(call, format!("Unknown type {other}")),
    };
    match key {
        Ok(key) => text(call, key.to_pem()),
        // sprig returns the failure as the text.
        Err(what) => text(call, format!("failed to generate private key: {what}")),
    }
}

/// What all certificates have in common.
fn template(
    call: &mut Call<'_>,
    common_name: &Str,
    (addresses, names): (&Value, &Value),
    days: i64,
    role: Role,
) -> Result<Template, CallError> {
    const DAY_NANOSECONDS: i64 = 86_400_000_000_000;
    let addresses = addresses_of(call, addresses)?;
    let names = names_of(call, names)?;
    let mut serial = [0; 16];
    call.fill(&mut serial)?;
    let now = call.now();
    let not_before = Time::from_unix(now.seconds, 0);
    let not_after = Time::from_unix(now.seconds, now.nanoseconds).add(days.wrapping_mul(DAY_NANOSECONDS));
    let common_name = common_name.as_bytes().to_vec();
    Ok(Template { common_name, addresses, names, serial, not_before, not_after, role })
}

fn items(value: &Value) -> &[Value] {
    match value {
        Value::List(list) => list.items(),
        _ => &[],
    }
}

fn addresses_of(call: &mut Call<'_>, value: &Value) -> Result<Vec<IpAddr>, CallError> {
    let mut addresses = Vec::new();
    for item in items(value) {
        call.step(1)?;
        let Value::Str(address) = item else {
            let shown = sprint(std::slice::from_ref(item), call.budget())?;
            return Err(error(format_args!("error parsing ip: {shown} is not a string")));
        };
        let parsed = address.as_str().and_then(|address| address.parse().ok());
        addresses.push(parsed.ok_or_else(|| error(format_args!("error parsing ip: {address}")))?);
    }
    Ok(addresses)
}

fn names_of(call: &mut Call<'_>, value: &Value) -> Result<Vec<Vec<u8>>, CallError> {
    let mut names = Vec::new();
    for item in items(value) {
        call.step(1)?;
        let Value::Str(name) = item else {
            let shown = sprint(std::slice::from_ref(item), call.budget())?;
            return Err(error(format_args!("error processing alternate dns name: {shown} is not a string")));
        };
        names.push(name.as_bytes().to_vec());
    }
    Ok(names)
}

fn finished(
    call: &mut Call<'_>,
    template: &Template,
    key: &PrivateKey,
    issuer: Option<(&Issuer, &PrivateKey)>,
) -> Answer {
    call.step(SIGNATURE_STEPS)?;
    if !template.names.iter().all(|name| name.is_ascii()) {
        let wrong = template.names.iter().find(|name| !name.is_ascii()).map(|name| String::from_utf8_lossy(name));
        let wrong = super::show::quoted(wrong.unwrap_or_default().as_bytes());
        let shown = String::from_utf8_lossy(&wrong).into_owned();
        return Err(error(format_args!("error creating certificate: x509: {shown} cannot be encoded as an IA5String")));
    }
    let signer = issuer.map_or(key, |(_, signer)| signer);
    let bytes = sign(template, key, issuer.map(|(issuer, _)| issuer), signer)
        .map_err(|what| error(format_args!("error creating certificate: {what}")))?;
    let certificate = Block { kind: "CERTIFICATE".to_owned(), bytes }.encode();
    let key = key.to_pem();
    call.produce(certificate.len() + key.len())?;
    Ok(Value::object(Certificate { certificate: certificate.into(), key: key.into() }))
}

fn authority(call: &mut Call<'_>, args: Args<'_>, key: &PrivateKey) -> Answer {
    let template = template(call, args.string(0)?, (&Value::Nil, &Value::Nil), args.int(1)?, Role::Authority)?;
    finished(call, &template, key, None)
}

fn self_signed(call: &mut Call<'_>, args: Args<'_>, key: &PrivateKey) -> Answer {
    let lists = (args.value(1), args.value(2));
    let template = template(call, args.string(0)?, lists, args.int(3)?, Role::Leaf)?;
    finished(call, &template, key, None)
}

fn signed(call: &mut Call<'_>, args: Args<'_>, key: &PrivateKey) -> Answer {
    let authority = args.object::<Certificate>(4)?;
    let block = Block::decode(authority.certificate.as_bytes()).ok_or_else(|| error("unable to decode certificate"))?;
    let issuer = Issuer::from_der(&block.bytes)
        .map_err(|what| error(format_args!("error parsing certificate: decodedSignerCert.Bytes: {what}")))?;
    let signer = PrivateKey::from_pem(authority.key.as_bytes())
        .map_err(|what| error(format_args!("error parsing private key: {what}")))?;
    let lists = (args.value(1), args.value(2));
    let template = template(call, args.string(0)?, lists, args.int(3)?, Role::Leaf)?;
    finished(call, &template, key, Some((&issuer, &signer)))
}

fn custom(call: &mut Call<'_>, args: Args<'_>) -> Answer {
    let decoded = |place: usize, what: &str| -> Result<Vec<u8>, CallError> {
        decode64(args.string(place)?.as_bytes()).map_err(|_| error(format_args!("unable to decode base64 {what}")))
    };
    let certificate = decoded(0, "certificate")?;
    let key = decoded(1, "private key")?;
    call.step(SIGNATURE_STEPS)?;
    call.produce(certificate.len() + key.len())?;
    let block = Block::decode(&certificate).ok_or_else(|| error("unable to decode certificate"))?;
    Issuer::from_der(&block.bytes)
        .map_err(|what| error(format_args!("error parsing certificate: decodedCert.Bytes: {what}")))?;
    PrivateKey::from_pem(&key).map_err(|what| error(format_args!("error parsing private key: {what}")))?;
    Ok(Value::object(Certificate { certificate: certificate.into(), key: key.into() }))
}
