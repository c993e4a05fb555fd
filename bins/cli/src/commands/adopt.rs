//! `sluice adopt helm`: what the chart in Git would change on a release that Helm installed, and its takeover.

use scenario::setting::{ChartPlace, adopt, adoption, objects_of, read_release};

use crate::args::{AdoptHelm, Diff, DiffForm, Reach, ValueArgs};
use crate::cluster::connect;
use crate::commands::diff;
use crate::output::{Failure, print, talk};

/// Shows the differences, then takes the release over when that is asked for.
pub(crate) async fn helm(reach: &Reach, args: &AdoptHelm) -> Result<(), Failure> {
    let cluster = connect(reach).await?;
    let release = read_release(&cluster.client, &cluster.namespace, &args.release).await?;
    let place = ChartPlace {
        url: args.url.clone(),
        branch: args.branch.clone(),
        path: args.path.trim_matches('/').to_owned(),
        group: reach.group.clone(),
        service_account: args.service_account.clone(),
    };
    talk(&format!("{release:?}"));
    let mut of_release = objects_of(&release)?;
    let adoption = adoption(release, &place);
    // The values are not in the cluster yet, so the comparison is given them instead of the Secret.
    let mut config = adoption.config.clone();
    config.set_at(&["spec", "render", "valuesFrom"], serde_json::json!([]));
    config.set_at(&["spec", "render", "values"], adoption.release.values.clone().into());
    let desired = diff::of_object(&cluster, &config).await?;
    for object in &desired.objects {
        let id = object.id();
        of_release.retain(|have| {
            let same_place = have.namespace.is_none() || have.namespace == id.namespace;
            !(have.group == id.group && have.kind == id.kind && have.name == id.name && same_place)
        });
    }
    let differences = diff::against(&cluster, &desired).await?;
    let shown = Diff {
        target: String::new(),
        branch: None,
        base: None,
        release_name: String::new(),
        values: ValueArgs::default(),
        context_lines: 3,
        output: DiffForm::Text,
    };
    print(&diff::shown(&differences, &shown));
    for id in &of_release {
        talk(&format!("{id} is of the release and not in Git: it stays as it is and belongs to nobody"));
    }
    if !args.apply {
        return if differences.is_empty() { Ok(()) } else { Err(Failure::differs()) };
    }
    if !differences.is_empty() && !args.with_changes {
        return Err(Failure::new(format!("{} objects would change, so nothing is taken over", differences.len()))
            .hint("make the chart in Git as it was installed, or add --with-changes"));
    }
    adopt(&cluster.client, &adoption).await?;
    talk(&format!("GitOpsConfig {}/{} delivers it from now on", cluster.namespace, args.release));
    talk(&format!(
        "Helm still lists the release: kubectl -n {} delete secret -l owner=helm,name={} makes it forget",
        cluster.namespace, args.release
    ));
    Ok(())
}
