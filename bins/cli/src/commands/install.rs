//! `sluice install` and `sluice crds`.

use object_model::Object;

use crate::args::{Crds, Install};
use crate::output::{Failure, print};

/// Prints everything that an installation is, kinds first.
pub(crate) fn run(install: &Install) -> Result<(), Failure> {
    let argo = if install.without_argo_crds { Vec::new() } else { api::crd::argo() };
    let mut text = documents(api::crd::own(&install.group).iter().chain(&argo));
    text.push_str("---\n");
    text.push_str(&api::install::rbac(&install.group));
    text.push_str("---\n");
    text.push_str(&api::install::operator(&install.group, &install.image));
    print(&text);
    Ok(())
}

/// Prints the definitions.
pub(crate) fn definitions(crds: &Crds) -> Result<(), Failure> {
    let argo = if crds.with_argo { api::crd::argo() } else { Vec::new() };
    print(&documents(api::crd::own(&crds.group).iter().chain(&argo)));
    Ok(())
}

fn documents<'a>(objects: impl Iterator<Item = &'a Object>) -> String {
    let texts: Vec<String> = objects.map(|object| yaml::to_yaml(&object.to_json())).collect();
    texts.join("---\n")
}
