//! Environments, pipelines, file edits and provenance.
