//! Comparisons as text, JSON and Markdown.

use std::fmt::Write as _;

use diff_engine::print_between;
use serde_json::{Value, json};

use super::Difference;
use crate::args::{Diff, DiffForm};

/// Longest comment that GitHub takes is 65,536 characters; the table of objects comes first and is never cut.
const COMMENT_DIFF_BYTES_MAX: usize = 56_000;

/// Prints all differences in the form that was asked for.
pub(crate) fn text(differences: &[Difference], args: &Diff) -> String {
    let names = match args.base {
        Some(_) => ["base", "branch"],
        None => ["live", "desired"],
    };
    let unified = |difference: &Difference| {
        let (before, after) = (difference.before.as_ref(), difference.after.as_ref());
        print_between(before, after, names, usize::from(args.context_lines))
    };
    match args.output {
        DiffForm::Text => differences.iter().map(unified).collect(),
        DiffForm::Json => format!("{:#}\n", json(differences)),
        DiffForm::Markdown => markdown(differences, &unified, &args.target),
    }
}

impl Difference {
    fn action(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "create",
            (_, None) => "delete",
            _ => "change",
        }
    }
}

fn json(differences: &[Difference]) -> Value {
    let row = |difference: &Difference| {
        let changes = difference.changes.iter().map(|change| {
            json!({"path": change.path, "pointer": change.pointer, "live": change.live, "desired": change.desired})
        });
        json!({
            "action": difference.action(),
            "object": {
                "group": difference.id.group, "kind": difference.id.kind,
                "namespace": difference.id.namespace, "name": difference.id.name,
            },
            "changes": changes.collect::<Vec<_>>(),
            "before": difference.before.as_ref().map(diff_engine::normalise).map(object_model::Object::into_json),
            "after": difference.after.as_ref().map(diff_engine::normalise).map(object_model::Object::into_json),
        })
    };
    json!({"differences": differences.iter().map(row).collect::<Vec<_>>()})
}

fn markdown(differences: &[Difference], unified: &dyn Fn(&Difference) -> String, target: &str) -> String {
    let mut text = format!("### What `{target}` would change\n\n");
    if differences.is_empty() {
        text.push_str("Nothing.\n");
        return text;
    }
    text.push_str("| action | object |\n|---|---|\n");
    for difference in differences {
        let _ = writeln!(text, "| {} | `{}` |", difference.action(), difference.id);
    }
    let mut room = COMMENT_DIFF_BYTES_MAX;
    for difference in differences {
        let diff = unified(difference);
        if diff.len() > room {
            let _ = writeln!(text, "\nThe diff of `{}` and of what follows is too long for a comment.", difference.id);
            break;
        }
        room -= diff.len();
        // A fence that is longer than any in the text can't be ended by it.
        let longest = diff.split(|character| character != '`').map(str::len).max().unwrap_or(0);
        let fence = "`".repeat(longest.max(2) + 1);
        let _ = write!(
            text,
            "\n<details><summary>{} <code>{}</code></summary>\n\n{fence}diff\n{diff}{fence}\n\n</details>\n",
            difference.action(),
            difference.id
        );
    }
    text
}
