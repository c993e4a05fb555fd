//! The names of the Services that lead to the canary and to stable: two fixed ones, two that take turns, or both pairs.
//!
//! Of two that take turns none changes its pods while it has traffic: at a promotion they change their roles instead.

use api::argo::{Canary, RolloutStatus};

/// `status.canary.stablePingPong` while the ping Service leads to stable.
const PING: &str = "ping";
/// The same for the pong Service.
const PONG: &str = "pong";

/// The names of the Services that lead to the two versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceNames {
    /// The one for the canary.
    pub canary: Option<String>,
    /// The one for stable.
    pub stable: Option<String>,
}

impl ServiceNames {
    /// The two fixed ones.
    pub(super) fn fixed(canary: &Canary) -> Self {
        Self { canary: canary.canary_service.clone(), stable: canary.stable_service.clone() }
    }

    /// The two that take turns, in the roles that the status tells.
    pub(super) fn in_turns(canary: &Canary, status: &RolloutStatus) -> Option<Self> {
        let pair = canary.ping_pong.as_ref()?;
        let (ping, pong) = (Some(pair.ping.clone()), Some(pair.pong.clone()));
        Some(match stable_is_ping(status) {
            true => Self { stable: ping, canary: pong },
            false => Self { stable: pong, canary: ping },
        })
    }
}

/// Whether the ping Service leads to stable. A first version is put behind it; where another version was stable before
/// the Services began to take turns, it is the one that the next version gets.
fn stable_is_ping(status: &RolloutStatus) -> bool {
    match status.stable_ping_pong.as_deref() {
        Some(which) => which == PING,
        None => status.stable.is_none(),
    }
}

/// The role of the ping Service after a version became stable: a first version stays where it is.
pub(super) fn after_promotion(status: &RolloutStatus) -> &'static str {
    match status.stable.is_none() || !stable_is_ping(status) {
        true => PING,
        false => PONG,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_model::PodHash;

    #[test]
    fn the_services_change_their_roles_with_every_version_but_the_first() {
        let status = |stable: Option<&str>, which: Option<&str>| RolloutStatus {
            stable: stable.map(PodHash::new),
            stable_ping_pong: which.map(str::to_owned),
            ..RolloutStatus::default()
        };
        for (stable, which, is_ping, next) in [
            (None, None, true, "ping"),
            (Some("a"), Some("ping"), true, "pong"),
            (Some("a"), Some("pong"), false, "ping"),
            (Some("a"), None, false, "ping"),
        ] {
            let status = status(stable, which);
            assert_eq!((stable_is_ping(&status), after_promotion(&status)), (is_ping, next), "{stable:?} {which:?}");
        }
    }
}
