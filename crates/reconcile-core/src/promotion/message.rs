//! The commit message of a promotion or a rollback.

use super::snapshot::{Snapshot, repository_of};
use crate::Identity;
use api::PromotionAction;

/// The author of the commit: who asked, when that is an address, else the bot.
pub(super) fn author(snapshot: &Snapshot) -> Identity {
    let asker = snapshot.spec.requested_by.trim();
    let address = asker.strip_suffix('>').and_then(|text| text.split_once('<'));
    match address {
        Some((name, email)) if !name.trim().is_empty() && email.contains('@') => {
            Identity { name: one_line(name.trim()), email: one_line(email) }
        }
        _ => snapshot.bot.clone(),
    }
}

/// Subject, body and trailers; every value is one line, so that nothing can forge a trailer.
pub(super) fn message(snapshot: &Snapshot, images: &[(String, String)]) -> String {
    let (subject, body, mut trailers) = match snapshot.spec.action {
        PromotionAction::Promote => promote(snapshot, images),
        PromotionAction::Rollback => rollback(snapshot),
    };
    trailers.insert(0, ("Sluice-Operation", snapshot.operation()));
    trailers.push(("Sluice-Promotion", format!("{}@{}", crate::Key::of(&snapshot.promotion), snapshot.uid())));
    for (key, pointer) in [("Sluice-Build", "/spec/build"), ("Sluice-Source", "/spec/source")] {
        let value = snapshot.promotion.str_at(pointer).map(str::to_owned).or_else(|| provenance(snapshot, key));
        trailers.extend(value.map(|value| (key, value)));
    }
    if !snapshot.spec.requested_by.is_empty() {
        trailers.push(("Sluice-Requested-By", snapshot.spec.requested_by.clone()));
    }
    if !snapshot.spec.reason.is_empty() {
        trailers.push(("Sluice-Reason", snapshot.spec.reason.clone()));
    }
    let trailers: Vec<String> = trailers.iter().map(|(key, value)| format!("{key}: {}", one_line(value))).collect();
    format!("{subject}\n\n{body}\n\n{}\n", trailers.join("\n"))
}

type Parts = (String, String, Vec<(&'static str, String)>);

fn promote(snapshot: &Snapshot, images: &[(String, String)]) -> Parts {
    let spec = &snapshot.spec;
    let names: Vec<String> =
        images.iter().map(|(repository, image)| format!("{} {}", short(repository), tag_of(image))).collect();
    let subject = one_line(&format!("Promote {} from {} to {}", names.join(", "), spec.from, spec.to));
    let body = format!("Edits only the image in the directory of {}.", one_line(&spec.to));
    let mut trailers = vec![("Sluice-Action", "promote".to_owned()), ("Sluice-Env", spec.to.clone())];
    if let Some(commit) = source_commit(snapshot) {
        trailers.push(("Sluice-From", format!("{}@{commit}", spec.from)));
    }
    trailers
        .extend(images.iter().map(|(repository, image)| ("Sluice-Version", format!("{}={image}", short(repository)))));
    (subject, body, trailers)
}

fn rollback(snapshot: &Snapshot) -> Parts {
    let spec = &snapshot.spec;
    let bad = spec.reverts.get(..12).unwrap_or(&spec.reverts);
    let good = spec.restores.get(..12).unwrap_or(&spec.restores);
    let subject = one_line(&format!("Roll back {} to {good}", spec.config));
    let paths: Vec<String> = spec.paths.iter().map(|path| format!("  {}", one_line(path))).collect();
    let body = format!(
        "This reverts commit {} in the paths that {} renders from.\nCommit {bad} failed: {}\n\nPaths:\n{}",
        one_line(&spec.reverts),
        one_line(&spec.config),
        one_line(&spec.reason),
        paths.join("\n")
    );
    let trailers = vec![
        ("Sluice-Action", "rollback".to_owned()),
        ("Sluice-Reverts", spec.reverts.clone()),
        ("Sluice-From", spec.restores.clone()),
    ];
    (subject, body, trailers)
}

/// The commit that the source environment runs.
pub(super) fn source_commit(snapshot: &Snapshot) -> Option<String> {
    snapshot.source_configs.values().find_map(|config| config.str_at("/status/lastHealthy/commit").map(str::to_owned))
}

/// Build and source of what the source environment runs, as its last healthy commit named them.
fn provenance(snapshot: &Snapshot, trailer: &str) -> Option<String> {
    let key = if trailer == "Sluice-Build" { "build" } else { "source" };
    snapshot
        .source_configs
        .values()
        .find_map(|config| config.str_at(&format!("/status/lastHealthy/{key}")).map(str::to_owned))
}

fn short(repository: &str) -> &str {
    repository.rsplit('/').next().unwrap_or(repository)
}

fn tag_of(image: &str) -> &str {
    image.strip_prefix(repository_of(image)).map_or("", |rest| rest.trim_start_matches([':', '@']))
}

/// Control characters and line breaks become blanks: a value can't become a line of its own.
fn one_line(text: &str) -> String {
    let flat: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    flat.trim().chars().take(1_000).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_can_not_become_a_trailer_of_its_own() {
        assert_eq!(one_line("ok\nSluice-Approved-By: me\r"), "ok Sluice-Approved-By: me");
    }

    #[test]
    fn the_repository_of_an_image_is_what_stands_before_tag_and_digest() {
        for (image, repository) in [
            ("web", "web"),
            ("web:v1", "web"),
            ("host:5000/web", "host:5000/web"),
            ("host:5000/web:v1@sha256:ab", "host:5000/web"),
        ] {
            assert_eq!(repository_of(image), repository);
        }
    }
}
