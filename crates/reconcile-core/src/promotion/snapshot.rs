//! What a promotion decision reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::{Environment, GitOpsConfig, Pipeline, Problem, Promotion, PromotionAction};
use env_promotion::{ImageReference, OperationId, Version};
use object_model::{Object, Timestamp, Uid, parse_time};

use super::PromotionDomain;
use crate::{Answer, FetchSource, Identity, Key, Slot, View, kinds};

/// Where a commit is to go.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Repository and branch, with the credential that reads.
    pub git: FetchSource,
    /// Secret (namespace, name) with the credential that writes.
    pub write_credential: Option<(String, String)>,
    /// Directory that is changed.
    pub path: String,
    /// GitOpsConfigs that deliver the directory, by `namespace/name`.
    pub configs: BTreeMap<String, Arc<Object>>,
    /// Why nothing may be promoted into it now.
    pub hold: Option<String>,
}

/// An image that travels, under its name in the pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Name, tag and digest.
    pub version: Version,
    /// The reference to set.
    pub reference: ImageReference,
}

/// What was planned and persisted before any effect in Git.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Write {
    /// How often a new base had to be taken.
    pub attempt: i64,
    /// Commit time.
    pub time: Option<Timestamp>,
    /// The images to set (promote).
    pub images: Vec<Image>,
    /// The commit message.
    pub message: String,
    /// The head that is built on.
    pub base: Option<String>,
    /// The commit that is to be.
    pub planned: Option<String>,
    /// The commit that is.
    pub pushed: Option<String>,
    /// Whether a config was seen at that commit.
    pub delivered: bool,
}

/// Everything that a promotion decision reads.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The present moment.
    pub now: Timestamp,
    /// The Promotion as seen.
    pub promotion: Arc<Object>,
    /// Its spec.
    pub spec: Promotion,
    /// What is wrong with it or with what it names.
    pub problems: Vec<Problem>,
    /// Who commits.
    pub bot: Identity,
    /// `status.phase`.
    pub phase: String,
    /// `status.write`.
    pub write: Write,
    /// Where to.
    pub target: Option<Target>,
    /// The pipeline (promote).
    pub pipeline: Option<Pipeline>,
    /// GitOpsConfigs of the source environment (promote), by `namespace/name`.
    pub source_configs: BTreeMap<String, Arc<Object>>,
    /// Images of the Rollouts that are at rest and healthy in the source environment.
    pub source_images: Vec<ImageReference>,
    /// The answer to the plan that belongs to the present attempt.
    pub planned: Option<Arc<Answer>>,
    /// The answer to the push of the planned commit.
    pub pushed: Option<Arc<Answer>>,
}

impl Snapshot {
    /// Reads the snapshot of one Promotion.
    pub fn observe(view: &dyn View, domain: &PromotionDomain, key: &Key) -> Option<Self> {
        let promotion = view.get(&kinds::promotion(), &key.namespace, &key.name)?;
        let uid = promotion.uid()?;
        let (spec, mut problems) = Promotion::parse(&promotion);
        let write = read_write(&promotion);
        let mut snapshot = Self {
            now: view.now(),
            bot: domain.bot.clone(),
            phase: promotion.str_at("/status/phase").unwrap_or_default().to_owned(),
            target: None,
            pipeline: None,
            source_configs: BTreeMap::new(),
            source_images: Vec::new(),
            planned: view.answer(&plan_slot(&uid, write.attempt)),
            pushed: write.planned.as_ref().and_then(|commit| view.answer(&push_slot(&uid, commit))),
            problems: Vec::new(),
            promotion,
            spec,
            write,
        };
        match snapshot.spec.action {
            PromotionAction::Rollback => snapshot.observe_rollback(view, domain, key, &mut problems),
            PromotionAction::Promote => snapshot.observe_promote(view, domain, key, &mut problems),
        }
        snapshot.problems = problems;
        Some(snapshot)
    }

    fn observe_rollback(&mut self, view: &dyn View, domain: &PromotionDomain, key: &Key, problems: &mut Vec<Problem>) {
        let Some(config) = view.get(&kinds::gitops_config(&domain.group), &key.namespace, &self.spec.config) else {
            problems.push(Problem::new(
                "spec.config",
                format!("GitOpsConfig {}/{} does not exist", key.namespace, self.spec.config),
            ));
            return;
        };
        let (spec, _) = GitOpsConfig::parse(&config);
        let secret = |name: Option<String>| name.map(|name| (key.namespace.clone(), name));
        self.target = Some(Target {
            git: FetchSource::of(&spec, &key.namespace),
            write_credential: secret(spec.write_secret),
            path: spec.path,
            configs: BTreeMap::from([(Key::of(&config).to_string(), config)]),
            hold: None,
        });
    }

    fn observe_promote(&mut self, view: &dyn View, domain: &PromotionDomain, key: &Key, problems: &mut Vec<Problem>) {
        self.pipeline = view
            .get(&kinds::pipeline(), &key.namespace, &self.spec.pipeline)
            .map(|pipeline| Pipeline::parse(&pipeline).0);
        if self.pipeline.is_none() && !self.spec.pipeline.is_empty() {
            problems.push(Problem::new(
                "spec.pipeline",
                format!("Pipeline {}/{} does not exist", key.namespace, self.spec.pipeline),
            ));
        }
        let mut environment = |field: &str, name: &str| {
            let object = view.get(&kinds::environment(), "", name);
            if object.is_none() && !name.is_empty() {
                problems.push(Problem::new(field, format!("Environment {name} does not exist")));
            }
            object.map(|object| Environment::parse(&object).0)
        };
        let from = environment("spec.from", &self.spec.from);
        let to = environment("spec.to", &self.spec.to);
        if let Some(from) = from {
            self.source_configs = configs_in(view, domain, &from.namespace);
            self.source_images = images_in(view, &from.namespace);
        }
        if let Some(to) = to {
            if to.url.is_empty() {
                problems
                    .push(Problem::new("spec.to", format!("Environment {} has no spec.source to write to", to.name)));
                return;
            }
            let configs = configs_in(view, domain, &to.namespace);
            let credential = configs.values().next().and_then(|config| {
                let secret = GitOpsConfig::parse(config).0.source.read_secret?;
                Some((config.namespace()?.to_owned(), secret))
            });
            self.target = Some(Target {
                git: FetchSource { credential, ..FetchSource::branch(to.url, to.branch) },
                write_credential: to.write_secret,
                path: to.path,
                configs,
                hold: to.hold,
            });
        }
    }

    /// The Promotion's uid.
    pub fn uid(&self) -> Uid {
        self.promotion.uid().unwrap_or_else(|| Uid::new(""))
    }

    /// The idempotency key of the commit: one life of one Promotion, one operation.
    pub fn operation(&self) -> String {
        OperationId::of_promotion(&self.uid()).to_string()
    }
}

/// Where the planned commit of an attempt is kept.
pub(super) fn plan_slot(uid: &Uid, attempt: i64) -> Slot {
    Slot::new(uid.as_str(), format!("plan/{attempt}"))
}

/// Where the answer to a push is kept.
pub(super) fn push_slot(uid: &Uid, commit: &str) -> Slot {
    Slot::new(uid.as_str(), format!("push/{commit}"))
}

fn read_write(promotion: &Object) -> Write {
    let text = |key: &str| {
        promotion.str_at(&format!("/status/write/{key}")).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    Write {
        attempt: promotion.int_at("/status/write/attempt").unwrap_or(0),
        time: text("time").as_deref().and_then(parse_time),
        images: read_images(promotion),
        message: text("message").unwrap_or_default(),
        base: text("base"),
        planned: text("planned"),
        pushed: text("pushed"),
        delivered: promotion.bool_at("/status/write/delivered").unwrap_or(false),
    }
}

fn read_images(promotion: &Object) -> Vec<Image> {
    let read = |item: &serde_json::Value| {
        let text = |key: &str| item.get(key).and_then(serde_json::Value::as_str);
        let reference = ImageReference::parse(text("image")?).ok()?;
        Some(Image { version: Version::of_image(text("name")?, &reference)?, reference })
    };
    promotion.list_at("/status/write/images").iter().filter_map(read).collect()
}

fn configs_in(view: &dyn View, domain: &PromotionDomain, namespace: &str) -> BTreeMap<String, Arc<Object>> {
    let all = view.list(&kinds::gitops_config(&domain.group), "").into_iter();
    let there = all.filter(|config| GitOpsConfig::parse(config).0.namespace == namespace);
    there.map(|config| (Key::of(&config).to_string(), config)).collect()
}

/// The images of Rollouts that are at rest and healthy in a namespace: those are proven there.
fn images_in(view: &dyn View, namespace: &str) -> Vec<ImageReference> {
    let at_rest = |rollout: &Arc<Object>| {
        rollout.str_at("/status/phase") == Some("Healthy")
            && rollout.str_at("/status/stableRS") == rollout.str_at("/status/currentPodHash")
    };
    let rollouts: Vec<Arc<Object>> = view.list(&kinds::rollout(), namespace).into_iter().filter(at_rest).collect();
    let containers = rollouts.iter().flat_map(|rollout| rollout.list_at("/spec/template/spec/containers"));
    let images = containers.filter_map(|container| container.get("image")?.as_str());
    images.filter_map(|image| ImageReference::parse(image).ok()).collect()
}
