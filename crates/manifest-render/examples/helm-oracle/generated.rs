//! Expressions that a seeded generator writes, many in one chart: functions of templates on values of all kinds.
//!
//! Expressions that work here go into charts of many lines; each that fails here gets a chart of its own, since the first
//! failure ends a render. What was expected to work and does not in Helm is tried again one by one.

use std::collections::BTreeMap;
use std::path::Path;

use manifest_render::MemoryFiles;
use manifest_render::helm::GivenValues;

use super::Counts;
use super::outcome::render;
use super::written::compare;

/// Expressions of one chart.
const LINES: usize = 40;
/// One in so many of the expressions that fail here is tried in Helm.
const FAILING_SHARE: usize = 3;

const VALUES: &str = "\
text: hello world
empty: ''
digits: '42'
odd: \"a: b #c \\\"d\\\" é\"
lines: |
  one
    two

  three
number: 7
big: 12345678
fraction: 2.5
negative: -3
yes: true
no: false
nothing: null
list: [3, 1, 2, x, true]
words: [beta, alpha, gamma, alpha]
maps: [{name: a, port: 80}, {name: b, port: 443, tls: true}]
map: {a: 1, b: two, c: {d: [1, 2], e: null}, z-z: 'yes'}
other: {a: 9, c: {f: new}, q: []}
version: 1.22.3-gke.100
when: '2024-02-29T13:14:15Z'
yaml: \"a: 1\\nb:\\n- x\\n- {c: d}\\n\"
json: '{\"a\": [1, 2.5, \"x\", null], \"b\": {\"c\": true}}'
url: 'https://user:pa%20ss@host.example.com:8443/a/b?x=1&y=2#frag'
path: /a/b/../c/file.tar.gz
";

/// Functions by how many arguments they are given at most; names of those that are random or read clocks are left out.
const FUNCTIONS: &[(&str, usize)] = &[
    ("abbrev", 2),
    ("abbrevboth", 3),
    ("add", 3),
    ("add1", 1),
    ("add1f", 1),
    ("addf", 3),
    ("adler32sum", 1),
    ("all", 3),
    ("and", 3),
    ("any", 3),
    ("append", 2),
    ("atoi", 1),
    ("b32dec", 1),
    ("b32enc", 1),
    ("b64dec", 1),
    ("b64enc", 1),
    ("base", 1),
    ("biggest", 3),
    ("camelcase", 1),
    ("cat", 3),
    ("ceil", 1),
    ("chunk", 2),
    ("clean", 1),
    ("coalesce", 3),
    ("compact", 1),
    ("concat", 2),
    ("contains", 2),
    ("date", 2),
    ("dateInZone", 3),
    ("dateModify", 2),
    ("deepCopy", 1),
    ("deepEqual", 2),
    ("default", 2),
    ("dict", 4),
    ("dig", 4),
    ("dir", 1),
    ("div", 2),
    ("divf", 2),
    ("duration", 1),
    ("durationRound", 1),
    ("empty", 1),
    ("eq", 3),
    ("ext", 1),
    ("first", 1),
    ("float64", 1),
    ("floor", 1),
    ("fromJson", 1),
    ("fromJsonArray", 1),
    ("fromYaml", 1),
    ("fromYamlArray", 1),
    ("ge", 2),
    ("get", 2),
    ("gt", 2),
    ("has", 2),
    ("hasKey", 2),
    ("hasPrefix", 2),
    ("hasSuffix", 2),
    ("hello", 0),
    ("html", 1),
    ("htmlDate", 1),
    ("htmlDateInZone", 2),
    ("indent", 2),
    ("index", 3),
    ("initial", 1),
    ("initials", 1),
    ("int", 1),
    ("int64", 1),
    ("isAbs", 1),
    ("join", 2),
    ("js", 1),
    ("kebabcase", 1),
    ("keys", 2),
    ("kindIs", 2),
    ("kindOf", 1),
    ("last", 1),
    ("le", 2),
    ("len", 1),
    ("list", 4),
    ("lower", 1),
    ("lt", 2),
    ("max", 3),
    ("maxf", 3),
    ("merge", 3),
    ("mergeOverwrite", 3),
    ("min", 3),
    ("minf", 3),
    ("mod", 2),
    ("mul", 3),
    ("mulf", 3),
    ("mustAppend", 2),
    ("mustChunk", 2),
    ("mustCompact", 1),
    ("mustDateModify", 2),
    ("mustDeepCopy", 1),
    ("mustFirst", 1),
    ("mustFromJson", 1),
    ("mustHas", 2),
    ("mustInitial", 1),
    ("mustLast", 1),
    ("mustMerge", 2),
    ("mustMergeOverwrite", 2),
    ("mustPrepend", 2),
    ("mustPush", 2),
    ("mustRegexFind", 2),
    ("mustRegexFindAll", 3),
    ("mustRegexMatch", 2),
    ("mustRegexReplaceAll", 3),
    ("mustRegexReplaceAllLiteral", 3),
    ("mustRegexSplit", 3),
    ("mustRest", 1),
    ("mustReverse", 1),
    ("mustSlice", 3),
    ("mustToDate", 2),
    ("mustToJson", 1),
    ("mustToPrettyJson", 1),
    ("mustToRawJson", 1),
    ("mustToYaml", 1),
    ("mustUniq", 1),
    ("mustWithout", 2),
    ("ne", 2),
    ("nindent", 2),
    ("nospace", 1),
    ("not", 1),
    ("omit", 3),
    ("or", 3),
    ("osBase", 1),
    ("osClean", 1),
    ("osDir", 1),
    ("osExt", 1),
    ("osIsAbs", 1),
    ("pick", 3),
    ("pluck", 3),
    ("plural", 3),
    ("prepend", 2),
    ("print", 3),
    ("printf", 3),
    ("println", 2),
    ("push", 2),
    ("quote", 2),
    ("regexFind", 2),
    ("regexFindAll", 3),
    ("regexMatch", 2),
    ("regexQuoteMeta", 1),
    ("regexReplaceAll", 3),
    ("regexReplaceAllLiteral", 3),
    ("regexSplit", 3),
    ("repeat", 2),
    ("replace", 3),
    ("required", 2),
    ("rest", 1),
    ("reverse", 1),
    ("round", 2),
    ("semver", 1),
    ("semverCompare", 2),
    ("seq", 3),
    ("set", 3),
    ("sha1sum", 1),
    ("sha256sum", 1),
    ("sha512sum", 1),
    ("slice", 3),
    ("snakecase", 1),
    ("sortAlpha", 1),
    ("split", 2),
    ("splitList", 2),
    ("splitn", 3),
    ("squote", 2),
    ("sub", 2),
    ("subf", 2),
    ("substr", 3),
    ("swapcase", 1),
    ("ternary", 3),
    ("title", 1),
    ("toDate", 2),
    ("toDecimal", 1),
    ("toJson", 1),
    ("toPrettyJson", 1),
    ("toRawJson", 1),
    ("toString", 1),
    ("toStrings", 1),
    ("toToml", 1),
    ("toYaml", 1),
    ("toYamlPretty", 1),
    ("trim", 1),
    ("trimAll", 2),
    ("trimPrefix", 2),
    ("trimSuffix", 2),
    ("trunc", 2),
    ("tuple", 3),
    ("typeIs", 2),
    ("typeIsLike", 2),
    ("typeOf", 1),
    ("uniq", 1),
    ("unixEpoch", 1),
    ("unset", 2),
    ("until", 1),
    ("untilStep", 3),
    ("untitle", 1),
    ("upper", 1),
    ("urlJoin", 1),
    ("urlParse", 1),
    ("urlquery", 2),
    ("values", 1),
    ("without", 3),
    ("wrap", 2),
    ("wrapWith", 3),
    ("getHostByName", 1),
    ("derivePassword", 5),
    ("tpl", 2),
    ("fail", 1),
    ("include", 2),
    ("lookup", 4),
    ("b64dec", 1),
    ("mustToDuration", 1),
    ("toDuration", 1),
];

const ATOMS: &[&str] = &[
    ".Values.text",
    ".Values.empty",
    ".Values.digits",
    ".Values.odd",
    ".Values.lines",
    ".Values.number",
    ".Values.big",
    ".Values.fraction",
    ".Values.negative",
    ".Values.yes",
    ".Values.no",
    ".Values.nothing",
    ".Values.list",
    ".Values.words",
    ".Values.maps",
    ".Values.map",
    ".Values.other",
    ".Values.version",
    ".Values.when",
    ".Values.yaml",
    ".Values.json",
    ".Values.url",
    ".Values.path",
    ".Values.absent",
    ".Values.map.c",
    ".Values.map.c.d",
    "0",
    "1",
    "3",
    "-2",
    "2.5",
    "1e3",
    "0x1f",
    "'a'",
    "true",
    "false",
    "nil",
    "\"\"",
    "\"a\"",
    "\"b\"",
    "\"name\"",
    "\"%v|%d\"",
    "\"%s-%q\"",
    "\"%5.2f %x\"",
    "\"[a-l]+\"",
    "\"(o)(r)?\"",
    "\"${1}-$2\"",
    "\", \"",
    "\"2006-01-02 15:04\"",
    "\"UTC\"",
    "\"Europe/Berlin\"",
    "\"-1.5h\"",
    "\">=1.20-0 <2\"",
    "\"^1.22.0\"",
    "\"~1.22.x || 3\"",
    "\"string\"",
    "\"map\"",
    "\"{{ .Release.Name }}\"",
    "\"one: {{ include \\\"t\\\" . }}\"",
    "\"t\"",
    ".",
    ".Release.Name",
    ".Chart.Version",
    ".Chart",
    ".Release",
    ".Capabilities.KubeVersion.Minor",
    ".Template.Name",
    "(dict \"a\" 1 \"b\" (list 1 2))",
    "(list 1 \"x\" nil 2.5)",
    "(until 4)",
    "(int64 5)",
    "(float64 5)",
    "(.Values.big | int)",
    "`raw \\n text`",
    "(.Files.Get \"files/a.txt\")",
    "(.Files.Glob \"files/*\")",
    ".Subcharts",
];

/// A small generator of numbers that is the same everywhere.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % limit.max(1) as u64).unwrap_or_default()
    }

    fn one<T: Copy>(&mut self, items: &[T], otherwise: T) -> T {
        items.get(self.below(items.len())).copied().unwrap_or(otherwise)
    }

    fn expression(&mut self, depth: usize) -> String {
        if depth == 0 || self.below(4) == 0 {
            return self.one(ATOMS, "1").to_owned();
        }
        let (function, most) = self.one(FUNCTIONS, ("list", 2));
        let count = if self.below(12) == 0 { self.below(most + 2) } else { most };
        let mut arguments: Vec<String> = (0..count).map(|_| self.expression(depth - 1)).collect();
        if !arguments.is_empty() && self.below(3) == 0 {
            let piped = arguments.pop().unwrap_or_default();
            let rest: String = arguments.iter().map(|argument| format!(" {argument}")).collect();
            return format!("({piped} | {function}{rest})");
        }
        let rest: String = arguments.iter().map(|argument| format!(" {argument}")).collect();
        format!("({function}{rest})")
    }

    fn statement(&mut self) -> String {
        let inner = self.expression(2);
        match self.below(10) {
            0 => format!(
                "{{{{- range $i, $e := {inner} }}}}{{{{ $i }}}}={{{{ $e | toJson }}}};{{{{ else }}}}none{{{{ end }}}}"
            ),
            1 => format!("{{{{ with {inner} }}}}{{{{ . | toYaml | nindent 2 }}}}{{{{ else }}}}none{{{{ end }}}}"),
            2 => format!(
                "{{{{ if {inner} }}}}yes{{{{ else if {} }}}}other{{{{ else }}}}no{{{{ end }}}}",
                self.expression(1)
            ),
            3 => format!("{{{{ {inner} | toYaml | indent 2 }}}}"),
            4 => format!("{{{{ $x := {inner} }}}}{{{{ $x = {} }}}}{{{{ $x | quote }}}}", self.expression(1)),
            5 => format!("{{{{ printf \"%v %T\" {inner} {inner} }}}}"),
            _ => format!("{{{{ {inner} }}}}"),
        }
    }
}

/// The chart around some lines; what they write is in a comment of the manifest, so that it need not be YAML.
fn chart(lines: &[String]) -> BTreeMap<String, Vec<u8>> {
    let mut template = String::from("{{- define \"t\" }}[{{ kindOf . }}]{{ end -}}\nkind: X\n");
    for index in 0..lines.len() {
        template.push_str(&format!("# {index} {{{{ toJson (tpl (.Files.Get \"lines/{index}.txt\") .) }}}}\n"));
    }
    let mut files: BTreeMap<String, Vec<u8>> = [
        ("Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.2.3\nappVersion: \"4.5\"\n".to_owned()),
        ("values.yaml", VALUES.to_owned()),
        ("files/a.txt", "first\nsecond".to_owned()),
        ("files/b.txt", "x: y\n".to_owned()),
        ("templates/all.yaml", template),
    ]
    .into_iter()
    .map(|(path, text)| (path.to_owned(), text.into_bytes()))
    .collect();
    for (index, line) in lines.iter().enumerate() {
        files.insert(format!("lines/{index}.txt"), line.clone().into_bytes());
    }
    files
}

fn works(lines: &[String]) -> bool {
    let mut files = MemoryFiles::new();
    for (path, content) in chart(lines) {
        files.insert(&format!("chart/{path}"), content.into());
    }
    render(&files, &GivenValues::default()).is_ok()
}

/// Compares `count` expressions.
pub(crate) fn generated(helm: &Path, cache: &Path, count: usize, seed: u64) -> std::io::Result<Counts> {
    let mut numbers = Numbers(seed);
    let (mut working, mut failing) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let statement = numbers.statement();
        if works(std::slice::from_ref(&statement)) { working.push(statement) } else { failing.push(statement) }
    }
    let mut charts = Vec::new();
    for (index, lines) in working.chunks(LINES).enumerate() {
        charts.push((format!("seed-{seed}-working-{index}"), chart(lines)));
    }
    for (index, line) in failing.iter().enumerate().filter(|(index, _)| index % FAILING_SHARE == 0) {
        charts.push((format!("seed-{seed}-failing-{index}"), chart(std::slice::from_ref(line))));
    }
    let mut counts = compare(charts, helm, cache)?;
    let stumbled: Vec<usize> = counts
        .lines
        .iter()
        .filter_map(|line| {
            line.strip_prefix(&format!("seed-{seed}-working-"))?.split_once(": no error")?.0.parse().ok()
        })
        .collect();
    let mut singles = Vec::new();
    for index in stumbled {
        for (place, line) in working.chunks(LINES).nth(index).unwrap_or_default().iter().enumerate() {
            singles.push((format!("seed-{seed}-single-{index}-{place}"), chart(std::slice::from_ref(line))));
        }
    }
    let more = compare(singles, helm, cache)?;
    counts.renders += more.renders;
    counts.errors += more.errors;
    counts.mismatches += more.mismatches;
    counts.lines.extend(more.lines);
    Ok(counts)
}
