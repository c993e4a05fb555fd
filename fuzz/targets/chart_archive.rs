#![no_main]

use libfuzzer_sys::fuzz_target;
use manifest_render::helm::Chart;
use manifest_render::{Budget, Limits};

fuzz_target!(|data: &[u8]| {
    let limits = Limits { read_bytes_max: 16 << 20, files_max: 500, ..Limits::default() };
    if let Ok(chart) = Chart::unpack("fuzz.tgz", data, &Budget::new(limits)) {
        let all = chart.templates.iter().chain(&chart.files);
        for file in all {
            let is_inside = !file.name.starts_with('/') && file.name.split('/').all(|part| part != "..");
            assert!(is_inside, "{}", file.name);
        }
    }
});
