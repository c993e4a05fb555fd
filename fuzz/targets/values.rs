#![no_main]

use go_template::CountingEntropy;
use libfuzzer_sys::fuzz_target;
use manifest_render::helm::{Chart, GivenValues, Release, Surroundings, Timestamp, merge_values, render_chart};
use manifest_render::{Budget, Limits, MemoryFiles};

const PARENT: &str = "apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies:\n- name: db\n  version: '*'\n  condition: db.enabled,global.db\n  tags: [back]\n  import-values:\n  - data\n  - {child: a.b, parent: c}\n";

/// The parts are divided by bytes that YAML does not have: values of the chart, of the subchart, of the user, and a text.
fuzz_target!(|data: &[u8]| {
    let mut parts = data.split(|byte| *byte == 0xFF);
    let mut part = || parts.next().unwrap_or_default().to_vec();
    let budget = Budget::new(Limits { steps_max: 200_000, ..Limits::default() });
    let mut files = MemoryFiles::new()
        .with("web/Chart.yaml", PARENT)
        .with("web/templates/a.yaml", "a: {{ toJson .Values | quote }}\n")
        .with("web/charts/db/Chart.yaml", "apiVersion: v2\nname: db\nversion: 1.0.0\n")
        .with("web/charts/db/templates/a.yaml", "a: {{ toJson .Values | quote }}\n");
    files.insert("web/values.yaml", part().into());
    files.insert("web/charts/db/values.yaml", part().into());
    let given = GivenValues {
        files: vec![("given".to_owned(), part())],
        set: vec![String::from_utf8_lossy(&part()).into_owned()],
        ..GivenValues::default()
    };
    let Ok(values) = merge_values(&given, &|_| Err("no files".to_owned())) else { return };
    let Ok(chart) = Chart::load("web", &files, &budget) else { return };
    let mut entropy = CountingEntropy::default();
    let release = Release { values, ..Release::new("rel", "ns") };
    let _ = render_chart(&chart, &release, Surroundings::new(&mut entropy, Timestamp::default()), &budget);
});
