//! Checks of templates that make every render end: bounded nesting, no circles, a counted step in each body.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use handlebars::Template;
use handlebars::template::{Parameter, Subexpression, TemplateElement};

use crate::diagnostic::Diagnostic;

/// Blocks inside blocks, else branches counted, over all partials that include each other.
const BLOCK_DEPTH_MAX: usize = 48;

/// Parentheses and brackets inside one tag.
const EXPRESSION_DEPTH_MAX: usize = 16;

/// The helper that counts a step; no template can write this name.
pub(super) const STEP_HELPER: &str = "count step";

/// Refuses a template that nests deeper than the engine's parser can take, before it sees the template.
pub(super) fn nesting(path: &str, text: &str) -> Result<(), Box<Diagnostic>> {
    let mut open: Vec<usize> = Vec::new();
    let mut depth = 0;
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        let tag = rest.get(at..).unwrap_or_default();
        let line = || text.len().checked_sub(tag.len()).and_then(|end| text.get(..end)).map_or(1, count_lines);
        if let Some(after) = skip_comment(tag) {
            rest = after;
            continue;
        }
        let body = tag.trim_start_matches(['{', '~', '&', ' ', '\t', '\r', '\n']);
        match body.chars().next() {
            Some('#') => {
                open.push(1);
                depth += 1;
            }
            Some('/') => depth -= open.pop().unwrap_or(0).min(depth),
            Some('^') => depth += deepen(&mut open),
            _ if body.starts_with("else") => depth += deepen(&mut open),
            _ => {}
        }
        let length = body.find("}}").unwrap_or(body.len());
        let expression = body.get(..length).unwrap_or_default();
        if depth > BLOCK_DEPTH_MAX || expression_depth(expression) > EXPRESSION_DEPTH_MAX {
            let message = format!(
                "blocks are nested more than {BLOCK_DEPTH_MAX} deep, or calls more than {EXPRESSION_DEPTH_MAX}"
            );
            return Err(Box::new(Diagnostic::of_file(path, message).at(line(), 0).hinted("move parts into partials")));
        }
        rest = body;
    }
    Ok(())
}

fn count_lines(text: &str) -> u32 {
    u32::try_from(text.matches('\n').count() + 1).unwrap_or(u32::MAX)
}

fn deepen(open: &mut [usize]) -> usize {
    match open.last_mut() {
        Some(levels) => {
            *levels += 1;
            1
        }
        None => 0,
    }
}

fn skip_comment(tag: &str) -> Option<&str> {
    let body = tag.strip_prefix("{{!")?;
    let end = if body.starts_with("--") { "--}}" } else { "}}" };
    Some(body.split_once(end).map_or("", |(_, after)| after))
}

fn expression_depth(expression: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for c in expression.chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Templates by the name they are included under, with their files.
pub(super) type Templates = BTreeMap<String, (String, Template)>;

/// Refuses what can't be bounded, and templates that include each other in circles or too deeply.
pub(super) fn check(templates: &Templates) -> Result<(), Vec<Diagnostic>> {
    let mut faults = Vec::new();
    let mut uses: BTreeMap<&str, Uses> = BTreeMap::new();
    for (name, (path, template)) in templates {
        let mut found = Uses::default();
        walk(template, 1, path, &mut found, &mut faults);
        uses.insert(name, found);
    }
    let mut known = BTreeMap::new();
    for (name, (path, _)) in templates {
        match depth(name, &uses, &mut BTreeSet::new(), &mut known) {
            Some(depth) if depth <= BLOCK_DEPTH_MAX => {}
            Some(_) => {
                let message = format!("its blocks and partials are nested more than {BLOCK_DEPTH_MAX} deep");
                faults.push(Diagnostic::of_file(path, message));
            }
            None => faults.push(Diagnostic::of_file(path, "its partials include each other in a circle")),
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// What a template holds.
#[derive(Default)]
struct Uses {
    /// Deepest block.
    depth: usize,
    /// Partials with the depth at which they are included.
    partials: Vec<(String, usize)>,
}

/// The depth of a template with all it includes; none when it includes itself. `above` bounds the recursion.
fn depth<'t>(
    name: &'t str,
    uses: &'t BTreeMap<&'t str, Uses>,
    above: &mut BTreeSet<&'t str>,
    known: &mut BTreeMap<&'t str, usize>,
) -> Option<usize> {
    let Some(found) = uses.get(name) else { return Some(0) };
    if let Some(depth) = known.get(name) {
        return Some(*depth);
    }
    if above.len() > BLOCK_DEPTH_MAX {
        return Some(usize::MAX);
    }
    if !above.insert(name) {
        return None;
    }
    let mut deepest = Some(found.depth);
    for (partial, at) in &found.partials {
        let below = depth(partial, uses, above, known);
        deepest = deepest.zip(below).map(|(deepest, below)| deepest.max(below.saturating_add(*at)));
        if deepest.is_none_or(|depth| depth > BLOCK_DEPTH_MAX) {
            break;
        }
    }
    above.remove(name);
    if let Some(depth) = deepest.filter(|depth| *depth <= BLOCK_DEPTH_MAX) {
        known.insert(name, depth);
    }
    deepest
}

fn walk(template: &Template, at: usize, path: &str, uses: &mut Uses, faults: &mut Vec<Diagnostic>) {
    uses.depth = uses.depth.max(at);
    for (index, element) in template.elements.iter().enumerate() {
        let (line, column) = template.mapping.get(index).map_or((0, 0), |mapping| (mapping.0, mapping.1));
        let mut refuse = |message: &str| {
            let (line, column) = (super::number(line), super::number(column));
            faults.push(Diagnostic::of_file(path, message).at(line, column).hinted("use plain partials: `{{> name}}`"));
        };
        match element {
            TemplateElement::HelperBlock(block) => {
                for body in block.template.iter().chain(&block.inverse) {
                    walk(body, at + 1, path, uses, faults);
                }
            }
            TemplateElement::PartialExpression(partial) => match partial.name.as_name() {
                Some(name) => uses.partials.push((name.to_owned(), at)),
                None => refuse("a computed partial name is not supported"),
            },
            TemplateElement::PartialBlock(_) => refuse("partial blocks (`{{#> ...}}`) are not supported"),
            TemplateElement::DecoratorExpression(_) | TemplateElement::DecoratorBlock(_) => {
                refuse("decorators and inline partials (`{{* ...}}`) are not supported");
            }
            _ => {}
        }
    }
}

/// Puts a step at the start of each body, so that no loop runs uncounted. The depth was checked before.
pub(super) fn count_steps(template: &mut Template) {
    for element in &mut template.elements {
        if let TemplateElement::HelperBlock(block) = element {
            for body in block.template.iter_mut().chain(&mut block.inverse) {
                count_steps(body);
            }
        }
    }
    let Some(first) = template.mapping.first().cloned() else { return };
    template.elements.insert(0, step());
    template.mapping.insert(0, first);
}

fn step() -> TemplateElement {
    let name = Parameter::Name(STEP_HELPER.to_owned());
    *Subexpression::new(name, Vec::new(), HashMap::new()).element
}

#[cfg(test)]
mod tests {
    use super::*;

    fn templates(sources: &[(&str, &str)]) -> Templates {
        let compiled = |(name, text): &(&str, &str)| {
            ((*name).to_owned(), (format!("{name}.hbs"), Template::compile(text).unwrap()))
        };
        sources.iter().map(compiled).collect()
    }

    #[test]
    fn circles_of_partials_are_found() {
        let faults = check(&templates(&[("a", "{{> b}}"), ("b", "{{#if x}}{{> a}}{{/if}}"), ("c", "x")])).unwrap_err();
        assert_eq!(faults.len(), 2);
        assert!(check(&templates(&[("a", "{{> b}}{{> b}}"), ("b", "x")])).is_ok());
    }

    #[test]
    fn shared_partials_are_measured_once() {
        let sources: Vec<(String, String)> =
            (0..40).map(|n| (format!("p{n:02}"), format!("{{{{> p{:02}}}}}", n + 1).repeat(3))).collect();
        let borrowed: Vec<(&str, &str)> = sources.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert!(check(&templates(&borrowed)).is_ok());
    }

    #[test]
    fn deep_nesting_is_refused_before_it_is_parsed() {
        assert!(nesting("a", &"{{#if a}}".repeat(100_000)).is_err());
        assert!(nesting("a", &format!("{{{{x {}", "(a ".repeat(100_000))).is_err());
        assert!(nesting("a", &format!("{{{{#if a}}}}{}", "{{else if b}}".repeat(1000))).is_err());
        assert!(nesting("a", &"{{#if a}}x{{else}}y{{/if}}".repeat(1000)).is_ok());
        assert!(nesting("a", &"{{!-- {{#if a}} --}}".repeat(1000)).is_ok());
    }
}
