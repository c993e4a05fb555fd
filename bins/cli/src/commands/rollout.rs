//! `sluice promote`, `abort`, `retry`, `pause`, `unpause` and `restart`: the patches that `kubectl argo rollouts` sends.

use reconcile_runtime::Clock;
use scenario::setting::{self, Wish, apply, merge};
use serde_json::json;

use crate::args::{Promote, Reach, Restart, Target};
use crate::cluster::{Cluster, connect, parse_target};
use crate::output::{Failure, line};

const API_VERSION: &str = "argoproj.io/v1alpha1";

async fn ask(cluster: &Cluster, name: &str, wish: Wish) -> Result<(), Failure> {
    let (suffix, patch) = wish.patch();
    Ok(merge(&cluster.client, API_VERSION, "Rollout", &cluster.namespace, name, suffix, &patch).await?)
}

/// Lets a Rollout go on, or makes a Promotion.
pub(crate) async fn promote(reach: &Reach, args: &Promote) -> Result<(), Failure> {
    let cluster = connect(reach).await?;
    if let (Some(from), Some(to), Some(pipeline)) = (&args.from, &args.to, &args.pipeline) {
        return promote_version(&cluster, from, to, pipeline, args).await;
    }
    let target = args.rollout.as_deref().unwrap_or_default();
    let (_, name) = parse_target(reach, target, "rollout")?;
    if args.full {
        ask(&cluster, &name, Wish::PromoteFully).await?;
        line(&format!("rollout/{name} fully promoted"));
        return Ok(());
    }
    setting::promote(&cluster.client, &cluster.namespace, &name).await?;
    line(&format!("rollout/{name} promoted"));
    Ok(())
}

/// One object, one operation: its name says what it moves, so that asking twice is asking once.
async fn promote_version(
    cluster: &Cluster,
    from: &str,
    to: &str,
    pipeline: &str,
    args: &Promote,
) -> Result<(), Failure> {
    let existing =
        scenario::setting::list(&cluster.client, "sluice.dev/v1alpha1", "Promotion", &cluster.namespace).await?;
    let stem = format!("{pipeline}-{from}-to-{to}");
    let number =
        (1..).find(|number| !existing.iter().any(|object| object.name() == format!("{stem}-{number}"))).unwrap_or(1);
    let open = existing.iter().find(|object| {
        object.name().starts_with(&stem)
            && !matches!(object.str_at("/status/phase"), Some("Succeeded" | "Failed" | "Superseded"))
    });
    if let Some(open) = open {
        return Err(Failure::new(format!("promotion/{} is still under way", open.name()))
            .hint(format!("sluice get promotion/{}", open.name())));
    }
    let name = format!("{stem}-{number}");
    let object = object_model::Object::parse(json!({
        "apiVersion": "sluice.dev/v1alpha1", "kind": "Promotion",
        "metadata": {"name": name, "namespace": cluster.namespace},
        "spec": {"action": "promote", "pipeline": pipeline, "from": from, "to": to, "requestedBy": args.requested_by, "reason": args.reason},
    }))
    .map_err(|error| Failure::new(error.to_string()))?;
    apply(&cluster.client, &object).await?;
    line(&format!("promotion/{name} created"));
    Ok(())
}

/// All traffic to stable.
pub(crate) async fn abort(reach: &Reach, args: &Target) -> Result<(), Failure> {
    let (_, name) = parse_target(reach, &args.target, "rollout")?;
    ask(&connect(reach).await?, &name, Wish::Abort).await?;
    line(&format!("rollout/{name} aborted"));
    Ok(())
}

/// Tries again from the first step; an Experiment from its beginning.
pub(crate) async fn retry(reach: &Reach, args: &Target) -> Result<(), Failure> {
    let (named, name) = parse_target(reach, &args.target, "rollout")?;
    if named.kind == "Experiment" {
        let cluster = connect(reach).await?;
        let patch = json!({"status": null});
        merge(&cluster.client, API_VERSION, named.kind, &cluster.namespace, &name, "", &patch).await?;
        line(&format!("experiment/{name} retried"));
        return Ok(());
    }
    ask(&connect(reach).await?, &name, Wish::Retry).await?;
    line(&format!("rollout/{name} retried"));
    Ok(())
}

/// Ends an AnalysisRun or an Experiment before its time.
pub(crate) async fn terminate(reach: &Reach, args: &Target) -> Result<(), Failure> {
    let (named, name) = parse_target(reach, &args.target, "analysisrun")?;
    if !matches!(named.kind, "AnalysisRun" | "Experiment") {
        return Err(Failure::usage(format!("`{}` is neither an AnalysisRun nor an Experiment", args.target))
            .hint("sluice terminate experiment/NAME; a Rollout is ended with sluice abort"));
    }
    let cluster = connect(reach).await?;
    let patch = json!({"spec": {"terminate": true}});
    merge(&cluster.client, API_VERSION, named.kind, &cluster.namespace, &name, "", &patch).await?;
    line(&format!("{}/{name} terminated", named.kind.to_lowercase()));
    Ok(())
}

/// Sets or clears `spec.paused`.
pub(crate) async fn pause(reach: &Reach, args: &Target, paused: bool) -> Result<(), Failure> {
    let (_, name) = parse_target(reach, &args.target, "rollout")?;
    ask(&connect(reach).await?, &name, if paused { Wish::Pause } else { Wish::Unpause }).await?;
    line(&format!("rollout/{name} {}", if paused { "paused" } else { "unpaused" }));
    Ok(())
}

/// New pods in place of all that are older than now, or than a moment to come.
pub(crate) async fn restart(reach: &Reach, args: &Restart) -> Result<(), Failure> {
    let (_, name) = parse_target(reach, &args.target, "rollout")?;
    let at = Clock::Wall.now().checked_add(args.after).map_err(|_| Failure::usage("that is too far from now"))?;
    ask(&connect(reach).await?, &name, Wish::RestartAt(at)).await?;
    line(&format!("rollout/{name} restarts"));
    Ok(())
}
