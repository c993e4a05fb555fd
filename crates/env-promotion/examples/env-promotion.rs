//! Promotes a version from qa to e2e: reads what qa has, edits e2e's file and writes the commit message.

use std::error::Error;

use env_promotion::{
    Action, Artifact, OperationId, PromotionMessage, Trailers, TreeFile, TreeFiles, Version, plan_edits,
    promotion_message, versions_at,
};
use object_model::Uid;

const QA: &str = "kind: Rollout\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: web, image: 'acme/web:1.3'}]}}}\n";
const E2E: &str = "kind: Rollout\nmetadata: {name: web}\nspec:\n  replicas: 5   # more than in qa\n  template:\n    spec:\n      containers:\n      - name: web\n        image: acme/web:1.2   # sluice: web\n";

/// Returns what the example prints.
///
/// # Errors
/// When the image can't be found or edited.
pub fn run() -> Result<String, Box<dyn Error>> {
    let file = |path: &str, text: &str| (path.to_owned(), TreeFile::Regular(text.as_bytes().to_vec()));
    let files = TreeFiles::from([file("envs/qa/web.yaml", QA), file("envs/e2e/web.yaml", E2E)]);
    let artifacts = [Artifact { name: "web".to_owned(), image: "acme/web".to_owned(), places: Vec::new() }];

    let versions: Vec<Version> =
        versions_at(&files, "envs/qa", &artifacts)?.into_iter().filter_map(|(_, version)| version).collect();
    let edits = plan_edits(&files, "envs/e2e", &artifacts, &versions)?;
    let trailers = Trailers {
        operation: Some(OperationId::of_promotion(&Uid::new("5c1d"))),
        action: Some(Action::Promote),
        env: Some("e2e".to_owned()),
        versions,
        requested_by: Some("ann@example.com".to_owned()),
        ..Trailers::default()
    };
    let message = promotion_message(&PromotionMessage {
        env: "e2e",
        from: Some("qa"),
        changes: &edits.versions,
        trailers: &trailers,
    });
    let mut text = String::new();
    for edit in &edits.files {
        text.push_str(&format!("{}\n{}\n", edit.file, String::from_utf8_lossy(&edit.after)));
    }
    Ok(text + &message)
}

#[cfg_attr(not(test), expect(clippy::print_stdout, reason = "an example prints what it shows"))]
#[cfg_attr(test, expect(dead_code, reason = "the test calls run"))]
fn main() -> Result<(), Box<dyn Error>> {
    print!("{}", run()?);
    Ok(())
}
