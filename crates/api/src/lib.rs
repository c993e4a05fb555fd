//! Wire types of the API groups that Sluice reads and writes.
