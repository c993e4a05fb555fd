//! What a cluster needs before the operator runs on it.

use object_model::Object;

use super::people::{PeopleError, parse_documents};

/// The definitions of our kinds, and Argo's small ones for a cluster without them.
pub fn definitions(group: &str) -> Vec<Object> {
    api::crd::own(group).into_iter().chain(api::crd::argo()).collect()
}

/// Accounts and roles.
///
/// # Errors
/// When the manifests can't be read, which a test rules out.
pub fn roles(group: &str) -> Result<Vec<Object>, PeopleError> {
    parse_documents(&api::install::rbac(group))
}
