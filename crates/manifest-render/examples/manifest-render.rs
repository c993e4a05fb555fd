//! Renders a folder that holds a plain manifest, a template and a program, then one with faults.

use manifest_render::{Budget, MemoryFiles, RenderError, Source, render};

/// Returns what the example prints.
pub(crate) fn run() -> Result<String, RenderError> {
    let files = MemoryFiles::new()
        .with("qa/namespace.yaml", "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: qa\n")
        .with("qa/values.yaml", "image: web:1.0\n")
        .with("qa/web.hbs", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  image: {{image}}\n")
        .with("qa/services.jsonnet", "local service = import 'service.libsonnet';\n[service('web'), service('api')]\n")
        .with(
            "qa/service.libsonnet",
            "function(name) { apiVersion: 'v1', kind: 'Service', metadata: { name: name } }\n",
        )
        .with("prod/web.yaml", "apiVersion: v1\nkind: Service\nmetadata:\n  name: 12\n")
        .with("prod/broken.yaml", "a: [\n");
    let rendered = render(&Source::at("qa"), &files, &Budget::default())?;
    let mut lines: Vec<String> =
        rendered.objects.iter().map(|it| format!("{} from {}", it.object.id(), it.file)).collect();
    lines.push(format!("read {}", rendered.read.join(", ")));
    if let Err(error) = render(&Source::at("prod"), &files, &Budget::default()) {
        lines.extend(error.diagnostics().iter().map(ToString::to_string));
    }
    Ok(lines.join("\n"))
}

fn main() -> Result<(), RenderError> {
    #[expect(clippy::print_stdout, reason = "an example prints")]
    {
        println!("{}", run()?);
    }
    Ok(())
}
