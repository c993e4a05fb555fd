//! `sluice sim`: an embedded cluster for tests and trials.

use std::sync::Arc;

use reconcile_runtime::Clock;
use sim_cluster::{Cluster, Handle, Settings, run_controllers};
use tokio::net::TcpListener;

use crate::args::Sim;
use crate::output::{Failure, line};

/// Serves until Ctrl-C.
pub(crate) async fn run(args: &Sim) -> Result<(), Failure> {
    if !args.listen.ip().is_loopback() {
        return Err(Failure::usage(format!("{} is not loopback", args.listen))
            .hint("the embedded cluster has no authentication"));
    }
    let mut cluster = Cluster::new(Settings { seed: args.seed, start: Clock::Wall.now(), ..Settings::default() });
    cluster.set_now(Clock::Wall.now());
    run_controllers(&mut cluster);
    let handle = Handle::new(cluster, sim_cluster::Clock::Read(Arc::new(|| Clock::Wall.now())));
    let listener = TcpListener::bind(args.listen).await?;
    let address = listener.local_addr()?;
    std::fs::write(&args.kubeconfig_out, Handle::kubeconfig(address))?;
    line(&format!("kubeconfig: {}", args.kubeconfig_out.display()));
    line("serving");
    tokio::select! {
        () = handle.drive() => Ok(()),
        served = handle.serve(listener) => Ok(served?),
        _ = tokio::signal::ctrl_c() => {
            // Leaves nothing behind; a file that is gone already is as good.
            let _ = std::fs::remove_file(&args.kubeconfig_out);
            Ok(())
        }
    }
}
