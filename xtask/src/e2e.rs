//! The real cluster as a check of its own: it is built and answers.

use anyhow::Result;

use crate::control_plane;

/// Builds, starts and ends the real control plane.
pub(crate) fn control_plane_starts() -> Result<()> {
    let folders = control_plane::Folders::default();
    let tools = control_plane::build(&folders.tools)?;
    let up = control_plane::up(&folders, &tools, control_plane::Foreground::No);
    control_plane::down(&folders)?;
    up.map(|_| ())
}
