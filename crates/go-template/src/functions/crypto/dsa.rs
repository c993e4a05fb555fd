//! DSA keys: made and written, never used to sign, as in Go.

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, NonZero, Odd, Resize as _};
use crypto_primes::Flavor;

use super::der::{DerError, Reader, integer, sequence};
use super::seeded::Seeded;

const MODULUS_BITS: u32 = 2_048;
const ORDER_BITS: u32 = 256;

/// How many numbers are tried for the modulus; about one of 700 odd ones is prime.
const TRIES_MAX: u32 = 100_000;

/// A private key with its parameters, all as bytes without leading zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DsaKey {
    numbers: [Vec<u8>; 5],
}

impl DsaKey {
    /// Makes parameters and a key; none when no modulus was found.
    pub(crate) fn generate(random: &mut Seeded) -> Option<Self> {
        let order: BoxedUint = crypto_primes::random_prime(random, Flavor::Any, ORDER_BITS);
        let order_wide = order.clone().resize(MODULUS_BITS);
        let step = NonZero::new(order_wide.wrapping_add(&order_wide)).into_option()?;
        let modulus = modulus_for(&step, random)?;
        let one = BoxedUint::one_with_precision(MODULUS_BITS);
        let cofactor = modulus.wrapping_sub(&one).wrapping_div(&NonZero::new(order_wide).into_option()?);
        let parameters = BoxedMontyParams::new(Odd::new(modulus.clone()).into_option()?);
        let power = |base: &BoxedUint, exponent: &BoxedUint| {
            BoxedMontyForm::new(base.clone(), &parameters).pow(exponent).retrieve()
        };
        let generator = (2_u64..64)
            .map(|base| power(&BoxedUint::from(base).resize(MODULUS_BITS), &cofactor))
            .find(|generator| *generator != one)?;
        let mut bytes = [0; ORDER_BITS as usize / 8];
        // The order has its highest bit set: a number of one bit less is below it.
        random.fill(&mut bytes);
        if let Some(first) = bytes.first_mut() {
            *first &= 0x7F;
        }
        let secret = BoxedUint::from_be_slice(&bytes, ORDER_BITS).ok()?;
        let public = power(&generator, &secret.clone().resize(MODULUS_BITS));
        Some(Self { numbers: [modulus, order, generator, public, secret].map(|number| number.to_be_bytes().to_vec()) })
    }

    /// Writes version, p, q, g, y and x.
    pub(crate) fn to_der(&self) -> Vec<u8> {
        let mut values = vec![integer(&[0])];
        values.extend(self.numbers.iter().map(|number| integer(number)));
        sequence(&values)
    }

    /// Reads what [`DsaKey::to_der`] writes.
    pub(crate) fn from_der(bytes: &[u8]) -> Result<Self, DerError> {
        let mut outer = Reader::new(bytes);
        let mut inner = outer.sequence()?;
        inner.integer()?;
        let mut number = || inner.integer().map(<[u8]>::to_vec);
        Ok(Self { numbers: [number()?, number()?, number()?, number()?, number()?] })
    }
}

/// A prime that is one more than a multiple of the step.
fn modulus_for(step: &NonZero<BoxedUint>, random: &mut Seeded) -> Option<BoxedUint> {
    let one = BoxedUint::one_with_precision(MODULUS_BITS);
    for _ in 0..TRIES_MAX {
        let mut bytes = vec![0; MODULUS_BITS as usize / 8];
        random.fill(&mut bytes);
        if let Some(first) = bytes.first_mut() {
            *first |= 0x80;
        }
        let number = BoxedUint::from_be_slice(&bytes, MODULUS_BITS).ok()?;
        let candidate = number.wrapping_sub(number.rem(step)).wrapping_add(&one);
        if candidate.bits() == MODULUS_BITS && crypto_primes::is_prime(Flavor::Any, &candidate) {
            return Some(candidate);
        }
    }
    None
}
