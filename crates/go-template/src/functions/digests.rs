//! Checksums as hexadecimal text.

use sha1::Sha1;
use sha2_next::{Digest, Sha256, Sha512};

use super::{Answer, STRING, text};
use crate::function::{Args, Call, Function, Functions, Signature};

const TEXT: Signature = Signature::fixed(&[STRING]);

pub(super) fn add(functions: &mut Functions) {
    functions.add(Function::new("sha1sum", TEXT, digest::<Sha1>));
    functions.add(Function::new("sha256sum", TEXT, digest::<Sha256>));
    functions.add(Function::new("sha512sum", TEXT, digest::<Sha512>));
    functions.add(Function::new("adler32sum", TEXT, |call, args| {
        let given = args.string(0)?.as_bytes();
        call.step(given.len() / 64)?;
        text(call, adler2::adler32_slice(given).to_string())
    }));
}

fn digest<D: Digest>(call: &mut Call<'_>, args: Args<'_>) -> Answer {
    let given = args.string(0)?.as_bytes();
    call.step(given.len() / 64)?;
    let mut digest = D::new();
    digest.update(given);
    text(call, hexadecimal(&digest.finalize()))
}

/// Writes bytes in hexadecimal.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
