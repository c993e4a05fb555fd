//! Reads a manifest, says where a value stands, changes it in place and writes the value anew.

use yaml::{Diagnostic, Step, parse, set_scalar, to_yaml};

const MANIFEST: &str = "\
kind: Deployment
metadata: {name: web}   # the front door
spec:
  containers:
  - name: web
    image: 'web:1.0'    # bumped by promotion
    ready: yes
";

/// Returns what the example prints.
pub(crate) fn run() -> Result<String, Box<dyn std::error::Error>> {
    let documents = parse(MANIFEST).map_err(first)?;
    let document = documents.first().ok_or("no document")?;
    let image = ["spec".into(), "containers".into(), Step::entry("name", "web"), "image".into()];
    let position = document.position(&image).ok_or("no image")?;
    let edited = set_scalar(MANIFEST, 0, &image, &"web:1.1".into())?;
    let written = to_yaml(&document.value);
    let fault = parse("a: 1\na: 2\n").map_err(first).err().unwrap_or_default();
    Ok(format!("the image is at {position}\n\n{edited}\n{written}\n{fault}\n"))
}

fn first(faults: Vec<Diagnostic>) -> String {
    faults.first().map(ToString::to_string).unwrap_or_default()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    #[expect(clippy::print_stdout, reason = "an example prints")]
    {
        print!("{}", run()?);
    }
    Ok(())
}
