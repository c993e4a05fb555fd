//! Random text and numbers, all drawn from the execution's entropy.

use super::encoding::BASE64;
use super::{Answer, INT, STRING, runes, text};
use crate::function::{Args, Call, CallError, Function, Functions, Signature};
use crate::value::Value;

const COUNT: Signature = Signature::fixed(&[INT]);

const DIGITS: &[u8] = b"0123456789";
const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ALPHANUMERIC: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Everything that can be printed, the blank included.
const ASCII: std::ops::Range<u8> = 32..127;

/// Returns a number below `bound`, each as likely as the others.
pub(super) fn below(call: &mut Call<'_>, bound: u64) -> Result<u64, CallError> {
    let bound = bound.max(1);
    // What is left of the numbers after the last whole round would make some likelier.
    let fair = u64::MAX - u64::MAX % bound;
    loop {
        let mut bytes = [0; 8];
        call.fill(&mut bytes)?;
        let number = u64::from_be_bytes(bytes);
        if number < fair {
            return Ok(number % bound);
        }
    }
}

pub(super) fn add(functions: &mut Functions) {
    functions.add(Function::new("randAlphaNum", COUNT, |call, args| drawn(call, args, ALPHANUMERIC)));
    functions.add(Function::new("randAlpha", COUNT, |call, args| drawn(call, args, LETTERS)));
    functions.add(Function::new("randNumeric", COUNT, |call, args| drawn(call, args, DIGITS)));
    functions.add(Function::new("randAscii", COUNT, |call, args| {
        let all: Vec<u8> = ASCII.collect();
        drawn(call, args, &all)
    }));
    functions.add(Function::new("randBytes", COUNT, |call, args| {
        let count =
            usize::try_from(args.int(0)?).map_err(|_| CallError::new("runtime error: makeslice: len out of range"))?;
        call.produce(count)?;
        let mut bytes = vec![0; count];
        call.fill(&mut bytes)?;
        text(call, BASE64.encode(&bytes))
    }));
    functions.add(Function::new("randInt", Signature::fixed(&[INT, INT]), |call, args| {
        let (least, bound) = (args.int(0)?, args.int(1)?);
        let range = u64::try_from(bound.wrapping_sub(least)).ok().filter(|&range| range > 0);
        let range = range.ok_or_else(|| CallError::new("invalid argument to Intn"))?;
        Ok(Value::int(least.wrapping_add_unsigned(below(call, range)?)))
    }));
    functions.add(Function::new("shuffle", Signature::fixed(&[STRING]), |call, args| {
        let mut all: Vec<char> = runes::runes(args.string(0)?.as_bytes()).map(|(rune, _)| rune).collect();
        for last in (1..all.len()).rev() {
            let other = below(call, last as u64 + 1)?;
            all.swap(last, usize::try_from(other).unwrap_or(last));
        }
        text(call, all.into_iter().collect::<String>())
    }));
    functions.add(Function::new("uuidv4", Signature::fixed(&[]), |call, _| {
        let mut bytes = [0_u8; 16];
        call.fill(&mut bytes)?;
        let number = u128::from_be_bytes(bytes);
        let number = number & !(0xF << 76) | 4 << 76;
        let number = number & !(0b11 << 62) | 0b10 << 62;
        let digits = format!("{number:032x}");
        let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| digits.get(part).unwrap_or_default());
        text(call, parts.join("-"))
    }));
}

fn drawn(call: &mut Call<'_>, args: Args<'_>, from: &[u8]) -> Answer {
    // goutils answers a negative count with an error, which sprig drops.
    let count = usize::try_from(args.int(0)?).unwrap_or(0);
    call.produce(count)?;
    let mut drawn = Vec::with_capacity(count);
    for _ in 0..count {
        let place = usize::try_from(below(call, from.len() as u64)?).unwrap_or(0);
        drawn.extend(from.get(place));
    }
    Ok(Value::Str(drawn.into()))
}
