//! Keys, certificates and what they are written in. All randomness comes from a seed, so that the same entropy makes
//! the same keys.

pub(crate) mod certificate;
pub(crate) mod der;
pub(crate) mod dsa;
pub(crate) mod keys;
pub(crate) mod pem;
pub(crate) mod seeded;
