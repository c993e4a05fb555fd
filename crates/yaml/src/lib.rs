//! YAML with positions, edits in place and an emitter equal to Go's.
