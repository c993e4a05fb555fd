//! `sluice render` of a chart: what `helm template` prints. `sluice lint`: what `helm lint` finds, with places.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use manifest_render::helm::{
    Chart, GivenValues, HelmError, KubeVersion, Mode, Printing, Release, Severity, Surroundings, Timestamp, lint_chart,
    merge_values, missing_charts, render_chart,
};
use manifest_render::{Budget, Limits};
use reconcile_runtime::{RemoteFactory, RemotePolicy, StandardRemotes, fetch_chart};

use crate::args::{Dependencies, Lint, Reach, Render, ValueArgs};
use crate::disk_files::DiskFiles;
use crate::output::{Failure, line, print_bytes, talk};

/// Longest time that one chart may take.
const TIME_MAX: Duration = Duration::from_secs(60);

/// Whether a path is a chart, by what lies there.
pub(crate) fn is_chart(path: &Path) -> bool {
    let is_packed = path.extension().is_some_and(|extension| extension == "tgz");
    if path.is_file() { is_packed } else { path.join("Chart.yaml").is_file() }
}

/// Renders a chart.
pub(crate) fn render(reach: &Reach, args: &Render) -> Result<(), Failure> {
    let started = Instant::now();
    let budget = Budget::new(Limits::default()).with_deadline(move || started.elapsed() > TIME_MAX);
    let mut release = Release::new(&args.name, reach.namespace.as_deref().unwrap_or("default"));
    release.values = given(&args.values)?;
    release.is_upgrade = args.chart.is_upgrade;
    release.skips_schema = args.chart.skip_schema_validation;
    if let Some(version) = &args.chart.kube_version {
        release.capabilities.kube_version = KubeVersion::parse(version).map_err(Failure::new)?;
    }
    release.capabilities.api_versions.extend(args.chart.api_versions.iter().cloned());
    let chart = load(&args.path, args.chart.dependencies, &budget)?;
    let mut entropy = SystemEntropy;
    let surroundings = Surroundings::new(&mut entropy, now());
    let manifests = render_chart(&chart, &release, surroundings, &budget).map_err(failure)?;
    manifests.warnings.iter().for_each(|warning| talk(&format!("warning: {warning}")));
    let printing = Printing {
        with_definitions: args.chart.include_crds,
        skips_tests: args.chart.skip_tests,
        skips_hooks: args.chart.no_hooks,
        only: args.chart.show_only.clone(),
    };
    print_bytes(&manifests.print(&printing).map_err(failure)?);
    // The process ends here: its memory goes back at once, not piece by piece.
    std::mem::forget((chart, manifests));
    Ok(())
}

fn failure(error: HelmError) -> Failure {
    Failure::new(error.to_string())
}

fn load(path: &Path, dependencies: Dependencies, budget: &Budget) -> Result<Chart, Failure> {
    let shown = |error: std::io::Error| Failure::new(format!("{}: {error}", path.display()));
    let (files, inside) = DiskFiles::around(path).map_err(shown)?;
    let mut chart = Chart::load(&inside, &files, budget).map_err(failure)?;
    if dependencies == Dependencies::Fetched {
        chart.add_local_dependencies(&inside, &files, budget).map_err(failure)?;
        // A person at a terminal may reach what their machine reaches.
        let remotes = StandardRemotes::new(RemotePolicy { allow_local: true, allow_loopback: true });
        let options = remotes.chart_access().unwrap_or_default();
        for wanted in missing_charts(&inside, &files, budget).map_err(failure)? {
            talk(&format!("fetching {} {} from {}", wanted.name, wanted.version, wanted.repository));
            let packed = fetch_chart(&wanted, &options).map_err(|error| Failure::new(error.to_string()))?;
            let name = format!("{}-{}.tgz", wanted.name, packed.version);
            chart.dependencies.push(Chart::unpack(&name, &packed.data, budget).map_err(failure)?);
        }
    }
    Ok(chart)
}

/// All values that were given.
pub(crate) fn given(args: &ValueArgs) -> Result<serde_json::Map<String, serde_json::Value>, Failure> {
    let read = |path: &Path| std::fs::read(path).map_err(|error| Failure::new(format!("{}: {error}", path.display())));
    let mut given = GivenValues {
        json: args.set_json.clone(),
        set: args.set.clone(),
        strings: args.set_string.clone(),
        file_contents: args.set_file.clone(),
        literals: args.set_literal.clone(),
        ..GivenValues::default()
    };
    for path in &args.files {
        given.files.push((path.display().to_string(), read(path)?));
    }
    let content = |path: &str| {
        let bytes = std::fs::read(path).map_err(|error| format!("open {path}: {error}"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    merge_values(&given, &content).map_err(failure)
}

#[expect(clippy::disallowed_methods, reason = "a chart that asks for the time gets that of the machine, as from Helm")]
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp { seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nanoseconds: since.subsec_nanos() }
}

/// The randomness of the machine, as Helm draws it.
struct SystemEntropy;

impl manifest_render::helm::Entropy for SystemEntropy {
    fn fill(&mut self, _template: &str, bytes: &mut [u8]) {
        // Without randomness the machine is broken; zeros would be passwords that anybody can guess.
        if getrandom::fill(bytes).is_err() {
            std::process::abort();
        }
    }
}

/// Tells what is wrong with a chart.
pub(crate) fn lint(reach: &Reach, args: &Lint) -> Result<(), Failure> {
    let started = Instant::now();
    let budget = Budget::new(Limits::default()).with_deadline(move || started.elapsed() > TIME_MAX);
    let mut release = Release::new("test-release", reach.namespace.as_deref().unwrap_or("default"));
    release.mode = Mode::Lint;
    release.values = given(&args.values)?;
    release.skips_schema = args.skip_schema_validation;
    if let Some(version) = &args.kube_version {
        release.capabilities.kube_version = KubeVersion::parse(version).map_err(Failure::new)?;
    }
    let shown = |error: std::io::Error| Failure::new(format!("{}: {error}", args.path.display()));
    let (files, inside) = DiskFiles::around(&args.path).map_err(shown)?;
    let mut entropy = SystemEntropy;
    let surroundings = Surroundings::new(&mut entropy, now());
    let findings = lint_chart(&inside, &files, &release, surroundings, &budget).map_err(failure)?;
    let worst = findings.iter().map(|finding| finding.severity).max();
    let tolerated = if args.strict { Severity::Info } else { Severity::Warning };
    let has_failed = worst.is_some_and(|worst| worst > tolerated);
    let is_silent = args.quiet && worst.is_none_or(|worst| worst == Severity::Info);
    if !is_silent {
        line(&format!("==> Linting {}", args.path.display()));
        for finding in findings.iter().filter(|finding| !args.quiet || finding.severity > Severity::Info) {
            line(&finding.to_string());
        }
        line("");
    }
    let summary = format!("1 chart(s) linted, {} chart(s) failed", usize::from(has_failed));
    if has_failed {
        return Err(Failure::new(summary));
    }
    if !is_silent {
        line(&summary);
    }
    Ok(())
}
