//! Renders a message from JSON with a function of its own and a shared template.

use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;

use go_template::{CountingEntropy, Environment, Function, Functions, Limits, Signature, Templates, Type, from_json};

const MESSAGE: &str = r#"{{- define "target" }}{{ .namespace }}/{{ .name | shout }}{{ end -}}
{{ include "target" .rollout }} is at {{ .weight }} %
{{- range $step, $verdict := .verdicts }}
  step {{ $step }}: {{ printf "%-10s" $verdict }}|
{{- else }}
  nothing measured yet
{{- end }}
"#;

/// Returns what the example prints.
pub(crate) fn run() -> Result<String, Box<dyn Error>> {
    let mut functions = Functions::builtins();
    functions.add_template_calls();
    functions.add(Function::new("shout", Signature::fixed(&[&Type::String]), |call, args| {
        let name = args.text(0)?.to_uppercase();
        call.produce(name.len())?;
        Ok(name.into())
    }));

    let mut templates = Templates::new("messages", Arc::new(functions));
    templates.parse("rollout.txt", MESSAGE)?;
    templates.parse("wrong.txt", "{{ .rollout.name.first }}")?;
    templates.parse("endless.txt", "{{ range 1000000000 }}{{ end }}")?;

    let data = from_json(&serde_json::json!({
        "rollout": {"namespace": "shop", "name": "web"},
        "weight": 40,
        "verdicts": ["Successful", "Failed"],
    }));
    let mut entropy = CountingEntropy::default();
    let mut text = templates.execute("rollout.txt", &data, &mut Environment::new(&mut entropy))?.to_string();

    for name in ["wrong.txt", "endless.txt"] {
        let mut environment = Environment::new(&mut entropy);
        environment.budget = go_template::Budget::new(Limits { steps: 10_000, ..Limits::default() });
        if let Err(error) = templates.execute(name, &data, &mut environment) {
            writeln!(text, "{error}")?;
        }
    }
    Ok(text)
}

#[expect(clippy::print_stdout, reason = "an example prints")]
fn main() -> Result<(), Box<dyn Error>> {
    print!("{}", run()?);
    Ok(())
}
