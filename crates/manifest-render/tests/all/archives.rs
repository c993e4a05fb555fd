//! Packed charts: read like folders, refused when they are hostile; and any bytes anywhere in a chart.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use manifest_render::helm::{
    Chart, GivenValues, Reading, Release, Surroundings, Timestamp, merge_values, render_chart, set_values,
};
use manifest_render::{Budget, Limits, MemoryFiles};
use proptest::prelude::*;

/// A .tgz with these names as they are, however odd.
#[expect(clippy::unwrap_used, reason = "writing to memory does not fail")]
fn pack(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        for (slot, byte) in header.as_ustar_mut().unwrap().name.iter_mut().zip(name.bytes()) {
            *slot = byte;
        }
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.extend_from_slice(header.as_bytes());
        tar.extend_from_slice(content);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&tar).unwrap();
    encoder.finish().unwrap()
}

fn loaded(archive: &[u8]) -> String {
    match Chart::unpack("c.tgz", archive, &Budget::default()) {
        Ok(chart) => format!("{} {} templates", chart.name(), chart.templates.len()),
        Err(error) => error.to_string(),
    }
}

const ABOUT: &[u8] = b"apiVersion: v2\nname: c\nversion: 1.0.0\n";

#[test]
fn a_packed_chart_is_a_chart_and_so_are_packed_charts_in_it() {
    let inner =
        pack(&[("d/Chart.yaml", b"apiVersion: v2\nname: d\nversion: 2.0.0\n"), ("d/templates/b.yaml", b"b: 1\n")]);
    let outer = pack(&[("c/Chart.yaml", ABOUT), ("c/templates/a.yaml", b"a: 1\n"), ("c/charts/d-2.0.0.tgz", &inner)]);
    let files = MemoryFiles::new().with("charts/c.tgz", &outer);
    let chart = Chart::load("charts/c.tgz", &files, &Budget::default()).unwrap();
    assert_eq!(chart.dependencies[0].name(), "d");
    let mut entropy = go_template::CountingEntropy::default();
    let surroundings = Surroundings::new(&mut entropy, Timestamp::default());
    let manifests = render_chart(&chart, &Release::new("r", "n"), surroundings, &Budget::default()).unwrap();
    let sources: Vec<&str> = manifests.manifests.iter().map(|it| it.source.as_str()).collect();
    assert_eq!(sources, ["c/charts/d/templates/b.yaml", "c/templates/a.yaml"]);
}

#[test]
fn case_13_hostile_archives_are_refused() {
    let bomb = pack(&[("c/Chart.yaml", ABOUT), ("c/big", &vec![0; 6 << 20])]);
    for (archive, expected) in [
        (pack(&[("c/Chart.yaml", ABOUT), ("c/../../x", b"x")]), "unable to load chart archive"),
        (pack(&[("c/Chart.yaml", ABOUT), ("c//etc/x", b"x")]), "unable to load chart archive"),
        (pack(&[("c/Chart.yaml", ABOUT), ("c\\..\\x", b"x")]), "unable to load chart archive"),
        (pack(&[("c/Chart.yaml", ABOUT), ("c/c:/x", b"x")]), "unable to load chart archive"),
        (pack(&[("Chart.yaml", ABOUT)]), "unable to load chart archive"),
        (bomb, "unable to load chart archive"),
        (pack(&[("c/values.yaml", b"a: 1")]), "unable to detect chart version, no Chart.yaml found"),
        (b"apiVersion: v2".to_vec(), "file 'c.tgz' does not appear to be a gzipped archive"),
    ] {
        assert_eq!(loaded(&archive), expected);
    }
}

#[test]
fn case_13_an_archive_in_an_archive_in_an_archive_ends() {
    let mut archive = pack(&[("c/Chart.yaml", ABOUT)]);
    for _ in 0..40 {
        archive = pack(&[("c/Chart.yaml", ABOUT), ("c/charts/c.tgz", &archive)]);
    }
    assert!(loaded(&archive).contains("more than 32 deep"), "{}", loaded(&archive));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_as_any_part_of_a_chart_are_read_or_refused(bytes in any::<Vec<u8>>(), text in "[-{}a: .|$\"\n\t&*!%()]{0,60}") {
        let limits = Limits { steps_max: 100_000, output_bytes_max: 1 << 20, ..Limits::default() };
        let _ = loaded(&[&[0x1f, 0x8b, 0x08][..], &bytes].concat());
        for content in [bytes.as_slice(), text.as_bytes()] {
            for name in ["Chart.yaml", "values.yaml", "values.schema.json", ".helmignore", "templates/a.yaml"] {
                let files = MemoryFiles::new().with("c/Chart.yaml", ABOUT).with("c/templates/b.yaml", "b: {{ .Values }}");
                let files = files.with(&format!("c/{name}"), content);
                let budget = Budget::new(limits);
                let Ok(chart) = Chart::load("c", &files, &budget) else { continue };
                let mut entropy = go_template::CountingEntropy::default();
                let surroundings = Surroundings::new(&mut entropy, Timestamp::default());
                let _ = render_chart(&chart, &Release::new("r", "n"), surroundings, &budget);
            }
        }
    }

    #[test]
    fn any_text_is_set_or_refused(text in "[a-c0-9.=,\\[\\]{}\\\\\"-]{0,80}") {
        for reading in [Reading::Typed, Reading::Text, Reading::Json, Reading::Literal] {
            let _ = set_values(&text, reading, &mut serde_json::Map::new());
        }
        let _ = merge_values(&GivenValues { json: vec![text], ..GivenValues::default() }, &|_| Err(String::new()));
    }
}
