//! What each forge says about a push, reduced to the repository and the references that moved.

use serde::Deserialize;

use super::{Headers, MovedReference, WebhookAnswer, WebhookKind, WebhookRejection, malformed};
use crate::id::GitId;
use crate::remote::printable;

/// Reads a body whose sender is proven.
pub(super) fn read(kind: WebhookKind, headers: Headers<'_>, body: &[u8]) -> Result<WebhookAnswer, WebhookRejection> {
    match kind {
        WebhookKind::GitHub => github_like(headers, body, &["X-GitHub-Event"], &["X-GitHub-Delivery"]),
        WebhookKind::Gitea => github_like(
            headers,
            body,
            &["X-Gitea-Event", "X-Forgejo-Event"],
            &["X-Gitea-Delivery", "X-Forgejo-Delivery"],
        ),
        WebhookKind::Gogs => github_like(headers, body, &["X-Gogs-Event"], &["X-Gogs-Delivery"]),
        WebhookKind::GitLab => gitlab(headers, body),
        WebhookKind::BitbucketCloud => bitbucket_cloud(headers, body),
        WebhookKind::BitbucketServer => bitbucket_server(headers, body),
        WebhookKind::AzureDevOps => azure(body),
        WebhookKind::Generic => generic(headers, body),
    }
}

fn ignored(event: &str) -> WebhookAnswer {
    WebhookAnswer::Ignored { event: printable(event) }
}

fn parse<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, WebhookRejection> {
    if body.starts_with(b"payload=") {
        return Err(malformed("it is a form; set the content type of the webhook to application/json"));
    }
    serde_json::from_slice(body).map_err(malformed)
}

fn delivery(headers: Headers<'_>, names: &[&'static str]) -> Result<Option<String>, WebhookRejection> {
    let value = headers.find_any(names)?;
    Ok(value.filter(|text| text.len() <= 100 && text.chars().all(|c| c.is_ascii_graphic())).map(str::to_owned))
}

/// A reference by its full name, and where it is; a commit of zeros means that it is gone.
fn moved(name: String, commit: Option<&str>) -> Result<MovedReference, WebhookRejection> {
    gix_ref::FullName::try_from(name.as_str()).map_err(malformed)?;
    let commit = commit.filter(|id| !id.is_empty()).map(GitId::parse).transpose().map_err(malformed)?;
    Ok(MovedReference { name, commit: commit.filter(|id| !id.is_zero()) })
}

fn refresh(
    urls: Vec<String>,
    moved: Vec<MovedReference>,
    delivery: Option<String>,
) -> Result<WebhookAnswer, WebhookRejection> {
    let urls: Vec<String> = urls.into_iter().filter(|url| !url.is_empty()).collect();
    if urls.is_empty() {
        return Err(malformed("it names no repository"));
    }
    Ok(WebhookAnswer::Refresh { urls, moved, delivery })
}

#[derive(Deserialize)]
struct GitHubPush {
    r#ref: String,
    after: Option<String>,
    repository: GitHubRepository,
}

#[derive(Deserialize)]
struct GitHubRepository {
    clone_url: String,
    ssh_url: Option<String>,
}

/// GitHub, and the forges that took over its payload.
fn github_like(
    headers: Headers<'_>,
    body: &[u8],
    event: &[&'static str],
    delivered: &[&'static str],
) -> Result<WebhookAnswer, WebhookRejection> {
    match headers.find_any(event)? {
        None => Err(malformed(format!("header {} is missing", event.first().copied().unwrap_or_default()))),
        Some("ping") => Ok(WebhookAnswer::Ping),
        Some("push") => {
            let push: GitHubPush = parse(body)?;
            let urls = [Some(push.repository.clone_url), push.repository.ssh_url].into_iter().flatten().collect();
            refresh(urls, vec![moved(push.r#ref, push.after.as_deref())?], delivery(headers, delivered)?)
        }
        Some(event) => Ok(ignored(event)),
    }
}

#[derive(Deserialize)]
struct GitLabPush {
    object_kind: Option<String>,
    event_name: Option<String>,
    r#ref: Option<String>,
    after: Option<String>,
    project: Option<GitLabProject>,
}

#[derive(Deserialize)]
struct GitLabProject {
    git_http_url: Option<String>,
    git_ssh_url: Option<String>,
}

/// The header names the kind of hook, but one of a whole instance says `System Hook` for everything: the body decides.
fn gitlab(headers: Headers<'_>, body: &[u8]) -> Result<WebhookAnswer, WebhookRejection> {
    let push: GitLabPush = parse(body)?;
    let event = push.object_kind.or(push.event_name).unwrap_or_default();
    match event.as_str() {
        "push" | "tag_push" => {
            let name = push.r#ref.ok_or_else(|| malformed("it names no reference"))?;
            let project = push.project.ok_or_else(|| malformed("it names no project"))?;
            let urls = [project.git_http_url, project.git_ssh_url].into_iter().flatten().collect();
            let delivery = delivery(headers, &["Idempotency-Key", "X-Gitlab-Event-UUID"])?;
            refresh(urls, vec![moved(name, push.after.as_deref())?], delivery)
        }
        "" => Err(malformed("it names no event")),
        event => Ok(ignored(event)),
    }
}

#[derive(Deserialize)]
struct CloudPush {
    push: CloudChanges,
    repository: CloudRepository,
}

#[derive(Deserialize)]
struct CloudChanges {
    changes: Vec<CloudChange>,
}

#[derive(Deserialize)]
struct CloudChange {
    new: Option<CloudReference>,
    old: Option<CloudReference>,
}

#[derive(Deserialize)]
struct CloudReference {
    r#type: Option<String>,
    name: String,
    target: Option<CloudTarget>,
}

#[derive(Deserialize)]
struct CloudTarget {
    hash: Option<String>,
}

#[derive(Deserialize)]
struct CloudRepository {
    full_name: Option<String>,
    links: Option<CloudLinks>,
}

#[derive(Deserialize)]
struct CloudLinks {
    html: Option<Link>,
}

#[derive(Deserialize)]
struct Link {
    href: String,
    name: Option<String>,
}

fn bitbucket_event(headers: Headers<'_>) -> Result<&str, WebhookRejection> {
    headers.find("X-Event-Key")?.ok_or_else(|| malformed("header X-Event-Key is missing"))
}

fn bitbucket_cloud(headers: Headers<'_>, body: &[u8]) -> Result<WebhookAnswer, WebhookRejection> {
    match bitbucket_event(headers)? {
        "diagnostics:ping" => Ok(WebhookAnswer::Ping),
        "repo:push" => {
            let push: CloudPush = parse(body)?;
            let html = push.repository.links.and_then(|links| links.html).map(|link| link.href);
            let by_name = push.repository.full_name.map(|name| format!("https://bitbucket.org/{name}"));
            let mut all = Vec::new();
            for change in push.push.changes {
                let is_there = change.new.is_some();
                let Some(reference) = change.new.or(change.old) else { continue };
                let folder = if reference.r#type.as_deref() == Some("tag") { "tags" } else { "heads" };
                let hash = reference.target.and_then(|target| target.hash).filter(|_| is_there);
                all.push(moved(format!("refs/{folder}/{}", reference.name), hash.as_deref())?);
            }
            let delivery = delivery(headers, &["X-Request-UUID"])?;
            refresh(html.or(by_name).into_iter().collect(), all, delivery)
        }
        event => Ok(ignored(event)),
    }
}

#[derive(Deserialize)]
struct ServerPush {
    repository: ServerRepository,
    #[serde(default)]
    changes: Vec<ServerChange>,
}

#[derive(Deserialize)]
struct ServerRepository {
    links: ServerLinks,
}

#[derive(Deserialize)]
struct ServerLinks {
    clone: Vec<Link>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServerChange {
    ref_id: Option<String>,
    to_hash: Option<String>,
    r#ref: Option<ServerReference>,
}

#[derive(Deserialize)]
struct ServerReference {
    id: String,
}

fn bitbucket_server(headers: Headers<'_>, body: &[u8]) -> Result<WebhookAnswer, WebhookRejection> {
    match bitbucket_event(headers)? {
        "diagnostics:ping" => Ok(WebhookAnswer::Ping),
        "repo:refs_changed" | "mirror:repo_synchronized" => {
            let push: ServerPush = parse(body)?;
            let is_git = |link: &Link| matches!(link.name.as_deref(), Some("http" | "https" | "ssh") | None);
            let urls = push.repository.links.clone.into_iter().filter(is_git).map(|link| link.href).collect();
            let mut all = Vec::new();
            for change in push.changes {
                let name = change.ref_id.or(change.r#ref.map(|reference| reference.id));
                let name = name.ok_or_else(|| malformed("a change names no reference"))?;
                all.push(moved(name, change.to_hash.as_deref())?);
            }
            refresh(urls, all, delivery(headers, &["X-Request-Id"])?)
        }
        event => Ok(ignored(event)),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AzureEvent {
    event_type: String,
    id: Option<String>,
    resource: Option<AzureResource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AzureResource {
    #[serde(default)]
    ref_updates: Vec<AzureUpdate>,
    repository: Option<AzureRepository>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AzureUpdate {
    name: String,
    new_object_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AzureRepository {
    remote_url: Option<String>,
    ssh_url: Option<String>,
}

fn azure(body: &[u8]) -> Result<WebhookAnswer, WebhookRejection> {
    let event: AzureEvent = parse(body)?;
    if event.event_type != "git.push" {
        return Ok(ignored(&event.event_type));
    }
    let resource = event.resource.ok_or_else(|| malformed("it has no resource"))?;
    let repository = resource.repository.ok_or_else(|| malformed("it names no repository"))?;
    let by_ssh = repository.ssh_url.or_else(|| azure_by_ssh(repository.remote_url.as_deref()?));
    let urls = [repository.remote_url, by_ssh].into_iter().flatten().collect();
    let all: Result<Vec<_>, _> =
        resource.ref_updates.into_iter().map(|update| moved(update.name, update.new_object_id.as_deref())).collect();
    let delivery = event.id.filter(|id| id.len() <= 100 && id.chars().all(|c| c.is_ascii_graphic()));
    refresh(urls, all?, delivery)
}

/// `https://dev.azure.com/ORG/PROJECT/_git/REPOSITORY` by ssh is `git@ssh.dev.azure.com:v3/ORG/PROJECT/REPOSITORY`.
fn azure_by_ssh(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let (project, repository) = rest.strip_prefix("dev.azure.com/")?.split_once("/_git/")?;
    Some(format!("git@ssh.dev.azure.com:v3/{project}/{repository}"))
}

#[derive(Deserialize)]
struct GenericPush {
    repository: String,
    branch: Option<String>,
    commit: Option<String>,
}

fn generic(headers: Headers<'_>, body: &[u8]) -> Result<WebhookAnswer, WebhookRejection> {
    let push: GenericPush = parse(body)?;
    let full = |branch: String| if branch.starts_with("refs/") { branch } else { format!("refs/heads/{branch}") };
    let all = push.branch.map(full).map(|name| moved(name, push.commit.as_deref())).transpose()?;
    refresh(vec![push.repository], all.into_iter().collect(), delivery(headers, &["X-Sluice-Delivery"])?)
}
