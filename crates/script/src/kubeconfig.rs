//! Reads the part of a kubeconfig that leads to the cluster of its current context.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;

use crate::transport::Connection;

/// Why a kubeconfig leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// It is not YAML.
    #[error("kubeconfig line {line}: {message}")]
    Parse {
        /// Where, from 1.
        line: u32,
        /// What is wrong.
        message: String,
    },
    /// A part that is needed is not there, or is not what it should be.
    #[error("kubeconfig has no usable {what}")]
    Missing {
        /// The part.
        what: &'static str,
    },
    /// The certificates or the TLS settings are not accepted.
    #[error("kubeconfig has a certificate authority that cannot be used")]
    Certificate {
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Returns the way to the cluster of the current context. It has to be named with a token, or be plain HTTP.
///
/// # Errors
///
/// Says which part is missing or wrong.
pub fn connection(text: &str) -> Result<Connection, KubeconfigError> {
    let config = parse(text)?;
    let missing = |what: &'static str| KubeconfigError::Missing { what };
    let context_name = config.get("current-context").and_then(Value::as_str).ok_or(missing("current-context"))?;
    let context = named(&config, "contexts", context_name, "context").ok_or(missing("context"))?;
    let cluster = context
        .get("cluster")
        .and_then(Value::as_str)
        .and_then(|name| named(&config, "clusters", name, "cluster"))
        .ok_or(missing("cluster"))?;
    let user = context.get("user").and_then(Value::as_str).and_then(|name| named(&config, "users", name, "user"));
    let token = user.and_then(|user| user.get("token")).and_then(Value::as_str).map(str::to_owned);
    let server = cluster.get("server").and_then(Value::as_str).ok_or(missing("server"))?;
    let server: http::Uri = server.parse().map_err(|_| missing("server"))?;
    let host = server.host().ok_or(missing("server"))?;
    match server.scheme_str() {
        Some("http") => Ok(Connection::plain(host, server.port_u16().unwrap_or(80), token)),
        Some("https") => {
            let authority = cluster
                .get("certificate-authority-data")
                .and_then(Value::as_str)
                .ok_or(missing("certificate-authority-data"))?;
            Ok(Connection::tls(host, server.port_u16().unwrap_or(443), token, settings(authority)?))
        }
        _ => Err(missing("server")),
    }
}

fn parse(text: &str) -> Result<Value, KubeconfigError> {
    let documents = yaml::parse(text).map_err(|problems| match problems.into_iter().next() {
        Some(problem) => KubeconfigError::Parse { line: problem.line, message: problem.message },
        None => KubeconfigError::Missing { what: "document" },
    })?;
    documents.into_iter().next().map(|document| document.value).ok_or(KubeconfigError::Missing { what: "document" })
}

fn named<'a>(config: &'a Value, list: &str, name: &str, part: &str) -> Option<&'a Value> {
    let entries = config.get(list)?.as_array()?;
    entries.iter().find(|entry| entry.get("name").and_then(Value::as_str) == Some(name))?.get(part)
}

fn settings(authority: &str) -> Result<rustls::ClientConfig, KubeconfigError> {
    let fail = |source: Box<dyn std::error::Error + Send + Sync>| KubeconfigError::Certificate { source };
    let pem = STANDARD.decode(authority).map_err(|error| fail(error.into()))?;
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| fail(format!("{error:?}").into()))?;
        // A server that signs itself puts its own certificate beside the authority's; only the latter is a root.
        if let Err(error) = roots.add(certificate)
            && roots.is_empty()
        {
            return Err(fail(error.into()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let settings = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| fail(error.into()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_context_leads_to_the_server() {
        let text = "\
current-context: a
clusters:
- {name: one, cluster: {server: 'http://127.0.0.1:8080'}}
users:
- {name: admin, user: {token: t}}
contexts:
- {name: a, context: {cluster: one, user: admin}}
";
        assert_eq!(format!("{:?}", connection(text).unwrap()), "Connection(127.0.0.1:8080)");
    }

    #[test]
    fn what_is_missing_is_named() {
        for (text, expected) in [
            ("{}", "kubeconfig has no usable current-context"),
            ("current-context: a", "kubeconfig has no usable context"),
            ("{current-context: a, contexts: [{name: a, context: {cluster: c}}]}", "kubeconfig has no usable cluster"),
        ] {
            assert_eq!(connection(text).unwrap_err().to_string(), expected);
        }
    }
}
