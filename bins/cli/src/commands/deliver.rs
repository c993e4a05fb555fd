//! `sluice refresh`, `suspend`, `resume` and `wait`.

use scenario::setting::{PeopleError, Wish, merge, wait_for};
use serde_json::json;

use crate::args::{Reach, Target, Wait};
use crate::cluster::{connect, parse_target};
use crate::output::{Failure, line};

/// Asks for a fetch.
pub(crate) async fn refresh(reach: &Reach, args: &Target) -> Result<(), Failure> {
    #[expect(clippy::disallowed_methods, reason = "a person asks now")]
    let now = object_model::Timestamp::now();
    ask(reach, args, Wish::Refresh(now), "refresh asked").await
}

/// Sets or clears `spec.suspend`.
pub(crate) async fn suspend(reach: &Reach, args: &Target, suspended: bool) -> Result<(), Failure> {
    let (wish, told) = if suspended { (Wish::Suspend, "suspended") } else { (Wish::Resume, "resumed") };
    ask(reach, args, wish, told).await
}

async fn ask(reach: &Reach, args: &Target, wish: Wish, told: &str) -> Result<(), Failure> {
    let (named, name) = parse_target(reach, &args.target, "config")?;
    let cluster = connect(reach).await?;
    let (suffix, patch) = wish.patch();
    merge(&cluster.client, &named.api_version, named.kind, &cluster.namespace, &name, suffix, &patch).await?;
    line(&format!("{}/{name} {told}", named.kind.to_lowercase()));
    Ok(())
}

/// Waits for health; exit code 3 when it does not come.
pub(crate) async fn wait(reach: &Reach, args: &Wait) -> Result<(), Failure> {
    let (named, name) = parse_target(reach, &args.target, "config")?;
    let cluster = connect(reach).await?;
    let is_rollout = named.kind == "Rollout";
    let reference = (named.api_version.as_str(), named.kind, named.namespace(&cluster.namespace), name.as_str());
    let what = format!("{} {name} is healthy", named.kind);
    let found = wait_for(&cluster.client, reference, &what, args.timeout, |object| {
        if is_rollout {
            return object.str_at("/status/phase") == Some("Healthy")
                && object.str_at("/status/observedGeneration") == Some(&object.generation().to_string());
        }
        let conditions = object.list_at("/status/conditions");
        conditions
            .iter()
            .any(|item| item.get("type") == Some(&json!("Ready")) && item.get("status") == Some(&json!("True")))
            && object.int_at("/status/observedGeneration") == Some(object.generation())
    });
    match found.await {
        Ok(_) => {
            line(&format!("{}/{name} is healthy", named.kind.to_lowercase()));
            Ok(())
        }
        Err(error @ PeopleError::TimedOut { .. }) => Err(Failure::waited(error.to_string())
            .hint(format!("sluice get {} -o wide tells what it waits for", args.target))),
        Err(error) => Err(error.into()),
    }
}
