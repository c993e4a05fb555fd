//! The runtime on the embedded cluster, on virtual time.

mod cluster;
mod nginx;
