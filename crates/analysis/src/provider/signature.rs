//! Signs requests to AWS with Signature Version 4; the moment and the keys come in as data.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use hmac::{Hmac, Mac};
use object_model::{Secret, Timestamp};
use sha2::{Digest, Sha256};

use super::{HttpRequest, ProviderError};

/// Keys of an AWS identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsCredentials {
    /// The access key's id.
    pub access_key_id: String,
    /// The access key's secret.
    pub secret_access_key: Secret<String>,
    /// The token of a temporary identity.
    pub session_token: Option<Secret<String>>,
    /// The region where a metric names none.
    pub region: Option<String>,
}

/// Adds the headers that prove who sends the request.
pub(super) fn sign(
    mut request: HttpRequest,
    credentials: &AwsCredentials,
    (region, service): (&str, &str),
    now: Timestamp,
) -> Result<HttpRequest, ProviderError> {
    // The service reads a plus sign in a query as itself, so a blank must be written otherwise.
    let url = request.url.expose().replace('+', "%20");
    request.url = Secret::new(url.clone());
    let (_, rest) = url.split_once("://").unwrap_or(("", &url));
    let (host, path_and_query) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    let stamp: String =
        object_model::format_time(now).chars().filter(|letter| letter.is_ascii_alphanumeric()).collect();
    let day = stamp.get(..8).unwrap_or_default().to_owned();
    request.headers.push(("X-Amz-Date".to_owned(), Secret::new(stamp.clone())));
    if let Some(token) = &credentials.session_token {
        request.headers.push(("X-Amz-Security-Token".to_owned(), token.clone()));
    }
    let mut signed: Vec<(String, String)> = vec![("host".to_owned(), host.to_owned())];
    signed.extend(request.headers.iter().map(|(name, value)| (name.to_lowercase(), squeezed(value.expose()))));
    signed.sort();
    let names = signed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
    let lines: String = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let body = request.body.as_ref().map(|body| body.expose().as_str()).unwrap_or_default();
    let path = if path.is_empty() { "/" } else { path };
    let canonical =
        format!("{}\n{path}\n{}\n{lines}\n{names}\n{}", request.method, sorted(query), hex(&Sha256::digest(body)));
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let mut key = format!("AWS4{}", credentials.secret_access_key.expose()).into_bytes();
    for part in [day.as_str(), region, service, "aws4_request"] {
        key = mac(&key, part)?;
    }
    let signature = hex(&mac(&key, &to_sign)?);
    let id = &credentials.access_key_id;
    let value = format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}");
    request.headers.push(("Authorization".to_owned(), Secret::new(value)));
    Ok(request)
}

fn squeezed(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The parameters in the order of their names.
fn sorted(query: &str) -> String {
    let mut pairs: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    pairs.sort_unstable();
    pairs.join("&")
}

fn mac(key: &[u8], text: &str) -> Result<Vec<u8>, ProviderError> {
    let mac = <Hmac<Sha256> as Mac>::new_from_slice(key);
    let mut mac = mac.map_err(|_| ProviderError::Spec { reason: "the signing key has no length".to_owned() })?;
    mac.update(text.as_bytes());
    Ok(mac.finalize().into_bytes().to_vec())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of the signature's documentation (`GET ListUsers` of IAM, 30 August 2015).
    #[test]
    fn the_documented_example_gets_the_documented_signature() {
        let form = "application/x-www-form-urlencoded; charset=utf-8".to_owned();
        let request = HttpRequest {
            method: "GET",
            url: Secret::new("https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08".to_owned()),
            shown_url: String::new(),
            headers: vec![("Content-Type".to_owned(), Secret::new(form))],
            body: None,
            timeout_ms: 1,
            max_body_bytes: 1,
            insecure_tls: false,
        };
        let credentials = AwsCredentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
            session_token: None,
            region: None,
        };
        let now = "2015-08-30T12:36:00Z".parse().unwrap();
        let signed = sign(request, &credentials, ("us-east-1", "iam"), now).unwrap();
        let header = signed.headers.iter().find(|(name, _)| name == "Authorization").unwrap().1.expose();
        assert_eq!(
            header,
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
    }
}
