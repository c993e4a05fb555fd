//! Analysis: what is measured, how a reading is judged, and how measurements become a verdict.
//!
//! [`step`] is the measurement state machine. It takes an AnalysisRun's spec and status, the present, and the answers
//! that have come in; it gives the next status, the queries to send, and when to look again. The status is the API's own
//! JSON shape, so a run that another controller began goes on here and the other way round. A query is keyed by run,
//! metric and number, so it may be sent twice and still counts once. [`Templates`] makes the spec of a run out of
//! AnalysisTemplates. A metric provider is a pair of functions, one that makes a request and one that reads its answer.
//!
//! It sends nothing, reads no clock and knows no cluster; Secrets come in as data and never go out in a status, a message
//! or a debug print.
//!
//! ```
//! use analysis::{Condition, Phase};
//!
//! let condition = Condition::parse("len(result) == 0 || result[0] >= 0.95").unwrap();
//! let now = "2026-01-01T00:00:00Z".parse().unwrap();
//! assert!(condition.holds(&serde_json::json!([0.97]), now).unwrap());
//! assert!(Phase::Failed > Phase::Successful);
//! ```

mod argument;
mod assess;
mod comparison;
mod condition;
mod diagnostic;
mod expression;
mod lint;
mod metric;
mod phase;
mod provider;
mod run;
mod spec;
mod status;
mod template;

pub use argument::{Argument, ArgumentError, SecretAnswer, SecretPlace, SecretRef, merge_arguments};
pub use comparison::{COMPARE_ANNOTATION, Comparison, Direction, EmptyPolicy, Pairs};
pub use condition::{Condition, ConditionError};
pub use diagnostic::Diagnostic;
pub use expression::ExpressionError;
pub use lint::{Endless, check_template};
pub use metric::{Metric, MetricError, parse_metrics};
pub use phase::{Phase, Verdict};
pub use provider::{
    Asking, AwsCredentials, CloudWatch, Datadog, Dynatrace, Earlier, GoogleCloudMonitoring, Graphite, HttpRequest,
    Influxdb, Job, JobState, Kayenta, NewRelic, Next, Prometheus, Provider, ProviderError, Reading, Settings,
    SkyWalking, Wavefront, Web,
};
pub use run::{Answer, JobRequest, Query, QueryKey, Reply, RunInput, RunStep, step};
pub use spec::{RuleError, RunSpec, TimeToLive};
pub use status::{Measurement, MetricResult, RunStatus, StatusError, Summary};
pub use template::{RunRequest, TemplateError, TemplateRef, Templates};
