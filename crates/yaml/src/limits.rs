//! How much a text may ask for before it is refused.

/// Bounds of one [`parse_with`](crate::parse_with) call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the text.
    pub bytes_max: usize,
    /// Nesting of lists and mappings. The default is what `serde_json` can read back.
    pub depth_max: usize,
    /// Documents of the text.
    pub documents_max: usize,
    /// Values of all documents together, aliases expanded.
    pub values_max: usize,
    /// Bytes of scalars and keys that aliases and merges may add to what stands in the text.
    pub alias_bytes_max: usize,
    /// Values that aliases and merges may add to those that stand in the text.
    pub alias_values_max: usize,
    /// Faults reported before the rest of the text is given up.
    pub diagnostics_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes_max: 32 << 20,
            depth_max: 127,
            documents_max: 10_000,
            values_max: 2_000_000,
            alias_bytes_max: 8 << 20,
            alias_values_max: 100_000,
            diagnostics_max: 20,
        }
    }
}
