//! A whole world on a stage: cluster, Git, traffic, operator, and scripts that play on it.
