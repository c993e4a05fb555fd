//! The real world around the core.
