//! Whole worlds in virtual time.

mod demo;
