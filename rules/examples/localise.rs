//! Where is the fault? Reads a CSV of label columns, then `errors,requests,baseline_errors,baseline_requests`, one row a
//! label set; prints the likeliest causes as JSON lines, the first one first.
//!
//! ```sh
//! cargo run -p gatewatch-rules --example localise -- faults.csv
//! ```
//!
//! No labels (`{}`) mean: everything. `cause` says whether a line is part of the verdict or a further candidate.

use gatewatch_rules::localise::{Cube, Seen, Suspect};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::process::ExitCode;

const COUNTS: [&str; 4] = ["errors", "requests", "baseline_errors", "baseline_requests"];
/// More rows than this: rare values are folded.
const ROWS_MAX: usize = 100_000;

#[expect(clippy::disallowed_methods, reason = "a program, and no part of the core")]
fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let from = arguments.next().unwrap_or_else(|| "-".to_owned());
    if arguments.next().is_some() || from == "--help" || from == "-h" {
        eprintln!("usage: localise [FILE.csv|-]   (label columns, {})", COUNTS.join(","));
        return ExitCode::from(2);
    }
    let mut bytes = Vec::new();
    let read = match from.as_str() {
        "-" => std::io::stdin().lock().read_to_end(&mut bytes),
        path => std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)),
    };
    let cube = match read {
        Ok(_) => cube(&String::from_utf8_lossy(&bytes)),
        Err(error) => Err(error.to_string()),
    };
    let mut cube = match cube {
        Ok(cube) => cube,
        Err(problem) => {
            eprintln!("{from}: {problem}");
            return ExitCode::FAILURE;
        }
    };
    let folded = cube.fold(ROWS_MAX);
    if folded > 0 {
        eprintln!("{from}: over {ROWS_MAX} rows: {folded} rare values are read as one");
    }
    let verdict = cube.localise();
    let mut out = String::new();
    for (rank, suspect) in (1..).zip(&verdict.ranked) {
        let is_cause = if verdict.is_global { rank == 1 } else { verdict.causes.contains(suspect) };
        line(&mut out, rank, suspect, is_cause);
    }
    match std::io::stdout().lock().write_all(out.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has read enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The counts of a CSV, under the names of its label columns.
fn cube(text: &str) -> Result<Cube, String> {
    let mut records = Records { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 0 };
    let Some((_, header)) = records.next().transpose()? else {
        return Err("is empty: a header is needed".to_owned());
    };
    let header: Vec<&str> = header.iter().map(|name| name.trim()).collect();
    let mut places = [0; 4];
    for (place, name) in places.iter_mut().zip(COUNTS) {
        let mut of = header.iter().enumerate().filter(|(_, known)| **known == name);
        *place = match (of.next(), of.next()) {
            (Some((at, _)), None) => at,
            (Some(_), Some(_)) => return Err(format!("the header has {name} twice")),
            _ => return Err(format!("the header has no column {name}: it has {}", header.join(","))),
        };
    }
    let labels: Vec<usize> = (0..header.len()).filter(|at| !places.contains(at)).collect();
    if labels.is_empty() {
        return Err("the header has no label column".to_owned());
    }
    let mut cube = Cube::new(labels.iter().filter_map(|at| header.get(*at).copied()));
    for record in records {
        let (line, fields) = record?;
        if fields.iter().all(|field| field.trim().is_empty()) {
            continue;
        }
        if fields.len() != header.len() {
            return Err(format!("line {line} has {} fields, the header {}", fields.len(), header.len()));
        }
        let mut counts = [0.0; 4];
        for ((count, at), name) in counts.iter_mut().zip(places).zip(COUNTS) {
            let field = fields.get(at).map_or("", |field| field.trim());
            *count = number(field).ok_or_else(|| format!("line {line}: {name} is no number: {field:?}"))?;
        }
        let [errors, requests, baseline_errors, baseline_requests] = counts;
        cube.add(
            labels.iter().map(|at| fields.get(*at).map_or("", String::as_str)),
            Seen { errors, requests, baseline_errors, baseline_requests },
        );
    }
    Ok(cube)
}

/// A count; nothing, and what other programs write for nothing, is 0.
fn number(field: &str) -> Option<f64> {
    match field.to_ascii_lowercase().as_str() {
        "" | "-" | "na" | "n/a" | "nan" | "null" | "none" => Some(0.0),
        word => word.parse().ok().filter(|count: &f64| count.is_finite()),
    }
}

/// The records of a CSV (RFC 4180): fields may be quoted, and hold commas, line ends and doubled quotes then.
struct Records<'a> {
    rest: &'a str,
    line: usize,
}

impl Iterator for Records<'_> {
    type Item = Result<(usize, Vec<String>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        self.line += 1;
        let start = self.line;
        let mut fields = Vec::new();
        loop {
            let field = match self.rest.strip_prefix('"') {
                Some(quoted) => match self.quoted(quoted) {
                    Some(field) => field,
                    None => {
                        self.rest = "";
                        return Some(Err(format!("line {start}: a quote is not closed")));
                    }
                },
                None => String::new(),
            };
            let end = self.rest.find([',', '\n']).unwrap_or(self.rest.len());
            let (plain, rest) = self.rest.split_at(end);
            fields.push(field + plain.strip_suffix('\r').unwrap_or(plain));
            if let Some(more) = rest.strip_prefix(',') {
                self.rest = more;
            } else {
                self.rest = rest.strip_prefix('\n').unwrap_or(rest);
                return Some(Ok((start, fields)));
            }
        }
    }
}

impl<'a> Records<'a> {
    /// The field whose opening quote is taken off; `None`: it has no closing one.
    fn quoted(&mut self, text: &'a str) -> Option<String> {
        let mut field = String::new();
        let mut rest = text;
        loop {
            let (part, after) = rest.split_once('"')?;
            field.push_str(part);
            self.line += part.matches('\n').count();
            match after.strip_prefix('"') {
                Some(more) => {
                    field.push('"');
                    rest = more;
                }
                None => {
                    self.rest = after;
                    return Some(field);
                }
            }
        }
    }
}

fn line(out: &mut String, rank: usize, suspect: &Suspect, is_cause: bool) {
    let object = |labels: &[(String, String)]| {
        let members: Vec<String> =
            labels.iter().map(|(name, value)| format!("{}:{}", text(name), text(value))).collect();
        format!("{{{}}}", members.join(","))
    };
    let _ = writeln!(
        out,
        "{{\"rank\":{rank},\"labels\":{},\"score\":{:.4},\"excess_share\":{:.4},\"traffic_share\":{:.4},\"errors\":{},\
         \"expected\":{:.3},\"requests\":{},\"cause\":{is_cause},\"same\":{},\"words\":{}}}",
        object(&suspect.labels),
        suspect.score,
        suspect.excess_share,
        suspect.traffic_share,
        suspect.errors,
        suspect.expected,
        suspect.requests,
        object(&suspect.same),
        text(&suspect.words()),
    );
}

/// A JSON string.
fn text(of: &str) -> String {
    serde_json::Value::from(of).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(csv: &str) -> String {
        let verdict = cube(csv).unwrap().localise();
        verdict.ranked.first().map_or_else(|| "nothing".to_owned(), Suspect::words)
    }

    #[test]
    fn columns_may_stand_anywhere_and_be_quoted() {
        let plain = "node,errors,requests,baseline_errors,baseline_requests\na,90,100,1,1000\nb,1,100,1,1000\nc,0,100,2,1000\n";
        assert_eq!(first(plain), "node a");
        assert_eq!(first(&plain.replace('\n', "\r\n")), "node a");
        assert_eq!(first(&format!("\u{feff}{}", plain.trim_end())), "node a");
        let quoted = "baseline_requests,\"no\"\"de\",errors,requests,baseline_errors\n1000,\"a,\n1\",90,100,1\n1000,b,1,100,\n1000,c,,100,NaN\n\n";
        assert_eq!(first(quoted), "no\"de a,\n1");
        let unknown =
            "node,errors,requests,baseline_errors,baseline_requests\na,90,100,0,0\nb,1,100,0,0\nc,0,100,,\n";
        assert_eq!(first(unknown), "node a");
        assert_eq!(first("node,errors,requests,baseline_errors,baseline_requests\n"), "nothing");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let cases = [
            ("", "is empty: a header is needed"),
            ("a,errors,requests\n", "the header has no column baseline_errors: it has a,errors,requests"),
            ("errors,requests,baseline_errors,baseline_requests\n", "the header has no label column"),
            ("a,errors,errors,requests,baseline_errors,baseline_requests\n", "the header has errors twice"),
            (
                "a,errors,requests,baseline_errors,baseline_requests\nx,1,2\n",
                "line 2 has 3 fields, the header 5",
            ),
            (
                "a,errors,requests,baseline_errors,baseline_requests\n\"x\ny\",1,2,3,4\nz,many,1,1,1\n",
                "line 4: errors is no number: \"many\"",
            ),
            (
                "a,errors,requests,baseline_errors,baseline_requests\n\"x,1,2,3,4\n",
                "line 2: a quote is not closed",
            ),
        ];
        for (csv, expected) in cases {
            assert_eq!(cube(csv).unwrap_err(), expected, "{csv}");
        }
    }
}
