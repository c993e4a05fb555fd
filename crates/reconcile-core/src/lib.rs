//! Snapshot to plan, purely.
