//! `sluice demo`: the main job on an embedded cluster, on the wall clock.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use object_model::Secret;
use reconcile_runtime::{Clock, RecordAccess, ServerOptions, SqliteRecord, serve};
use scenario::demo::{Check, Progress, frame, play};
use scenario::setting::{OperatorOptions, PushHook, Setting, apply};
use sim_cluster::{Cluster, Handle, Settings, run_controllers};
use tokio::net::TcpListener;

use crate::args::Demo;
use crate::commands::record::address_map;
use crate::output::{Failure, line, print, table};

/// Everything that listens, with the world around it.
struct World {
    setting: Setting,
    cluster: TcpListener,
    operator: TcpListener,
    token: String,
}

/// Plays the five acts and ends with a table of what was checked.
pub(crate) async fn run(args: &Demo) -> Result<(), Failure> {
    let kept;
    let folder: &Path = match &args.folder {
        Some(folder) => {
            std::fs::create_dir_all(folder)?;
            folder
        }
        None => {
            kept = tempfile::Builder::new().prefix("sluice-demo-").tempdir()?;
            kept.path()
        }
    };
    let ended = tokio::select! {
        ended = stage(args, folder) => ended,
        _ = tokio::signal::ctrl_c() => Ok(Vec::new()),
    };
    if let Some(folder) = &args.folder {
        leave_nothing(folder);
    }
    let checks = ended?;
    match checks.iter().find(|check| !check.holds) {
        Some(broken) => Err(Failure::new(format!("not so: {} (found: {})", broken.what, broken.found))),
        None => Ok(()),
    }
}

/// Removes what the demonstration made in a folder that is not its own.
fn leave_nothing(folder: &Path) {
    for name in ["kubeconfig", "operator.token", "record.db", "record.db-wal", "record.db-shm"] {
        // What is gone already is as good as removed.
        let _ = std::fs::remove_file(folder.join(name));
    }
    let _ = std::fs::remove_dir_all(folder.join("fleet.git"));
}

async fn stage(args: &Demo, folder: &Path) -> Result<Vec<Check>, Failure> {
    let (world, _prometheus) = build(args, folder).await?;
    let World { setting, cluster, operator, token } = world;
    let handle = setting.handle().cloned().ok_or_else(|| Failure::new("the demonstration needs its own cluster"))?;
    let runtime = setting.operator_runtime(&OperatorOptions::default());
    let webhook_secret = setting.push_hook.as_ref().and_then(|hook| hook.secret.clone());
    let options = ServerOptions { webhook_secret, record_access: RecordAccess::Token(Secret::new(token)) };
    let server = serve(operator, runtime.handle(), options);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let performance = async {
        let checks = perform(args, &setting).await;
        // The receiver lives in the operator, which runs beside this.
        let _ = stop.send(());
        checks
    };
    let shutdown = async {
        let _ = stopped.await;
    };
    tokio::select! {
        biased;
        checks = async { tokio::join!(performance, runtime.run(shutdown)).0 } => checks,
        served = handle.serve(cluster) => { served?; Err(Failure::new("the embedded cluster stopped listening")) }
        served = server => { served?; Err(Failure::new("the operator stopped listening")) }
        () = setting.turn() => Err(Failure::new("the world stopped turning")),
    }
}

async fn build(args: &Demo, folder: &Path) -> Result<(World, sim_traffic::Server), Failure> {
    let now = Clock::Wall.now();
    let mut cluster = Cluster::new(Settings { seed: args.seed, start: now, ..Settings::default() });
    cluster.set_now(now);
    run_controllers(&mut cluster);
    let record =
        SqliteRecord::open(&folder.join("record.db")).await.map_err(|error| Failure::new(error.to_string()))?;
    let setting = Setting::on_wall_clock(cluster, folder, args.seed, Arc::new(record));
    let mut setting = setting.map_err(|error| Failure::new(error.to_string()))?;
    let loopback = "127.0.0.1:0";
    let (api, operator, metrics) =
        (TcpListener::bind(loopback).await?, TcpListener::bind(loopback).await?, TcpListener::bind(loopback).await?);
    let kubeconfig = folder.join("kubeconfig");
    std::fs::write(&kubeconfig, Handle::kubeconfig(api.local_addr()?))?;
    let token = token(folder)?;
    let address = operator.local_addr()?;
    setting.push_hook = Some(PushHook { operator: address, secret: Some(Secret::new(random_words())) });
    let prometheus = sim_traffic::serve(metrics, setting.traffic.clone(), || Clock::Wall.now())
        .context("failed to serve metrics")?;
    setting.prometheus = Some(format!("http://{}", prometheus.address()));
    if let Some(map) = address_map(&format!("http://{address}")) {
        let mut namespace = object_model::Object::new("v1", "Namespace", None, api::install::NAMESPACE);
        namespace.set_label("app.kubernetes.io/name", "sluice");
        apply(&setting.people, &namespace).await?;
        apply(&setting.people, &map).await?;
    }
    line(&format!("kubeconfig: {}", kubeconfig.display()));
    line(&format!("repository: {}", folder.join("fleet.git").display()));
    Ok((World { setting, cluster: api, operator, token }, prometheus))
}

/// Letters that nobody guesses.
fn random_words() -> String {
    use std::hash::{BuildHasher, Hasher};
    let mut words = Vec::new();
    for _ in 0..4 {
        // The standard library seeds each of these from the system's randomness.
        let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
        hasher.write_usize(words.len());
        words.push(format!("{:016x}", hasher.finish()));
    }
    words.concat()
}

/// A token that only readers of the folder know.
fn token(folder: &Path) -> Result<String, Failure> {
    let token = random_words();
    let path: PathBuf = folder.join("operator.token");
    std::fs::write(&path, &token)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(token)
}

async fn perform(args: &Demo, setting: &Setting) -> Result<Vec<Check>, Failure> {
    let screen = Screen::new();
    let shared = screen.clone();
    let mut tell = move |progress: Progress| shared.tell(&progress);
    let played = tokio::select! {
        played = play(setting, &mut tell) => played,
        () = screen.redraw(setting) => Ok(Vec::new()),
    };
    screen.close();
    let checks = played.map_err(|error| Failure::new(error.to_string()))?;
    let rows: Vec<Vec<String>> = checks
        .iter()
        .map(|check| vec![if check.holds { "yes" } else { "NO" }.to_owned(), check.what.clone(), check.found.clone()])
        .collect();
    print(&format!("\n{}", table(&["HOLDS", "FACT", "FOUND"], &rows)));
    if args.serve && checks.iter().all(|check| check.holds) {
        line("serving");
        std::future::pending::<()>().await;
    }
    Ok(checks)
}

/// Plain lines, or a tree that is drawn again in place on a terminal.
#[derive(Clone)]
struct Screen {
    is_terminal: bool,
    drawn: Arc<Mutex<usize>>,
}

impl Screen {
    fn new() -> Self {
        Self { is_terminal: std::io::stdout().is_terminal(), drawn: Arc::default() }
    }

    fn tell(&self, progress: &Progress) {
        let text = match progress {
            Progress::Act { number: 0, title } => format!("\nprepare: {title}"),
            Progress::Act { number, title } => format!("\n{number}. {title}"),
            Progress::Told(text) => format!("   {text}"),
            Progress::Checked(Check { what, holds: true, .. }) => format!("   ✔ {what}"),
            Progress::Checked(Check { what, found, .. }) => format!("   ✘ {what} (found: {found})"),
        };
        self.erase();
        line(&text);
    }

    fn erase(&self) {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if *drawn > 0 {
            print(&format!("\x1b[{}A\x1b[J", *drawn));
            *drawn = 0;
        }
    }

    /// Shows the world again and again: on a terminal in place, else a line whenever a Rollout moves.
    async fn redraw(&self, setting: &Setting) {
        let mut before = Vec::new();
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let lines = frame(setting).await.lines;
            if self.is_terminal {
                self.erase();
                line("");
                lines.iter().for_each(|text| line(text));
                *self.drawn.lock().unwrap_or_else(PoisonError::into_inner) = lines.len() + 1;
                continue;
            }
            for text in lines.iter().filter(|text| text.contains("rollout/") && !before.contains(*text)) {
                line(&format!("   {}", text.trim()));
            }
            before = lines;
        }
    }

    fn close(&self) {
        self.erase();
    }
}
