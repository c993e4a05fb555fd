//! `sluice render`: manifests on stdout, faults with file and line on stderr.

use std::path::Path;

use manifest_render::{Budget, Kind, MemoryFiles, Source, render};

use crate::args::{Reach, Render, Renderer};
use crate::commands::chart;
use crate::output::{Failure, print};

/// Largest file and most files that are read from disk.
const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;
const FILES_MAX: usize = 20_000;

/// Renders a directory.
pub(crate) fn run(reach: &Reach, args: &Render) -> Result<(), Failure> {
    let is_chart = args.renderer == Renderer::Auto && chart::is_chart(&args.path);
    if is_chart || args.renderer == Renderer::Helm {
        return chart::render(reach, args);
    }
    let files = read(&args.path)?;
    let kind = match args.renderer {
        Renderer::Auto | Renderer::Helm => Kind::Auto,
        Renderer::Plain => Kind::Plain,
        Renderer::Handlebars => Kind::Handlebars,
        Renderer::Jsonnet => Kind::Jsonnet,
    };
    let source = Source { kind, ..Source::at("") };
    let rendered = render(&source, &files, &Budget::default()).map_err(|error| Failure::new(error.to_string()))?;
    let texts: Vec<String> = rendered.objects.iter().map(|item| yaml::to_yaml(&item.object.to_json())).collect();
    print(&texts.join("---\n"));
    Ok(())
}

fn read(root: &Path) -> Result<MemoryFiles, Failure> {
    let mut files = MemoryFiles::new();
    let mut folders = vec![root.to_path_buf()];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        let entries =
            std::fs::read_dir(&folder).map_err(|error| Failure::new(format!("{}: {error}", folder.display())))?;
        for entry in entries {
            let path = entry?.path();
            // Links are not followed: a source is what lies in its folder.
            let about = std::fs::symlink_metadata(&path)?;
            if about.is_dir() {
                folders.push(path);
            } else if about.is_file() {
                count += 1;
                if count > FILES_MAX || about.len() > FILE_BYTES_MAX {
                    return Err(Failure::new(format!("{} is more than a source may have", path.display())));
                }
                let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
                files = files.with(&name, std::fs::read(&path)?);
            }
        }
    }
    Ok(files)
}
