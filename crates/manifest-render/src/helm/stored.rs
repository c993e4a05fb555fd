//! A release as Helm stores it in the cluster.

use std::io::Read;

use base64::Engine;
use flate2::read::GzDecoder;
use serde_json::{Map, Value};

/// Largest release that is unpacked; a Secret holds 1 MiB of packed ones.
const RELEASE_BYTES_MAX: u64 = 64 << 20;

/// A release of a chart, as the Secret `sh.helm.release.v1.NAME.vREVISION` holds it.
#[derive(Clone, PartialEq)]
pub struct StoredRelease {
    /// Name of the release.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Counted from 1.
    pub revision: u64,
    /// `deployed`, `superseded`, `failed`, ...
    pub status: String,
    /// Name of the chart.
    pub chart: String,
    /// Version of the chart.
    pub chart_version: String,
    /// The values that were given. They may be secret.
    pub values: Map<String, Value>,
    /// The manifest that was applied, hooks apart. It may hold secrets.
    pub manifest: String,
}

impl std::fmt::Debug for StoredRelease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, namespace, revision, status, chart, chart_version, .. } = self;
        write!(f, "release {namespace}/{name} v{revision} ({status}) of {chart} {chart_version}")
    }
}

impl StoredRelease {
    /// Reads what stands under the key `release` of the Secret, as the API server shows it: encoded twice.
    ///
    /// # Errors
    /// When it is no release.
    pub fn decode(data: &str) -> Result<Self, String> {
        let base64 = |text: &[u8]| base64::engine::general_purpose::STANDARD.decode(text.trim_ascii());
        let outer = base64(data.as_bytes()).map_err(|_| "it is not base64".to_owned())?;
        let packed = base64(&outer).map_err(|_| "it is not base64 inside".to_owned())?;
        let json = if packed.starts_with(&[0x1f, 0x8b, 0x08]) {
            let mut json = Vec::new();
            let mut unpacked = GzDecoder::new(packed.as_slice()).take(RELEASE_BYTES_MAX + 1);
            unpacked.read_to_end(&mut json).map_err(|error| format!("it can't be unpacked: {error}"))?;
            json
        } else {
            packed
        };
        if u64::try_from(json.len()).unwrap_or(u64::MAX) > RELEASE_BYTES_MAX {
            return Err(format!("it is larger than {RELEASE_BYTES_MAX} bytes"));
        }
        let release: Value = serde_json::from_slice(&json).map_err(|_| "it is not JSON".to_owned())?;
        let text = |pointer: &str| release.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let name = text("/name");
        if name.is_empty() {
            return Err("it has no name".to_owned());
        }
        Ok(Self {
            name,
            namespace: text("/namespace"),
            revision: release.get("version").and_then(Value::as_u64).unwrap_or_default(),
            status: text("/info/status"),
            chart: text("/chart/metadata/name"),
            chart_version: text("/chart/metadata/version"),
            values: release.get("config").and_then(Value::as_object).cloned().unwrap_or_default(),
            manifest: text("/manifest"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn encoded(json: &str, packs: bool) -> String {
        let base64 = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
        let mut packed = json.as_bytes().to_vec();
        if packs {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(json.as_bytes()).unwrap();
            packed = encoder.finish().unwrap();
        }
        base64(base64(&packed).as_bytes())
    }

    #[test]
    fn a_release_is_read_packed_or_not() {
        let json = r#"{"name":"web","namespace":"qa","version":3,"info":{"status":"deployed"},"config":{"a":1},
            "chart":{"metadata":{"name":"web","version":"1.0.0"}},"manifest":"kind: X\n"}"#;
        for packs in [true, false] {
            let release = StoredRelease::decode(&encoded(json, packs)).unwrap();
            assert_eq!(format!("{release:?}"), "release qa/web v3 (deployed) of web 1.0.0");
            assert_eq!((release.values.len(), release.manifest.as_str()), (1, "kind: X\n"));
        }
        for (wrong, why) in [("?", "it is not base64"), ("Pz8/", "it is not base64 inside")] {
            assert_eq!(StoredRelease::decode(wrong).unwrap_err(), why);
        }
        assert_eq!(StoredRelease::decode(&encoded("{}", true)).unwrap_err(), "it has no name");
    }
}
