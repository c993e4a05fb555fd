//! The commit of a promotion or a rollback, told by what the snapshot knows.

use api::PromotionAction;
use env_promotion::{
    Action, At, ObjectReference, OperationId, PromotionMessage, RestoringMessage, Trailers, Version, promotion_message,
    restoring_message,
};

use super::snapshot::{Image, Snapshot};
use crate::Identity;

/// Longest name or address of an author.
const AUTHOR_CHARS_MAX: usize = 200;

/// The author of the commit: who asked, when that is an address, else the bot.
pub(super) fn author(snapshot: &Snapshot) -> Identity {
    let asker = snapshot.spec.requested_by.trim();
    let address = asker.strip_suffix('>').and_then(|text| text.split_once('<'));
    match address {
        Some((name, email)) if !name.trim().is_empty() && email.contains('@') => {
            Identity { name: one_line(name), email: one_line(email) }
        }
        _ => snapshot.bot.clone(),
    }
}

/// Subject, body and trailers.
pub(super) fn message(snapshot: &Snapshot, images: &[Image]) -> String {
    let spec = &snapshot.spec;
    let mut trailers = Trailers {
        operation: Some(OperationId::of_promotion(&snapshot.uid())),
        promotion: Some(ObjectReference {
            namespace: snapshot.promotion.namespace().unwrap_or_default().to_owned(),
            name: snapshot.promotion.name().to_owned(),
            uid: snapshot.uid(),
        }),
        reason: Some(spec.reason.clone()),
        requested_by: Some(spec.requested_by.clone()),
        build: provenance(snapshot, "build"),
        source: provenance(snapshot, "source").as_deref().and_then(At::parse),
        ..Trailers::default()
    };
    match spec.action {
        PromotionAction::Promote => {
            trailers.action = Some(Action::Promote);
            trailers.env = Some(spec.to.clone());
            trailers.from = source_commit(snapshot).map(|commit| At { place: spec.from.clone(), commit });
            trailers.versions = images.iter().map(|image| image.version.clone()).collect();
            let changes: Vec<(Option<Version>, Version)> =
                images.iter().map(|image| (None, image.version.clone())).collect();
            promotion_message(&PromotionMessage {
                env: &spec.to,
                from: Some(&spec.from),
                changes: &changes,
                trailers: &trailers,
            })
        }
        PromotionAction::Rollback => {
            trailers.action = Some(Action::Rollback);
            trailers.reverts = Some(spec.reverts.clone());
            trailers.from = Some(At { place: spec.config.clone(), commit: spec.restores.clone() });
            restoring_message(&RestoringMessage {
                config: &spec.config,
                bad_commit: &spec.reverts,
                good_commit: &spec.restores,
                reason: &spec.reason,
                paths: &spec.paths,
                trailers: &trailers,
            })
        }
    }
}

/// The commit that the source environment runs.
fn source_commit(snapshot: &Snapshot) -> Option<String> {
    snapshot.source_configs.values().find_map(|config| config.str_at("/status/lastHealthy/commit").map(str::to_owned))
}

/// Build or source: what the Promotion says, else what the last healthy commit of the source environment said.
fn provenance(snapshot: &Snapshot, key: &str) -> Option<String> {
    let own = snapshot.promotion.str_at(&format!("/spec/{key}"));
    let last = || {
        let configs = snapshot.source_configs.values();
        configs.filter_map(|config| config.str_at(&format!("/status/lastHealthy/{key}"))).next()
    };
    own.or_else(last).map(str::to_owned)
}

/// Control characters and line breaks become blanks: a name can't become a header of its own.
fn one_line(text: &str) -> String {
    let flat: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    flat.trim().chars().take(AUTHOR_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_not_become_a_header_of_its_own() {
        assert_eq!(one_line("Ann\ncommitter Eve <eve@example.com>\r"), "Ann committer Eve <eve@example.com>");
    }
}
