//! What is wanted: a path on disk, or a branch of the repository of a config.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::GitOpsConfig;
use manifest_render::{Budget, ChartInput, Limits, Source, render};
use object_model::{Masks, Object, ObjectId};
use reconcile_core::{Actor, Answer, FetchSource, Question};
use reconcile_runtime::{ApiClient, Clock, GitBackend, GitOptions, GitWorker, RemotePolicy, StandardRemotes};
use scenario::setting::{get, is_namespaced, list};

use crate::args::{Diff, Reach};
use crate::cluster::{Cluster, parse_target};
use crate::commands::chart::given;
use crate::disk_files::DiskFiles;
use crate::output::Failure;

/// Longest time for one request to the cluster, and for a render.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);
const RENDER_TIME_MAX: Duration = Duration::from_secs(60);

/// Objects that are wanted, and those that were delivered so far.
pub(crate) struct Desired {
    pub(crate) objects: Vec<Object>,
    pub(crate) inventory: Vec<(String, ObjectId)>,
    /// The texts that the render got from Secrets and encrypted files.
    pub(crate) masks: Masks,
}

/// Renders a path on disk.
pub(crate) async fn of_path(cluster: &Cluster, path: &Path, args: &Diff) -> Result<Desired, Failure> {
    let shown = |error: std::io::Error| Failure::new(format!("{}: {error}", path.display()));
    let (files, inside) = DiskFiles::around(path).map_err(shown)?;
    let chart = ChartInput {
        release_name: args.release_name.clone(),
        namespace: cluster.namespace.clone(),
        seed: args.release_name.as_bytes().to_vec(),
        ..ChartInput::default()
    };
    let source = Source { values: given(&args.values)?, chart, ..Source::at(&inside) };
    let started = Instant::now();
    let budget = Budget::new(Limits::default()).with_deadline(move || started.elapsed() > RENDER_TIME_MAX);
    let rendered = render(&source, &files, &budget).map_err(|error| Failure::new(error.to_string()))?;
    let objects = rendered.objects.into_iter().map(|item| item.object);
    Ok(Desired {
        objects: placed(cluster, objects, &cluster.namespace).await?,
        inventory: Vec::new(),
        masks: Masks::default(),
    })
}

/// Fetches and renders what a config delivers, or would deliver from another branch.
pub(crate) async fn of_config(
    reach: &Reach,
    cluster: &Cluster,
    target: &str,
    branch: Option<&str>,
) -> Result<Desired, Failure> {
    let (named, name) = parse_target(reach, target, "config")?;
    if named.kind != "GitOpsConfig" {
        return Err(Failure::usage(format!("`{target}` is neither a config nor a path on disk"))
            .hint("sluice diff config/NAME, or sluice diff PATH"));
    }
    let config = get(&cluster.client, &named.api_version, named.kind, &cluster.namespace, &name).await?;
    let config =
        config.ok_or_else(|| Failure::new(format!("GitOpsConfig {}/{name} does not exist", cluster.namespace)))?;
    of_object(cluster, &config, branch).await
}

/// The same for a config that need not be in the cluster.
pub(crate) async fn of_object(cluster: &Cluster, config: &Object, branch: Option<&str>) -> Result<Desired, Failure> {
    let name = config.name();
    let (spec, problems) = GitOpsConfig::parse(config);
    if let Some(problem) = problems.first() {
        return Err(Failure::new(format!("GitOpsConfig {}/{name}: {problem}", cluster.namespace)));
    }
    let mut source = FetchSource::of(&spec, &cluster.namespace);
    if let Some(branch) = branch {
        source.reference = api::Reference::Branch(branch.to_owned());
        // What is only looked at need not be signed yet.
        source.verify = None;
    }
    // A person at a terminal may read what is on this machine anyway.
    let policy = RemotePolicy { allow_local: true, allow_loopback: true };
    let api = ApiClient::new(cluster.client.clone(), REQUEST_TIME_MAX);
    let git = GitWorker::new(api, Clock::Wall, Arc::new(StandardRemotes::new(policy)), GitOptions::default());
    let head = match git.answer(&Question::Fetch(source.clone())).await {
        Answer::Head(head) => head,
        other => return Err(unanswered(other)),
    };
    let uid = config.uid().map(|uid| uid.as_str().to_owned()).unwrap_or_default();
    let question = Question::Render {
        source,
        commit: head.commit,
        path: spec.path.clone(),
        render: Box::new(spec.render.clone()),
        namespace: spec.namespace.clone(),
        seed: uid.clone(),
        // The person at the terminal asks, with their own rights.
        actor: Actor::Operator,
        values_namespace: cluster.namespace.clone(),
    };
    let rendered = match git.answer(&question).await {
        Answer::Rendered(rendered) => rendered,
        other => return Err(unanswered(other)),
    };
    let objects = rendered.objects.iter().map(|item| (*item.object).clone());
    let objects = placed(cluster, objects, &spec.namespace).await?;
    let inventory = match spec.prune.enabled {
        true => inventory(cluster, &uid).await?,
        false => Vec::new(),
    };
    let masks = rendered.surroundings.as_ref().map(|surroundings| (*surroundings.masks).clone()).unwrap_or_default();
    Ok(Desired { objects, inventory, masks })
}

fn unanswered(answer: Answer) -> Failure {
    match answer {
        Answer::Failed(failure) => Failure::new(format!("{}: {}", failure.reason, failure.message)),
        _ => Failure::new("the repository gave an answer to another question"),
    }
}

async fn inventory(cluster: &Cluster, uid: &str) -> Result<Vec<(String, ObjectId)>, Failure> {
    let chunks = list(&cluster.client, "sluice.dev/v1alpha1", "Inventory", &cluster.namespace).await?;
    let is_ours = |chunk: &&Object| chunk.controller().is_some_and(|owner| owner.uid.as_str() == uid);
    Ok(chunks.iter().filter(is_ours).flat_map(super::entries).collect())
}

/// Puts objects that name no namespace into one, when their kind lives in one or is not served yet.
async fn placed(
    cluster: &Cluster,
    objects: impl Iterator<Item = Object>,
    namespace: &str,
) -> Result<Vec<Object>, Failure> {
    let mut scopes = std::collections::BTreeMap::new();
    let mut placed = Vec::new();
    for mut object in objects {
        if object.namespace().is_none() {
            let kind = (object.api_version().to_owned(), object.kind().to_owned());
            let scope = match scopes.get(&kind) {
                Some(scope) => *scope,
                None => is_namespaced(&cluster.client, &kind.0, &kind.1).await?,
            };
            scopes.insert(kind, scope);
            if scope.unwrap_or(true) {
                object.set_namespace(namespace);
            }
        }
        placed.push(object);
    }
    Ok(placed)
}
