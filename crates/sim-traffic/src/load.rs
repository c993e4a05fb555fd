//! Who sends requests, and how each version answers them.

use std::collections::BTreeMap;
use std::time::Duration;

use object_model::parse_go_duration;

/// One client: a steady stream of requests to one host.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// The host that the client asks for: a Service name (`frontend`, `frontend.qa`, the full name) or any host of a
    /// VirtualService.
    pub host: String,
    /// The client's namespace; short host names are looked up here.
    pub namespace: String,
    /// Requests a second; zero, negative and non-finite rates send nothing.
    pub requests_per_second: f64,
    /// Request headers; names are compared without case.
    pub headers: BTreeMap<String, String>,
    /// Request path.
    pub path: String,
    /// Request method.
    pub method: String,
}

impl Load {
    /// Returns a client that sends plain `GET /` requests.
    pub fn new(host: &str, namespace: &str, requests_per_second: f64) -> Self {
        Self {
            host: host.to_owned(),
            namespace: namespace.to_owned(),
            requests_per_second,
            headers: BTreeMap::new(),
            path: "/".to_owned(),
            method: "GET".to_owned(),
        }
    }

    /// The same client with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_ascii_lowercase(), value.to_owned());
        self
    }

    /// One header's value, its name compared without case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value)
    }
}

/// How a version answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Behaviour {
    /// Share of requests answered with 500, from 0 to 1.
    pub error_rate: f64,
    /// Time that an answer takes; single answers vary by a fifth around it.
    pub latency: Duration,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self { error_rate: 0.0, latency: Duration::from_millis(20) }
    }
}

impl Behaviour {
    /// Returns the usual behaviour with this share of errors.
    pub fn failing(error_rate: f64) -> Self {
        Self { error_rate, ..Self::default() }
    }
}

/// The pod annotation with the share of failing requests, such as `0.1`; it wins over the image's behaviour.
pub const ERROR_RATE_ANNOTATION: &str = "sluice.dev/error-rate";

/// The pod annotation with the latency of answers, such as `250ms`; it wins over the image's behaviour.
pub const LATENCY_ANNOTATION: &str = "sluice.dev/latency";

/// What a pod's annotations say about its behaviour; what they don't say comes from the image.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Override {
    pub(crate) error_rate: Option<f64>,
    pub(crate) latency: Option<Duration>,
}

impl Override {
    pub(crate) fn parse(error_rate: Option<&str>, latency: Option<&str>) -> Self {
        Self {
            error_rate: error_rate.and_then(|text| text.trim().parse::<f64>().ok()).filter(|rate| rate.is_finite()),
            latency: latency.and_then(|text| parse_go_duration(text).ok()),
        }
    }

    pub(crate) fn over(self, base: Behaviour) -> Behaviour {
        Behaviour {
            error_rate: self.error_rate.unwrap_or(base.error_rate).clamp(0.0, 1.0),
            latency: self.latency.unwrap_or(base.latency),
        }
    }
}

/// The behaviour for images: an exact reference first, then the reference without its registry.
pub(crate) fn of_images<'a>(
    behaviours: &BTreeMap<String, Behaviour>,
    images: impl Iterator<Item = &'a str>,
) -> Behaviour {
    for image in images {
        let known = behaviours.get(image).or_else(|| behaviours.get(short_image(image)));
        if let Some(behaviour) = known {
            return *behaviour;
        }
    }
    Behaviour::default()
}

/// `registry.example.com:5000/team/frontend:v3` as `frontend:v3`.
pub(crate) fn short_image(image: &str) -> &str {
    image.rsplit('/').next().unwrap_or(image)
}

/// The tag or digest of an image reference; `latest` without one.
pub(crate) fn image_version(image: &str) -> &str {
    let name = short_image(image);
    if let Some((tagged, digest)) = name.split_once('@') {
        return tagged.split_once(':').map_or(digest, |(_, tag)| tag);
    }
    name.split_once(':').map_or("latest", |(_, tag)| tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_known_with_and_without_its_registry() {
        let known = BTreeMap::from([("frontend:v3".to_owned(), Behaviour::failing(0.1))]);
        let rate = |image: &str| of_images(&known, [image].into_iter()).error_rate;
        assert_eq!(rate("frontend:v3"), 0.1);
        assert_eq!(rate("registry.example.com:5000/team/frontend:v3"), 0.1);
        assert_eq!(rate("frontend:v2"), 0.0);
    }

    #[test]
    fn the_version_of_an_image_is_its_tag() {
        for (image, version) in [
            ("frontend:v3", "v3"),
            ("localhost:5000/frontend", "latest"),
            ("a/b:1.2@sha256:00", "1.2"),
            ("a/b@sha256:00", "sha256:00"),
        ] {
            assert_eq!(image_version(image), version, "{image}");
        }
    }

    #[test]
    fn an_annotation_wins_over_the_image_and_stays_within_bounds() {
        let base = Behaviour::failing(0.1);
        assert_eq!(Override::parse(Some("0.5"), Some("250ms")).over(base).latency, Duration::from_millis(250));
        assert_eq!(Override::parse(Some("7"), None).over(base).error_rate, 1.0);
        assert_eq!(Override::parse(Some("often"), None).over(base).error_rate, 0.1);
    }
}
