//! Cases of the security table that concern rendering: what a source can't reach, and what is never fetched or run.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use manifest_render::helm::Chart;
use manifest_render::{Budget, MemoryFiles};

use super::{outcome, rendered};

fn chart(about: &str, template: &str) -> MemoryFiles {
    let about = format!("apiVersion: v2\nname: c\nversion: 1.0.0\n{about}");
    MemoryFiles::new().with("c/Chart.yaml", about).with("c/templates/a.yaml", template)
}

#[test]
fn case_11_a_source_reads_no_environment_file_network_clock_or_chance() {
    for call in [
        "env \"HOME\"",
        "expandenv \"$HOME\"",
        "readFile \"/etc/passwd\"",
        "exec \"id\"",
        "httpGet \"http://169.254.169.254\"",
    ] {
        let name = call.split(' ').next().unwrap();
        let said = outcome(&chart("", &format!("a: {{{{ {call} }}}}\n")), "c");
        assert!(said.contains(&format!("function \"{name}\" not defined")), "{said}");
    }
    let resolved =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {ip: {{ getHostByName \"localhost\" | quote }}}\n";
    let found = rendered(&chart("", resolved), "c").unwrap().objects[0].object.to_json();
    assert_eq!(found.pointer("/data/ip"), Some(&serde_json::json!("")), "names are not resolved");
    for program in
        ["importstr '/etc/passwd'", "importstr '../../etc/passwd'", "std.native('exec')('id')", "std.extVar('HOME')"]
    {
        let files = MemoryFiles::new().with("q/main.jsonnet", format!("{{a: {program}}}"));
        assert!(rendered(&files, "q").is_err(), "{program}");
    }
    let glob = "x: {{ .Files.Get \"../../etc/passwd\" | quote }}{{ .Files.Get \"/etc/passwd\" | quote }}\n";
    let manifest = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata:\n  {glob}");
    let files = chart("", &manifest);
    let found = rendered(&files, "c").map(|rendered| rendered.objects[0].object.to_json().to_string());
    assert!(found.as_ref().map_or(true, |text| text.contains("\"x\":\"\"") || !text.contains("root:")), "{found:?}");
    // What looks like chance and time is the same twice: it comes from the seed and the commit.
    let dice = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {r: {{ randAlphaNum 20 | quote }}, n: {{ now | quote }}, u: {{ uuidv4 | quote }}}\n";
    let render = || rendered(&chart("", dice), "c").unwrap().objects[0].object.to_json().to_string();
    assert_eq!(render(), render());
}

#[test]
fn case_12_nothing_is_fetched_or_run_for_a_chart_that_says_so() {
    let missing = "found in Chart.yaml, but missing in charts/ directory: other";
    for (repository, message) in [
        ("file://../../other", "path `../../other` leads out of the tree"),
        ("file:///etc", "path `/etc` is absolute, paths are relative to the root of the tree"),
        ("ext::sh -c id", missing),
        ("http://169.254.169.254/charts", missing),
    ] {
        let about = format!("dependencies:\n- name: other\n  version: 1.0.0\n  repository: \"{repository}\"\n");
        let files = chart(&about, "a: 1\n").with("other/Chart.yaml", "apiVersion: v2\nname: other\nversion: 1.0.0\n");
        let said = outcome(&files, "c");
        assert!(said.contains(message), "{repository}: {said}");
    }
    let files = chart("", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
        .with("c/plugin.yaml", "name: x\nhooks: {install: reboot}\n")
        .with("c/templates/NOTES.txt", "reboot");
    assert_eq!(outcome(&files, "c").lines().count(), 1);
}

/// A .tgz of one chart with one more entry of a kind of its own.
#[expect(clippy::unwrap_used, reason = "writing to memory does not fail")]
fn with_entry(name: &str, kind: u8, link: &str, tail: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    let about = b"apiVersion: v2\nname: c\nversion: 1.0.0\n".as_slice();
    for (name, kind, link, content) in [("c/Chart.yaml", b'0', "", about), (name, kind, link, b"".as_slice())] {
        let mut header = tar::Header::new_ustar();
        let ustar = header.as_ustar_mut().unwrap();
        ustar.name.iter_mut().zip(name.bytes()).for_each(|(slot, byte)| *slot = byte);
        ustar.linkname.iter_mut().zip(link.bytes()).for_each(|(slot, byte)| *slot = byte);
        ustar.typeflag = [kind];
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
    let mut packed = encoder.finish().unwrap();
    packed.extend_from_slice(tail);
    packed
}

#[test]
fn case_13_links_and_devices_in_an_archive_are_never_what_they_point_to() {
    for (kind, link) in [(b'1', "/etc/passwd"), (b'2', "/etc/passwd"), (b'3', ""), (b'4', ""), (b'6', "")] {
        let archive = with_entry("c/templates/a.yaml", kind, link, b"");
        match Chart::unpack("c.tgz", &archive, &Budget::default()) {
            Err(error) => assert!(!error.to_string().contains("root:"), "{error}"),
            Ok(chart) => {
                let content: Vec<u8> = chart.templates.iter().flat_map(|template| template.data.to_vec()).collect();
                assert!(content.is_empty(), "kind {} became content", char::from(kind));
            }
        }
    }
}
