//! What a single object says about how it is written, in our words or in those of Argo CD and Flux.

use api::{ApplyMode, GitOpsConfig, OnImmutable};
use diff_engine::SYNC_OPTIONS_ANNOTATION;
use object_model::Object;

/// Annotation: `serverSide`, `ifNotPresent` or `replace` for one object.
const MODE: &str = "sluice.dev/apply-mode";
/// Annotation: `fail` or `recreate` for one object.
const ON_IMMUTABLE: &str = "sluice.dev/on-immutable";

/// Flux's annotation for the same: `Override`, `Merge`, `IfNotPresent` or `Ignore`.
const SSA: &str = "kustomize.toolkit.fluxcd.io/ssa";

/// How an object is written.
pub(super) fn apply_mode(spec: &GitOpsConfig, object: &Object) -> ApplyMode {
    match object.annotation(MODE) {
        Some("serverSide") => return ApplyMode::ServerSide,
        Some("ifNotPresent") => return ApplyMode::IfNotPresent,
        Some("replace") => return ApplyMode::Replace,
        _ => {}
    }
    match object.annotation(SSA) {
        Some(value) if value.eq_ignore_ascii_case("ifnotpresent") => ApplyMode::IfNotPresent,
        Some(_) => ApplyMode::ServerSide,
        _ if has_option(object, "Replace=true") => ApplyMode::Replace,
        _ => spec.apply.mode,
    }
}

/// What becomes of an object of which an immutable field changes.
pub(super) fn on_immutable(spec: &GitOpsConfig, object: &Object) -> OnImmutable {
    match object.annotation(ON_IMMUTABLE) {
        Some("recreate") => return OnImmutable::Recreate,
        Some("fail") => return OnImmutable::Fail,
        _ => {}
    }
    if is_forced(object) { OnImmutable::Recreate } else { spec.apply.on_immutable }
}

/// Whether Git has an object and wants nothing done about it, as Flux's users say it.
pub(super) fn is_left_alone(object: &Object) -> bool {
    object.annotation(SSA).is_some_and(|value| value.eq_ignore_ascii_case("ignore")) || is_not_reconciled(object)
}

/// Whether somebody holds an object, in Git or on the live one.
pub(super) fn is_not_reconciled(object: &Object) -> bool {
    object
        .annotation("kustomize.toolkit.fluxcd.io/reconcile")
        .is_some_and(|value| value.eq_ignore_ascii_case("disabled"))
}

/// Whether an object says itself that it may be made anew.
pub(super) fn speaks_for_itself(object: &Object) -> bool {
    object.annotation(ON_IMMUTABLE) == Some("recreate") || is_forced(object)
}

fn is_forced(object: &Object) -> bool {
    let by_flux = object
        .annotation("kustomize.toolkit.fluxcd.io/force")
        .is_some_and(|value| value.eq_ignore_ascii_case("enabled") || value.eq_ignore_ascii_case("true"));
    by_flux || has_option(object, "Force=true")
}

/// Whether an object that leaves Git waits until everything else is healthy.
pub(super) fn is_pruned_last(object: &Object) -> bool {
    has_option(object, "PruneLast=true")
}

fn has_option(object: &Object, option: &str) -> bool {
    let options = object.annotation(SYNC_OPTIONS_ANNOTATION).unwrap_or_default();
    options.split(',').any(|have| have.trim() == option)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_to_be_left_alone_says_so() {
        for (key, value, is_left) in [
            ("kustomize.toolkit.fluxcd.io/ssa", "Ignore", true),
            ("kustomize.toolkit.fluxcd.io/ssa", "Override", false),
            ("kustomize.toolkit.fluxcd.io/reconcile", "disabled", true),
            ("kustomize.toolkit.fluxcd.io/reconcile", "enabled", false),
        ] {
            let mut object = Object::new("v1", "ConfigMap", None, "a");
            object.set_annotation(key, value);
            assert_eq!(is_left_alone(&object), is_left, "{key}: {value}");
        }
    }

    #[test]
    fn an_object_speaks_for_itself_in_three_languages() {
        let config = json!({"apiVersion": "sluice.dev/v1", "kind": "GitOpsConfig", "metadata": {"name": "a"}});
        let (spec, _) = GitOpsConfig::parse(&Object::parse(config).unwrap());
        for (key, value, mode, immutable) in [
            ("sluice.dev/apply-mode", "ifNotPresent", ApplyMode::IfNotPresent, OnImmutable::Fail),
            ("sluice.dev/on-immutable", "recreate", ApplyMode::ServerSide, OnImmutable::Recreate),
            ("kustomize.toolkit.fluxcd.io/ssa", "IfNotPresent", ApplyMode::IfNotPresent, OnImmutable::Fail),
            ("kustomize.toolkit.fluxcd.io/ssa", "Merge", ApplyMode::ServerSide, OnImmutable::Fail),
            ("kustomize.toolkit.fluxcd.io/force", "Enabled", ApplyMode::ServerSide, OnImmutable::Recreate),
            (SYNC_OPTIONS_ANNOTATION, "Replace=true, Force=true", ApplyMode::Replace, OnImmutable::Recreate),
            (SYNC_OPTIONS_ANNOTATION, "Validate=false", ApplyMode::ServerSide, OnImmutable::Fail),
        ] {
            let mut object = Object::new("v1", "ConfigMap", None, "a");
            object.set_annotation(key, value);
            assert_eq!((apply_mode(&spec, &object), on_immutable(&spec, &object)), (mode, immutable), "{key}: {value}");
        }
    }
}
