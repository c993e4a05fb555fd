//! Measurements, their state machine and verdicts.
