#![no_main]

use go_template::CountingEntropy;
use libfuzzer_sys::fuzz_target;
use manifest_render::helm::{Chart, Printing, Release, Surroundings, Timestamp, render_chart};
use manifest_render::{Budget, Limits, MemoryFiles};

const VALUES: &str = "s: text\nn: 7\nf: 2.5\nb: true\nl: [1, b, {c: d}]\nm: {a: 1, b: {c: [x]}}\nt: '{{ .Values.s }}'\n";

fuzz_target!(|data: &[u8]| {
    let limits = Limits { steps_max: 200_000, output_bytes_max: 1 << 20, ..Limits::default() };
    let budget = Budget::new(limits);
    let mut files = MemoryFiles::new()
        .with("web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n")
        .with("web/values.yaml", VALUES)
        .with("web/files/a.txt", "a\nb\n");
    files.insert("web/templates/a.yaml", data.to_vec().into());
    let Ok(chart) = Chart::load("web", &files, &budget) else { return };
    let mut entropy = CountingEntropy::default();
    let surroundings = Surroundings::new(&mut entropy, Timestamp::default());
    if let Ok(manifests) = render_chart(&chart, &Release::new("rel", "ns"), surroundings, &budget) {
        let _ = manifests.print(&Printing::default());
    }
});
