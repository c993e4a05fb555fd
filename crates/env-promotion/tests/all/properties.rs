//! What holds for every text, also for hostile ones.

use env_promotion::{
    Artifact, ImageReference, PromotionMessage, RestoringMessage, Trailers, TreeFile, Version, plan_edits,
    promotion_message, restoring_message,
};
use proptest::prelude::*;

/// Texts that try to be something else: line ends of every kind, trailers, YAML signs.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\n".to_owned()),
        Just("\r\n".to_owned()),
        Just("\n\n".to_owned()),
        Just("\u{2028}".to_owned()),
        Just("\u{85}".to_owned()),
        Just("Sluice-Env: prod".to_owned()),
        Just("Signed-off-by: x <x@example.com>".to_owned()),
        Just(" # sluice: web:tag".to_owned()),
        ".{0,12}",
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// Lines of files that are nearly manifests.
fn file() -> impl Strategy<Value = String> {
    let line = prop::sample::select(vec![
        "kind: Deployment",
        "metadata: {name: web}",
        "spec:",
        "  template:",
        "    spec:",
        "      containers:",
        "      - name: web",
        "        image: acme/web:1",
        "        image: 'acme/web:1' # note",
        "      - {name: b, image: \"acme/web:2\"}",
        "---",
        "tag: 1.0 # sluice: web:tag",
        "image: acme/web # sluice: web",
        "images: [{name: acme/web, newTag: '3'}]",
        "text: |",
        "  image: acme/web:9 # sluice: web",
        "x: &a acme/web:1 # sluice: web",
        "y: *a",
        "{{ template }}",
        "\t",
        "",
    ]);
    (prop::collection::vec(line, 0..14), any::<bool>())
        .prop_map(|(lines, windows)| lines.join(if windows { "\r\n" } else { "\n" }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_forges_a_trailer(reason in text(), subject in text(), who in text(), path in text()) {
        let trailers = Trailers {
            env: Some("qa".to_owned()), reason: Some(reason.clone()), requested_by: Some(who), ..Trailers::default()
        };
        let message = restoring_message(&RestoringMessage {
            config: &subject, bad_commit: &reason, good_commit: &subject, reason: &reason, paths: &[path], trailers: &trailers,
        });
        let (read, problems) = Trailers::parse(&message);
        prop_assert_eq!(read.env.as_deref(), Some("qa"), "{}", message);
        prop_assert!(problems.is_empty(), "{problems:?}");
        let last = message.trim_end().rsplit("\n\n").next().unwrap_or_default();
        prop_assert!(last.lines().all(|line| line.starts_with("Sluice-")), "{last}");
        let promotion = promotion_message(&PromotionMessage { env: &subject, from: Some(&reason), changes: &[], trailers: &trailers });
        prop_assert_eq!(Trailers::parse(&promotion).0, read);
    }

    #[test]
    fn an_edit_leaves_every_other_line_as_it_was(text in file()) {
        let files = [("envs/e2e/web.yaml".to_owned(), TreeFile::Regular(text.clone().into_bytes()))].into();
        let web = Artifact { name: "web".to_owned(), image: "acme/web".to_owned(), places: Vec::new() };
        let Ok(edits) = plan_edits(&files, "envs/e2e", &[web], &[Version::parse("web=7").unwrap()]) else { return Ok(()) };
        for edit in &edits.files {
            let after = String::from_utf8(edit.after.clone()).unwrap();
            let (before, after): (Vec<&str>, Vec<&str>) = (text.split('\n').collect(), after.split('\n').collect());
            prop_assert_eq!(before.len(), after.len());
            let changed = before.iter().zip(&after).filter(|(before, after)| before != after).count();
            prop_assert!(changed >= 1 && changed <= edits.fields.len());
            for (before, after) in before.iter().zip(&after) {
                let comment = |line: &str| line.split_once('#').map(|(_, comment)| comment.to_owned());
                prop_assert_eq!(comment(before), comment(after));
                prop_assert_eq!(before.ends_with('\r'), after.ends_with('\r'));
            }
        }
    }

    #[test]
    fn every_image_that_is_read_prints_as_it_was(text in "[a-z0-9./:@A-Z_-]{0,40}") {
        if let Ok(image) = ImageReference::parse(&text) {
            prop_assert_eq!(image.to_string(), text);
            prop_assert!(image.is_same_image(&image));
        }
    }
}
