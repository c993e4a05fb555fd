//! Scenarios over a whole cluster with virtual time.
