//! A stream of random bytes out of a seed.

use std::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};
use sha2_next::{Digest, Sha256};

/// Bytes of a seed.
pub(crate) const SEED_BYTES: usize = 32;

/// Blocks of SHA-256 over the seed and a counter: as good as the seed, and the same for the same seed.
pub(crate) struct Seeded {
    seed: [u8; SEED_BYTES],
    counter: u64,
    block: [u8; 32],
    used: usize,
}

impl Seeded {
    /// Returns the stream of a seed.
    pub(crate) fn new(seed: [u8; SEED_BYTES]) -> Self {
        Self { seed, counter: 0, block: [0; 32], used: 32 }
    }

    fn next_byte(&mut self) -> u8 {
        if self.used >= self.block.len() {
            let mut digest = Sha256::new();
            digest.update(self.seed);
            digest.update(self.counter.to_be_bytes());
            self.block = digest.finalize().into();
            self.counter = self.counter.wrapping_add(1);
            self.used = 0;
        }
        let byte = self.block.get(self.used).copied().unwrap_or(0);
        self.used += 1;
        byte
    }

    /// Fills bytes.
    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self.next_byte();
        }
    }
}

impl TryRng for Seeded {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        Ok(u32::from_be_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        Ok(u64::from_be_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Seeded {}
