//! Differences that a user wants left alone.

use object_model::Object;

use crate::field_pointer::FieldPointer;
use crate::jq::JqProgram;

/// Leaves fields alone on the objects that it covers; an empty filter covers everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IgnoreRule {
    /// API group; `None` for any.
    pub group: Option<String>,
    /// Kind; `None` for any.
    pub kind: Option<String>,
    /// Namespace; `None` for any.
    pub namespace: Option<String>,
    /// Name; `None` for any.
    pub name: Option<String>,
    /// Fields that are not compared.
    pub pointers: Vec<FieldPointer>,
    /// Programs that choose more of them.
    pub programs: Vec<JqProgram>,
    /// Field managers whose fields are not compared.
    pub managers: Vec<String>,
}

impl IgnoreRule {
    /// The fields that the rule names on an object, in Git or live.
    pub(crate) fn places(&self, desired: &Object, live: &Object) -> Vec<FieldPointer> {
        let mut places = self.pointers.clone();
        for program in &self.programs {
            for place in program.places(live).into_iter().chain(program.places(desired)) {
                if !places.contains(&place) {
                    places.push(place);
                }
            }
        }
        places
    }

    /// Whether the rule is about this object.
    pub fn covers(&self, object: &Object) -> bool {
        let is = |want: &Option<String>, have: &str| want.as_ref().is_none_or(|want| want == have);
        is(&self.group, object.group())
            && is(&self.kind, object.kind())
            && is(&self.namespace, object.namespace().unwrap_or_default())
            && is(&self.name, object.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_covers_what_its_filters_name() {
        let rule = IgnoreRule { kind: Some("Deployment".to_owned()), ..IgnoreRule::default() };
        assert!(rule.covers(&Object::new("apps/v1", "Deployment", Some("qa"), "web")));
        assert!(!rule.covers(&Object::new("apps/v1", "StatefulSet", Some("qa"), "web")));
    }
}
