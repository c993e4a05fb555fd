//! How fast it is: `cargo test --release -p go-template --test all -- --ignored --nocapture speed`.

use std::sync::Arc;
use std::time::Instant;

use go_template::{CountingEntropy, Environment, Functions, Templates, from_json};

/// What charts mostly consist of.
const SOURCE: &str = r#"{{- define "name" -}}{{ .Values.name | printf "%s" }}-{{ .Release.Name }}{{- end -}}
{{- range $index, $port := .Values.ports }}
{{- if and $port.enabled (ne $port.name "x") }}
- name: {{ $port.name }}
  port: {{ $port.port }}
  target: {{ include "name" $ }}
  {{- with $.Values.labels }}
  labels:
    {{- range $key, $value := . }}
    {{ $key }}: {{ $value }}
    {{- end }}
  {{- end }}
{{- end }}
{{- end }}
"#;

fn megabytes_a_second(bytes: usize, start: Instant) -> u128 {
    (bytes as u128).checked_div(start.elapsed().as_micros()).unwrap_or_default()
}

#[test]
#[ignore = "it measures"]
fn speed_of_parsing_and_execution() {
    let mut functions = Functions::builtins();
    functions.add_template_calls();
    let functions = Arc::new(functions);
    let mut templates = Templates::new("speed", functions.clone());
    let start = Instant::now();
    for _ in 0..2_000 {
        templates.parse("t", SOURCE).unwrap();
    }
    println!("parse: {} MB/s of source", megabytes_a_second(2_000 * SOURCE.len(), start));

    let ports: Vec<_> =
        (0..1_000).map(|port| serde_json::json!({"name": "p", "port": port, "enabled": true})).collect();
    let data = from_json(&serde_json::json!({
        "Values": {"name": "web", "ports": ports, "labels": {"a": "b", "c": "d", "e": "f"}},
        "Release": {"Name": "release"},
    }));
    let start = Instant::now();
    let (mut bytes, mut steps) = (0, 0);
    for _ in 0..20 {
        let mut entropy = CountingEntropy::default();
        let mut environment = Environment::new(&mut entropy);
        bytes += templates.execute("t", &data, &mut environment).unwrap().len();
        steps += environment.budget.steps_used();
    }
    let nanoseconds = start.elapsed().as_nanos() / u128::from(steps);
    println!("execute: {} MB/s of output, {nanoseconds} ns a step", megabytes_a_second(bytes, start));
    assert!(bytes > 1_000_000);
}
