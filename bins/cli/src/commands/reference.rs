//! The command reference as Markdown, for `cargo xtask codegen`.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory};

use crate::args::Args;
use crate::output::print;

/// Prints every command with its arguments and flags.
pub(crate) fn run() {
    let mut root = Args::command();
    root.build();
    print(&document(&root));
}

fn document(root: &Command) -> String {
    let mut text = format!("# {}\n\n{}.\n\n", root.get_name(), about(root));
    text.push_str("Data goes to stdout, talk to stderr. Exit codes: 0 done, 1 failed, 2 wrong use, 3 waiting ended without the state.\n");
    text.push_str("This page is made by `cargo xtask codegen`.\n\n## Flags of every command\n\n");
    let everywhere: Vec<&Arg> = root.get_arguments().filter(|argument| argument.is_global_set()).collect();
    table(&mut text, &everywhere);
    for command in root.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help") {
        let mut shown = command.clone();
        // The line without the flags of every command, which stand once at the top.
        let usage = shown.render_usage().to_string();
        let _ = write!(text, "\n## {}\n\n{}.\n\n", command.get_name(), about(command));
        let _ = write!(text, "```\n{}\n```\n", usage.trim_start_matches("Usage: "));
        let own: Vec<&Arg> = command
            .get_arguments()
            .filter(|argument| !argument.is_global_set() && !["help", "version"].contains(&argument.get_id().as_str()))
            .collect();
        if !own.is_empty() {
            text.push('\n');
            table(&mut text, &own);
        }
    }
    text
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn table(text: &mut String, arguments: &[&Arg]) {
    text.push_str("| argument | what it is | default |\n|---|---|---|\n");
    for argument in arguments {
        // A switch that is off says nothing.
        let defaults = if argument.get_action().takes_values() { argument.get_default_values() } else { &[] };
        let defaults: Vec<String> = defaults.iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
        let default = defaults.join(", ");
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(text, "| `{}` | {help} | {default} |", spelled(argument));
    }
}

/// `-n, --namespace NAMESPACE`, `--watch` or `TARGET`.
fn spelled(argument: &Arg) -> String {
    let names: Vec<String> = argument.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect();
    let value = if argument.get_action().takes_values() { format!(" {}", names.join(" ")) } else { String::new() };
    match (argument.get_short(), argument.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}{value}"),
        (None, Some(long)) => format!("--{long}{value}"),
        (Some(short), None) => format!("-{short}{value}"),
        (None, None) => value.trim_start().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_and_flag_is_told() {
        let mut root = Args::command();
        root.build();
        let text = document(&root);
        for part in ["## demo", "`-A, --all-namespaces`", "`--kubeconfig PATH`", "sluice why [OPTIONS] <TARGET>"] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(!text.contains("## reference"));
    }
}
