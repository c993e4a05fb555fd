//! Differences that a user wants left alone, as rules that comparisons understand.

use api::{GitOpsConfig, IgnoreEntry, Problem};
use diff_engine::{FieldPointer, IgnoreRule, JqProgram};

/// The rules of a config, and what is wrong with them.
pub(super) fn rules(spec: &GitOpsConfig) -> (Vec<IgnoreRule>, Vec<Problem>) {
    let mut rules = Vec::new();
    let mut problems = Vec::new();
    for entry in &spec.apply.ignore {
        rules.push(rule(entry, &mut problems));
    }
    (rules, problems)
}

fn rule(entry: &IgnoreEntry, problems: &mut Vec<Problem>) -> IgnoreRule {
    let mut pointers = Vec::new();
    for text in &entry.json_pointers {
        match FieldPointer::parse(text) {
            Ok(pointer) => pointers.push(pointer),
            Err(error) => problems.push(Problem::new(&format!("{}.jsonPointers", entry.field), error.to_string())),
        }
    }
    let mut programs = Vec::new();
    for text in &entry.jq_paths {
        // A path names a field also where no object has it yet, a program only what it finds.
        match (diff_engine::jq_path(text), JqProgram::parse(text)) {
            (Ok(pointer), _) => pointers.push(pointer),
            (Err(_), Ok(program)) => programs.push(program),
            (Err(_), Err(error)) => {
                problems.push(Problem::new(&format!("{}.jqPathExpressions", entry.field), error.to_string()));
            }
        }
    }
    IgnoreRule {
        group: entry.group.clone(),
        kind: entry.kind.clone(),
        namespace: entry.namespace.clone(),
        name: entry.name.clone(),
        pointers,
        programs,
        managers: entry.managers.clone(),
    }
}
