//! An API server on a loopback port for kubectl: `cargo run -p sim-cluster --example listen -- 8001`.

use sim_cluster::{Clock, Cluster, Handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).unwrap_or_else(|| "8001".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let start = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    let epoch = object_model::Timestamp::UNIX_EPOCH + start;
    let handle = Handle::new(Cluster::default(), Clock::tokio_from(epoch));
    let mut out = std::io::stdout().lock();
    std::io::Write::write_all(&mut out, Handle::kubeconfig(listener.local_addr()?).as_bytes())?;
    tokio::select! {
        result = handle.serve(listener) => result,
        () = handle.drive() => Ok(()),
    }
}
