//! Figures of every part, each beside the tool it is compared with.
