//! The client over TLS, in front of the server of this crate.

use std::net::SocketAddr;
use std::sync::Arc;

use git_source::{HttpOptions, HttpRemote, MemoryRemote, PushOutcome, Remote, Repository, push};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::served::{Served, serve_memory};
use crate::support::{commit, seed, text};

/// Puts TLS for `name` in front of a server; returns where, and the certificate to trust.
fn with_tls(served: &Served, name: &str) -> (SocketAddr, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let upstream = served.server.address();
    let listener = served.runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    served.runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut outside = acceptor.accept(stream).await.ok()?;
                let mut inside = TcpStream::connect(upstream).await.ok()?;
                tokio::io::copy_bidirectional(&mut outside, &mut inside).await.ok()
            });
        }
    });
    (address, made.cert.pem().into_bytes())
}

#[test]
fn a_trusted_certificate_of_the_right_name_is_accepted_and_no_other() {
    let memory = MemoryRemote::new("memory");
    let (_, head) = seed(&memory, &["a=1"]);
    let served = serve_memory(&memory);
    let (address, certificate) = with_tls(&served, "localhost");
    let (wrong_address, wrong_certificate) = with_tls(&served, "other.example.com");
    let connect = |port: u16, certificate: Option<Vec<u8>>| {
        let options = HttpOptions { root_certificates: certificate, ..Default::default() };
        HttpRemote::new(&format!("https://localhost:{port}/fleet.git"), None, options).unwrap()
    };
    let remote = connect(address.port(), Some(certificate));
    let mut repository = Repository::in_memory();
    assert_eq!(repository.fetch(&remote, "main", Some(1)).unwrap().commit, head);
    let next = commit(&mut repository, Some(head), 2_000, &["a=2"]);
    let outcome = push(&mut repository, &remote, "main", Some(head), next).unwrap();
    assert_eq!(outcome, PushOutcome::Done { now_at: next });
    assert_eq!(text(&memory.repository(), next, "a"), "2");

    for (remote, words) in [
        (connect(address.port(), None), "UnknownIssuer"),
        (connect(wrong_address.port(), Some(wrong_certificate)), "not valid for name"),
    ] {
        let error = remote.list_refs().unwrap_err();
        assert_eq!(error.category(), "Unreachable");
        assert!(error.to_string().contains(words), "{error}");
    }
    let options = HttpOptions { root_certificates: Some(b"nonsense".to_vec()), ..Default::default() };
    let error = HttpRemote::new("https://localhost/x", None, options).unwrap_err();
    assert!(error.to_string().ends_with("its root certificates hold no certificate"), "{error}");
}
