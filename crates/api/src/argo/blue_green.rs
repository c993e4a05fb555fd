//! `spec.strategy.blueGreen`.

use object_model::Duration;
use serde_json::Value;

use super::analysis_ref::{AnalysisRef, read_analysis};
use super::sizes::{
    AntiAffinity, IntOrPercent, PodMetadata, read_anti_affinity, read_count, read_seconds, read_size, read_text,
};
use crate::Fields;

/// `spec.strategy.blueGreen`.
#[derive(Debug, Clone, PartialEq)]
pub struct BlueGreen {
    /// `activeService`.
    pub active_service: String,
    /// `previewService`.
    pub preview_service: Option<String>,
    /// `previewReplicaCount`: pods before the promotion.
    pub preview_replicas: Option<u32>,
    /// `autoPromotionEnabled`, true.
    pub auto_promotion: bool,
    /// `autoPromotionSeconds`; `None` promotes at once.
    pub auto_promotion_delay: Option<Duration>,
    /// `maxUnavailable`, 25 %: for restarts.
    pub max_unavailable: IntOrPercent,
    /// `scaleDownDelaySeconds` as written; 30 s when absent.
    pub scale_down_delay: Option<Duration>,
    /// `scaleDownDelayRevisionLimit`: how many old ReplicaSets may wait for their deadline at once.
    pub scale_down_delay_revisions: Option<u32>,
    /// `abortScaleDownDelaySeconds`, 30 s; `None` (written 0) keeps the new version's pods.
    pub abort_scale_down_delay: Option<Duration>,
    /// `prePromotionAnalysis`.
    pub pre_promotion: Option<AnalysisRef>,
    /// `postPromotionAnalysis`.
    pub post_promotion: Option<AnalysisRef>,
    /// `antiAffinity`.
    pub anti_affinity: Option<AntiAffinity>,
    /// `previewMetadata`.
    pub preview_metadata: Option<PodMetadata>,
    /// `activeMetadata`.
    pub active_metadata: Option<PodMetadata>,
}

impl BlueGreen {
    /// The delay before the pods of a replaced version go.
    pub fn delay(&self) -> Duration {
        self.scale_down_delay.unwrap_or(Duration::from_secs(30))
    }

    /// Whether the engine pauses before it promotes.
    pub fn pauses(&self) -> bool {
        !self.auto_promotion || self.auto_promotion_delay.is_some()
    }
}

pub(crate) fn read_blue_green(fields: &mut Fields<'_>, strategy: &Value, history_limit: u32) -> BlueGreen {
    let at = "spec.strategy.blueGreen";
    let active_service = read_text(strategy, "activeService").unwrap_or_default();
    let preview_service = read_text(strategy, "previewService");
    if preview_service.as_deref().unwrap_or_default() == active_service {
        let message = format!(
            "Invalid value: {active_service:?}: This rollout uses the same service for the active and preview services, but two different services are required."
        );
        fields.problem("spec.strategy.activeService", message);
    }
    if active_service.is_empty() && preview_service.is_some() {
        fields.problem(&format!("{at}.activeService"), "Required value");
    }
    let scale_down_delay_revisions = read_count(fields, at, strategy, "scaleDownDelayRevisionLimit");
    if let Some(limit) = scale_down_delay_revisions.filter(|limit| history_limit < *limit) {
        let message = format!(
            "Invalid value: {limit}: This rollout's revision history limit can not be smaller than the rollout's scale down limit"
        );
        fields.problem("spec.strategy.scaleDownDelayRevisionLimit", message);
    }
    let part = |key: &str| strategy.get(key).filter(|value| !value.is_null());
    let mut analysis = |key: &str| part(key).map(|value| read_analysis(fields, &format!("{at}.{key}"), value));
    let pre_promotion = analysis("prePromotionAnalysis");
    let post_promotion = analysis("postPromotionAnalysis");
    let more_than_nothing = |span: Option<Duration>| span.filter(|span| !span.is_zero());
    let abort = read_seconds(fields, at, strategy, "abortScaleDownDelaySeconds").unwrap_or(Duration::from_secs(30));
    BlueGreen {
        active_service,
        preview_service,
        preview_replicas: read_count(fields, at, strategy, "previewReplicaCount"),
        auto_promotion: part("autoPromotionEnabled").and_then(Value::as_bool).unwrap_or(true),
        auto_promotion_delay: more_than_nothing(read_seconds(fields, at, strategy, "autoPromotionSeconds")),
        max_unavailable: read_size(fields, at, strategy, "maxUnavailable"),
        scale_down_delay: read_seconds(fields, at, strategy, "scaleDownDelaySeconds"),
        scale_down_delay_revisions,
        abort_scale_down_delay: more_than_nothing(Some(abort)),
        pre_promotion,
        post_promotion,
        anti_affinity: read_anti_affinity(fields, "spec.strategy", strategy),
        preview_metadata: part("previewMetadata").map(PodMetadata::parse),
        active_metadata: part("activeMetadata").map(PodMetadata::parse),
    }
}
