//! The operator of a world as a process that is started, stopped and killed; it serves its webhook endpoint meanwhile.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use object_model::Secret;
use reconcile_runtime::{LeaseOptions, Options, RecordAccess, ServerOptions};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::setting::{OperatorOptions, Setting};

/// How long an operator may take to give its Leases back.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// What signs the webhooks of the forge.
const WEBHOOK_SECRET: &str = "the forge and the operator know it";

/// The operator of one world: at most one runs.
#[derive(Default)]
pub(crate) struct OperatorProcess {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    started: u32,
    running: Option<Running>,
}

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    work: JoinHandle<()>,
    server: JoinHandle<()>,
}

/// What signs webhooks.
pub(crate) fn webhook_secret() -> Secret<String> {
    Secret::new(WEBHOOK_SECRET.to_owned())
}

impl OperatorProcess {
    /// Starts an operator with an identity of its own.
    pub(crate) async fn start(&self, setting: &Setting) -> Result<(), String> {
        if self.address().is_some() {
            return Err("an operator runs already".to_owned());
        }
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let listener = listener.await.map_err(|error| format!("no port for the operator: {error}"))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let identity = {
            let mut state = self.lock();
            state.started += 1;
            format!("operator-{}", state.started)
        };
        let leases = Some(LeaseOptions::new(api::install::NAMESPACE, &identity));
        let runtime = Options { leases, ..Options::default() };
        let runtime = setting.operator_runtime(&OperatorOptions { runtime, ..OperatorOptions::default() });
        let options = ServerOptions { webhook_secret: Some(webhook_secret()), record_access: RecordAccess::Reviewed };
        let handle = runtime.handle();
        let server = tokio::spawn(async move {
            // The listener ends with the task.
            let _ = reconcile_runtime::serve(listener, handle, options).await;
        });
        let (stop, stopped) = oneshot::channel();
        let work = tokio::spawn(runtime.run(async move {
            // Without a sender nobody needs the operator any more.
            let _ = stopped.await;
        }));
        self.lock().running = Some(Running { address, stop, work, server });
        Ok(())
    }

    /// Asks the operator to end, as a signal does: it gives its Leases back.
    pub(crate) async fn stop(&self) -> Result<(), String> {
        let Some(running) = self.take() else { return Ok(()) };
        running.server.abort();
        // A receiver that is gone has ended already.
        let _ = running.stop.send(());
        let abort = running.work.abort_handle();
        match tokio::time::timeout(STOP_LIMIT, running.work).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("the operator ended badly: {error}")),
            Err(_) => {
                abort.abort();
                Err(format!("the operator did not end within {} s", STOP_LIMIT.as_secs()))
            }
        }
    }

    /// Kills the operator: nothing is cleaned up, its Leases stay.
    pub(crate) async fn crash(&self) {
        let Some(running) = self.take() else { return };
        running.work.abort();
        running.server.abort();
        // That it was cancelled is known.
        let _ = running.work.await;
    }

    /// Where the operator takes webhooks, while it runs.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.lock().running.as_ref().filter(|running| !running.work.is_finished()).map(|running| running.address)
    }

    fn take(&self) -> Option<Running> {
        self.lock().running.take()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
