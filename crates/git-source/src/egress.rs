//! Which addresses may be connected to: asked after the name was looked up, for the address that is then used.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Says whether an address may be connected to.
pub type AddressFilter = Arc<dyn Fn(&IpAddr) -> bool + Send + Sync>;

/// Whether an address belongs to what no repository is ever behind: link-local and metadata addresses, multicast, "any".
pub fn refuses_link_local(address: &IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_multicast() || v4.is_unspecified() || v4.is_broadcast(),
        IpAddr::V6(v6) => {
            const METADATA: [u16; 8] = [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254];
            v6.is_unicast_link_local() || v6.is_multicast() || v6.is_unspecified() || v6.segments() == METADATA
        }
    }
}

/// Looks names up and drops the addresses that the filter refuses.
pub(crate) struct FilteredResolver {
    inner: DefaultResolver,
    filter: AddressFilter,
}

impl FilteredResolver {
    pub(crate) fn new(filter: AddressFilter) -> Self {
        Self { inner: DefaultResolver::default(), filter }
    }
}

impl fmt::Debug for FilteredResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FilteredResolver")
    }
}

/// Marks the error of a refused address on its way through the HTTP client.
#[derive(Debug)]
struct AddressRefused(IpAddr);

impl fmt::Display for AddressRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "address {} is refused", self.0)
    }
}

impl std::error::Error for AddressRefused {}

pub(crate) fn is_blocked(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<AddressRefused>())
}

impl Resolver for FilteredResolver {
    fn resolve(
        &self,
        uri: &ureq::http::Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.inner.resolve(uri, config, timeout)?;
        let mut allowed = self.empty();
        let mut refused = None;
        for address in found.iter() {
            if (self.filter)(&address.ip().to_canonical()) {
                allowed.push(*address);
            } else {
                refused = Some(address.ip());
            }
        }
        match refused {
            Some(address) if allowed.is_empty() => {
                Err(io::Error::new(io::ErrorKind::PermissionDenied, AddressRefused(address)).into())
            }
            _ => Ok(allowed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_and_metadata_addresses_are_refused_private_ones_are_not() {
        for (address, refused) in [
            ("169.254.169.254", true),
            ("::ffff:169.254.169.254", true),
            ("fe80::1", true),
            ("fd00:ec2::254", true),
            ("0.0.0.0", true),
            ("::", true),
            ("224.0.0.1", true),
            ("255.255.255.255", true),
            ("10.0.0.1", false),
            ("192.168.1.1", false),
            ("127.0.0.1", false),
            ("fd12::1", false),
            ("140.82.121.4", false),
        ] {
            assert_eq!(refuses_link_local(&address.parse().unwrap()), refused, "{address}");
        }
    }
}
