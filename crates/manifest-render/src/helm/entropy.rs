//! Randomness that is the same for every render of a config.

use std::collections::BTreeMap;

use go_template::Entropy;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Bytes from a secret seed, the name of the template that asks, and how often it has asked.
///
/// A password that a chart makes up stays what it was as long as the seed and the template's own calls stay.
#[derive(Debug, Clone)]
pub struct SeededEntropy {
    seed: Vec<u8>,
    ordinals: BTreeMap<String, u64>,
}

impl SeededEntropy {
    /// Returns the entropy of a seed.
    pub fn new(seed: &[u8]) -> Self {
        Self { seed: seed.to_vec(), ordinals: BTreeMap::new() }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&mut self, template: &str, bytes: &mut [u8]) {
        let ordinal = self.ordinals.entry(template.to_owned()).or_insert(0);
        *ordinal += 1;
        // Keys of any length are taken, so this does not fail.
        let Ok(keyed) = Hmac::<Sha256>::new_from_slice(&self.seed) else { return };
        for (index, chunk) in (0_u64..).zip(bytes.chunks_mut(32)) {
            let mut block = keyed.clone();
            block.update(template.as_bytes());
            block.update(&[0]);
            block.update(&ordinal.to_be_bytes());
            block.update(&index.to_be_bytes());
            let block = block.finalize().into_bytes();
            chunk.iter_mut().zip(block).for_each(|(byte, from)| *byte = from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_the_same_for_a_seed_and_differ_between_templates_and_calls() {
        let draw = |seed: &[u8], templates: &[&str]| -> Vec<[u8; 40]> {
            let mut entropy = SeededEntropy::new(seed);
            let one = |template: &&str| {
                let mut bytes = [0; 40];
                entropy.fill(template, &mut bytes);
                bytes
            };
            templates.iter().map(one).collect()
        };
        let first = draw(b"uid-1", &["a", "a", "b"]);
        assert_eq!(first, draw(b"uid-1", &["a", "a", "b"]));
        assert!(first[0] != first[1] && first[0] != first[2]);
        assert_eq!(first[2], draw(b"uid-1", &["b"])[0]);
        assert_ne!(first[0], draw(b"uid-2", &["a"])[0]);
    }
}
