//! Turns the address in a spec into a remote; what is on no list here is not spoken to.

use std::sync::Arc;

use crate::address::{AddressError, redact};
use crate::http::{Credential, HttpOptions, HttpRemote};
use crate::local::LocalRemote;
use crate::remote::Remote;

/// Whether addresses may name directories of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalAccess {
    /// They may: a command line, a demo, a test.
    Allowed,
    /// They may not: whoever writes the spec must not read this machine.
    Refused,
}

/// Returns the remote of an address: `https://`, `http://`, `file://` or a plain path. Nothing is sent yet.
///
/// # Errors
/// When the scheme is not spoken, the address is malformed, carries a credential, or names what is not allowed.
///
/// ```
/// use git_source::{HttpOptions, LocalAccess, connect};
///
/// let open = |address| connect(address, None, &HttpOptions::default(), LocalAccess::Refused);
/// assert_eq!(open("https://git.example.com/fleet.git").unwrap().describe(), "https://git.example.com/fleet.git");
/// assert_eq!(
///     open("ext::sh -c reboot").err().unwrap().to_string(),
///     "repository address `ext::sh -c reboot` is refused: its scheme is not one of https, http and file",
/// );
/// ```
pub fn connect(
    address: &str,
    credential: Option<&Credential>,
    options: &HttpOptions,
    local: LocalAccess,
) -> Result<Arc<dyn Remote>, AddressError> {
    let fail = |why| AddressError { address: redact(address), why };
    let scheme = address.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("http" | "https") => Ok(Arc::new(HttpRemote::new(address, credential, options.clone())?)),
        Some("file") if local == LocalAccess::Allowed => {
            let remote = LocalRemote::parse(address).ok_or_else(|| fail("its path is not absolute"))?;
            Ok(Arc::new(remote))
        }
        None if address.starts_with(['/', '.']) && local == LocalAccess::Allowed => {
            Ok(Arc::new(LocalRemote::new(address)))
        }
        Some("file") => Err(fail("directories of this machine are not allowed")),
        None if address.starts_with(['/', '.']) => Err(fail("directories of this machine are not allowed")),
        Some("ssh" | "git+ssh") => Err(fail("ssh is not spoken yet; use https")),
        None if is_short_ssh(address) => Err(fail("ssh is not spoken yet; use https")),
        _ => Err(fail("its scheme is not one of https, http and file")),
    }
}

/// `git@host:path`
fn is_short_ssh(address: &str) -> bool {
    let Some((host, path)) = address.split_once(':') else { return false };
    let is_name = |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c == '/');
    is_name(host) && host.contains('@') && !path.is_empty() && !path.starts_with(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_05_only_known_schemes_are_spoken_and_directories_only_where_allowed() {
        let ask = |address: &str, local| match connect(address, None, &HttpOptions::default(), local) {
            Ok(remote) => remote.describe(),
            Err(error) => error.why.to_owned(),
        };
        for (address, allowed, refused) in [
            ("https://Host/x.git", "https://host/x.git", "https://host/x.git"),
            ("file:///srv/a%20b.git", "/srv/a b.git", "directories of this machine are not allowed"),
            ("/srv/a.git", "/srv/a.git", "directories of this machine are not allowed"),
            ("./a.git", "./a.git", "directories of this machine are not allowed"),
            ("file://host/x", "its path is not absolute", "directories of this machine are not allowed"),
            ("git@host:a/b.git", "ssh is not spoken yet; use https", "ssh is not spoken yet; use https"),
            ("ssh://-oProxyCommand=x/y", "ssh is not spoken yet; use https", "ssh is not spoken yet; use https"),
            (
                "ext::sh -c x",
                "its scheme is not one of https, http and file",
                "its scheme is not one of https, http and file",
            ),
            (
                "--upload-pack=x",
                "its scheme is not one of https, http and file",
                "its scheme is not one of https, http and file",
            ),
        ] {
            assert_eq!(ask(address, LocalAccess::Allowed), allowed, "{address}");
            assert_eq!(ask(address, LocalAccess::Refused), refused, "{address}");
        }
    }
}
