//! Why a chart does not render.

use std::fmt;

use crate::budget::BudgetError;
use crate::render::RenderError;

/// Why a chart does not load or render. What it says is what Helm says behind `Error: `.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HelmError {
    /// The chart can't be loaded.
    Load(String),
    /// The values that were given can't be read or merged.
    Values(String),
    /// The chart asks for something that is not there: a dependency, a version of Kubernetes.
    Requirements(String),
    /// The chart does not work with the version of Kubernetes.
    KubeVersion(String),
    /// The values break the chart's schema.
    Schema(String),
    /// A template can't be parsed or executed.
    Template(String),
    /// What a template wrote is no YAML.
    Manifest(String),
    /// The chart asks for more than the budget allows.
    Budget(BudgetError),
    /// A file of the tree can't be read.
    Read(Box<RenderError>),
}

impl HelmError {
    /// A short name for metrics and Events.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Load(_) => "ChartInvalid",
            Self::Values(_) => "ValuesInvalid",
            Self::Requirements(_) | Self::KubeVersion(_) => "ChartRequirements",
            Self::Schema(_) => "ValuesRefused",
            Self::Template(_) => "TemplateFailed",
            Self::Manifest(_) => "InvalidManifests",
            Self::Budget(_) => "BudgetExceeded",
            Self::Read(error) => error.category(),
        }
    }
}

impl fmt::Display for HelmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load(message)
            | Self::Values(message)
            | Self::Requirements(message)
            | Self::KubeVersion(message)
            | Self::Schema(message)
            | Self::Template(message)
            | Self::Manifest(message) => f.write_str(message),
            Self::Budget(error) => error.fmt(f),
            Self::Read(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for HelmError {}

impl From<RenderError> for HelmError {
    fn from(error: RenderError) -> Self {
        match error {
            RenderError::Budget(error) => Self::Budget(error),
            error => Self::Read(Box::new(error)),
        }
    }
}
