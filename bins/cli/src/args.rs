//! What can be typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// Delivers what Git says to Kubernetes, step by step, and keeps Git true when a step fails.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, propagate_version = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) reach: Reach,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which cluster, and where the operator answers.
#[derive(Debug, Clone, Default, ClapArgs)]
pub(crate) struct Reach {
    /// Kubeconfig file.
    #[arg(long, global = true, env = "KUBECONFIG", value_name = "PATH")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig.
    #[arg(long, global = true)]
    pub(crate) context: Option<String>,
    /// Namespace; that of the context when not given.
    #[arg(short, long, global = true)]
    pub(crate) namespace: Option<String>,
    /// Group under which GitOpsConfig is served.
    #[arg(long, global = true, default_value = "sluice.dev")]
    pub(crate) group: String,
    /// URL of the operator, for the record.
    #[arg(long, global = true, env = "SLUICE_OPERATOR", value_name = "URL")]
    pub(crate) operator: Option<String>,
    /// File with the bearer token for the operator; the kubeconfig's token when not given.
    #[arg(long, global = true, env = "SLUICE_TOKEN_FILE", value_name = "PATH")]
    pub(crate) token_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows the main job on an embedded cluster: nothing else is needed.
    Demo(Demo),
    /// Serves an embedded cluster for tests and trials.
    Sim(Sim),
    /// Renders a path of files, or a chart, to manifests.
    Render(Render),
    /// Tells what is wrong with a chart.
    Lint(Lint),
    /// Shows what a delivery of a config, or of a path on disk, would change. Exit codes as kubectl diff: 0 nothing, 1
    /// something, 2 it can't be told.
    Diff(Diff),
    /// Prints the manifests of an installation, for kubectl apply --server-side -f -.
    Install(Install),
    /// Prints the CustomResourceDefinitions.
    Crds(Crds),
    /// Lists configs, Rollouts, Experiments, AnalysisRuns, environments, pipelines or promotions.
    Get(Get),
    /// Shows what a config delivers, with health.
    Tree(Target),
    /// Tells why an object is as it is: commit, people, build, promotion.
    Why(Why),
    /// Shows the history of an object or a namespace.
    Log(Log),
    /// Shows what was wanted and what was there at a past time.
    At(At),
    /// Fetches the repository of a config now.
    Refresh(Target),
    /// The same as refresh: what Git says is applied as soon as it is fetched.
    Sync(Target),
    /// Stops a config from applying anything.
    Suspend(Target),
    /// Lets a suspended config go on.
    Resume(Target),
    /// Waits until a config or Rollout is healthy.
    Wait(Wait),
    /// Lets a paused Rollout go on, or moves versions between environments (--from, --to).
    Promote(Promote),
    /// Sends all traffic of a Rollout back to its stable version.
    Abort(Target),
    /// Tries an aborted update again, or an Experiment: retry experiment/NAME.
    Retry(Target),
    /// Ends an AnalysisRun or an Experiment before its time: terminate experiment/NAME.
    Terminate(Target),
    /// Pauses a Rollout.
    Pause(Target),
    /// Undoes pause.
    Unpause(Target),
    /// Gives a Rollout new pods of the same version.
    Restart(Restart),
    /// Takes a Rollout back to an earlier revision. One that Git delivers is taken back in Git.
    Undo(Undo),
    /// Sets images of a Rollout: set image ROLLOUT CONTAINER=IMAGE... One that Git delivers is changed in Git.
    Set(Set),
    /// Takes over what another tool installed, without recreating anything.
    Adopt(Adopt),
    /// Prints the completion script of a shell.
    Completion {
        /// The shell.
        shell: Shell,
    },
    /// Prints this reference as Markdown.
    #[command(hide = true)]
    Reference,
}

/// Shells with completion.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    Table,
    Wide,
    Json,
    Yaml,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Demo {
    /// Keeps everything up after the last check, until Ctrl-C.
    #[arg(long)]
    pub(crate) serve: bool,
    /// The same seed gives the same sequence of weights and verdicts.
    #[arg(long, default_value_t = 7)]
    pub(crate) seed: u64,
    /// Folder for kubeconfig and repository; a temporary one that is removed at the end when not given.
    #[arg(long, value_name = "PATH")]
    pub(crate) folder: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Sim {
    /// Address to listen on; loopback only.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) listen: std::net::SocketAddr,
    /// Where the kubeconfig is written.
    #[arg(long, value_name = "FILE", default_value = "sluice-sim.kubeconfig")]
    pub(crate) kubeconfig_out: PathBuf,
    /// Seeds uids and generated names.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Render {
    /// Directory of the source, or a chart: a folder with a Chart.yaml, or a .tgz.
    pub(crate) path: PathBuf,
    /// Name of the release, for a chart.
    #[arg(default_value = "release-name")]
    pub(crate) name: String,
    /// Kind of source.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) renderer: Renderer,
    #[command(flatten)]
    pub(crate) values: ValueArgs,
    #[command(flatten)]
    pub(crate) chart: ChartArgs,
}

/// Values for a chart, as Helm takes them.
#[derive(Debug, Default, ClapArgs)]
pub(crate) struct ValueArgs {
    /// File with values; later ones win.
    #[arg(short = 'f', long = "values", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Sets values: a.b=1,c={x,y}.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// Sets strings.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set_string: Vec<String>,
    /// Sets JSON values.
    #[arg(long, value_name = "NAME=JSON")]
    pub(crate) set_json: Vec<String>,
    /// Sets strings to the content of files.
    #[arg(long, value_name = "NAME=FILE")]
    pub(crate) set_file: Vec<String>,
    /// Sets one string in which nothing is special.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set_literal: Vec<String>,
}

/// What a chart is told, and what of it is printed.
#[derive(Debug, Default, ClapArgs)]
pub(crate) struct ChartArgs {
    /// Version of Kubernetes that the chart is told.
    #[arg(long, value_name = "VERSION")]
    pub(crate) kube_version: Option<String>,
    /// API versions that the chart is told besides the usual ones.
    #[arg(short = 'a', long, value_name = "VERSION", value_delimiter = ',')]
    pub(crate) api_versions: Vec<String>,
    /// Prints the chart's CustomResourceDefinitions too.
    #[arg(long)]
    pub(crate) include_crds: bool,
    /// Prints only what comes from these templates.
    #[arg(short = 's', long, value_name = "TEMPLATE")]
    pub(crate) show_only: Vec<String>,
    /// Tells the chart of an upgrade instead of an install.
    #[arg(long)]
    pub(crate) is_upgrade: bool,
    /// Leaves tests out.
    #[arg(long)]
    pub(crate) skip_tests: bool,
    /// Leaves hooks out.
    #[arg(long)]
    pub(crate) no_hooks: bool,
    /// Leaves the chart's schema of values aside.
    #[arg(long)]
    pub(crate) skip_schema_validation: bool,
    /// Where charts come from that this one depends on and that are not in charts/.
    #[arg(long, value_enum, default_value = "vendored")]
    pub(crate) dependencies: Dependencies,
}

/// Where the charts come from that a chart depends on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dependencies {
    /// From charts/ only; what is missing is an error, as in Helm.
    #[default]
    Vendored,
    /// From their repositories too, in the versions of Chart.lock when there is one, and from `file://` folders.
    Fetched,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Renderer {
    Auto,
    Plain,
    Handlebars,
    Jsonnet,
    Helm,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Lint {
    /// Folder or .tgz of a chart.
    pub(crate) path: PathBuf,
    #[command(flatten)]
    pub(crate) values: ValueArgs,
    /// Version of Kubernetes that the chart is told.
    #[arg(long, value_name = "VERSION")]
    pub(crate) kube_version: Option<String>,
    /// Fails on warnings too.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Shows warnings and errors only.
    #[arg(long)]
    pub(crate) quiet: bool,
    /// Leaves the chart's schema of values aside.
    #[arg(long)]
    pub(crate) skip_schema_validation: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Diff {
    /// config/NAME, or a path on disk as sluice render takes it.
    pub(crate) target: String,
    /// Branch to deliver instead of the config's own.
    #[arg(long, value_name = "BRANCH")]
    pub(crate) branch: Option<String>,
    /// Compares with what this branch says, instead of with the cluster.
    #[arg(long, value_name = "BRANCH")]
    pub(crate) base: Option<String>,
    /// Name of the release, for a chart on disk.
    #[arg(long, value_name = "NAME", default_value = "release-name")]
    pub(crate) release_name: String,
    /// Values for a path on disk.
    #[command(flatten)]
    pub(crate) values: ValueArgs,
    /// Lines around each change.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub(crate) context_lines: u16,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value = "text")]
    pub(crate) output: DiffForm,
}

/// How a comparison is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiffForm {
    /// A unified diff for each object.
    Text,
    /// The changed fields of each object.
    Json,
    /// A comment for a review.
    Markdown,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Install {
    /// Image of the operator.
    #[arg(long, default_value = "ghcr.io/sluice-dev/sluice-operator:latest")]
    pub(crate) image: String,
    /// Leaves argoproj.io's definitions out, for a cluster that has them.
    #[arg(long)]
    pub(crate) without_argo_crds: bool,
    /// Group under which GitOpsConfig is served.
    #[arg(long = "crd-group", default_value = "sluice.dev")]
    pub(crate) group: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Crds {
    /// Group under which GitOpsConfig is served.
    #[arg(long = "crd-group", default_value = "sluice.dev")]
    pub(crate) group: String,
    /// Adds argoproj.io's definitions, for a cluster that has none.
    #[arg(long)]
    pub(crate) with_argo: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Get {
    /// KIND or KIND/NAME, such as configs, rollout/frontend, promotions.
    pub(crate) what: String,
    /// All namespaces.
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value = "table")]
    pub(crate) output: Form,
    /// Prints again whenever something changes.
    #[arg(short, long)]
    pub(crate) watch: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Target {
    /// KIND/NAME or NAME.
    pub(crate) target: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Why {
    /// KIND/NAME, such as rollout/frontend.
    pub(crate) target: String,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value = "table")]
    pub(crate) output: Form,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Log {
    /// KIND/NAME; everything of the namespace when not given.
    pub(crate) target: Option<String>,
    /// All namespaces.
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
    /// Most rows.
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: usize,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value = "table")]
    pub(crate) output: Form,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct At {
    /// RFC 3339 time.
    pub(crate) time: String,
    /// KIND/NAME; everything of the namespace when not given.
    pub(crate) target: Option<String>,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value = "table")]
    pub(crate) output: Form,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Wait {
    /// KIND/NAME, such as config/guestbook or rollout/frontend.
    pub(crate) target: String,
    /// Longest wait, such as 5m.
    #[arg(long, default_value = "5m", value_parser = duration)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Restart {
    /// KIND/NAME or NAME.
    pub(crate) target: String,
    /// How far from now, such as 10m.
    #[arg(short = 'i', long = "in", value_name = "DURATION", default_value = "0s", value_parser = duration)]
    pub(crate) after: Duration,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Undo {
    /// KIND/NAME or NAME.
    pub(crate) target: String,
    /// Revision to go back to; the one before the present one when not given.
    #[arg(long, value_name = "REVISION")]
    pub(crate) to_revision: Option<u64>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Set {
    /// What to set.
    #[command(subcommand)]
    pub(crate) what: SetWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SetWhat {
    /// Sets images of containers.
    Image(SetImage),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SetImage {
    /// KIND/NAME or NAME.
    pub(crate) target: String,
    /// CONTAINER=IMAGE; * stands for every container.
    #[arg(required = true, value_name = "CONTAINER=IMAGE")]
    pub(crate) images: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Adopt {
    /// The other tool.
    #[command(subcommand)]
    pub(crate) from: AdoptFrom,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdoptFrom {
    /// A release of Helm: shows what the chart in Git would change on it, and with --apply hands it to the operator. Exit
    /// codes as of diff: 0 nothing changes, 1 something would.
    Helm(AdoptHelm),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct AdoptHelm {
    /// Name of the release.
    pub(crate) release: String,
    /// Repository with the chart.
    #[arg(long)]
    pub(crate) url: String,
    /// Branch of the repository.
    #[arg(long, default_value = "main")]
    pub(crate) branch: String,
    /// Path of the chart in the repository.
    #[arg(long)]
    pub(crate) path: String,
    /// ServiceAccount, in the namespace of the release, that objects are applied as.
    #[arg(long, value_name = "NAME", default_value = "")]
    pub(crate) service_account: String,
    /// Takes the release over: writes its values into a Secret and makes a GitOpsConfig of its name.
    #[arg(long)]
    pub(crate) apply: bool,
    /// Takes it over although the chart in Git would change something.
    #[arg(long, requires = "apply")]
    pub(crate) with_changes: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Promote {
    /// Rollout to let go on; nothing with --from and --to.
    #[arg(required_unless_present = "to")]
    pub(crate) rollout: Option<String>,
    /// Skips all remaining steps.
    #[arg(long, conflicts_with = "to")]
    pub(crate) full: bool,
    /// Source environment.
    #[arg(long, requires = "to")]
    pub(crate) from: Option<String>,
    /// Target environment.
    #[arg(long, requires_all = ["from", "pipeline"])]
    pub(crate) to: Option<String>,
    /// Pipeline in the namespace.
    #[arg(long)]
    pub(crate) pipeline: Option<String>,
    /// Who asks, as name and e-mail address in angle brackets; becomes the author of the commit.
    #[arg(long, default_value = "")]
    pub(crate) requested_by: String,
    /// Why.
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
}

fn duration(text: &str) -> Result<Duration, String> {
    object_model::parse_go_duration(text).map_err(|error| error.to_string())
}
