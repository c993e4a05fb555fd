//! Stories of Argo's features, as the crate `scenario` takes them apart.

use std::sync::LazyLock;

use scenario::setting::{Setting, install};
use scenario::tale::{Rest, TALES, Tale, Told};
use sim_cluster::Cluster;

use super::{INSTALL_LIMIT, NAMESPACE, Story, expect, pause, words};

/// What Argo deletes too: versions beyond the history, runs beyond theirs, and what carries a canary's share.
const DELETES: &[(&str, &str)] = &[
    ("replicasets.apps", "web-"),
    ("analysisruns.argoproj.io", "web-"),
    ("experiments.argoproj.io", "web-"),
    ("services", "web-"),
    // A restart evicts them.
    ("pods", "web-"),
    ("mappings.getambassador.io", "web-canary"),
    ("apisixroutes.apisix.apache.org", "set-header"),
    ("ingresses.networking.k8s.io", "web-web-canary"),
];

/// A story a tale.
pub(super) static STORIES: LazyLock<Vec<Story>> = LazyLock::new(|| TALES.into_iter().map(story).collect());

fn story(tale: Tale) -> Story {
    Story {
        name: tale.name,
        about: tale.about,
        begin: |story, setting| Box::pin(begin(story, setting)),
        people: |story, setting| Box::pin(people(story, setting)),
        seconds: 45,
        deletes: DELETES,
        is_judged_by_visitors: false,
        nevers: &[],
        goal: match tale.rests {
            [.., Rest::Paused] => is_paused,
            [.., Rest::Degraded] => is_degraded,
            _ => is_healthy,
        },
        counts_vary: false,
    }
}

fn is_healthy(cluster: &Cluster) -> Result<(), String> {
    rests(cluster, Rest::Healthy)
}

fn is_paused(cluster: &Cluster) -> Result<(), String> {
    rests(cluster, Rest::Paused)
}

fn is_degraded(cluster: &Cluster) -> Result<(), String> {
    rests(cluster, Rest::Degraded)
}

fn rests(cluster: &Cluster, rest: Rest) -> Result<(), String> {
    expect(cluster, "rollouts.argoproj.io", "web", &[("/status/phase", rest.phase())])
}

fn told(story: &Story) -> Result<Told, String> {
    Tale::of(story.name).ok_or_else(|| format!("there is no tale {}", story.name))?.read()
}

async fn begin(story: &Story, setting: &Setting) -> Result<(), String> {
    install(&setting.people, INSTALL_LIMIT).await.map_err(words)?;
    told(story)?.open(setting, NAMESPACE).await?;
    pause(35).await;
    Ok(())
}

async fn people(story: &Story, setting: &Setting) -> Result<(), String> {
    let told = told(story)?;
    for place in 0..told.tale.rests.len() {
        told.act(setting, NAMESPACE, place).await?;
        told.wait(setting, NAMESPACE, place).await?;
    }
    Ok(())
}
