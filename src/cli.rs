//! The command line as typed → one command. What it means is the commands' business.

use clap::{Args, Parser, Subcommand, ValueEnum};
use gatewatch_parsers::formats::FORMATS;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Find which upstream, node or region is throwing 502s and 504s, from the access log you already have.
#[derive(Debug, Parser)]
#[command(
    name = "gatewatch",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 fine, 1 I/O error or an input read only in part, 2 wrong usage, 3 warnings under --strict,\n\
                  4 --fail-on crossed, 5 fewer lines parsed than --min-parsed, 78 configuration refused, 130 Ctrl-C."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Report on finished logs: files, globs, directories, or - for standard input
    Analyze(Box<Analyze>),
    /// Follow logs and alert: the daemon
    Run(Run),
    /// Find this host's proxies and their logs, and write the configuration
    Init(Init),
    /// Judge past logs by any rules: how often would they have fired, and with what?
    Replay(Box<Replay>),
    /// Run test cases of rules: log lines in, alerts out
    Test(Test),
    /// Show what a running agent is doing, or what its last snapshot holds
    Status(Status),
    /// Show the alerts that fire now, and what keeps them from being told
    Alerts(Alerts),
    /// Tell nobody of some alerts for a while
    #[command(subcommand)]
    Silence(Silence),
    /// Check the configuration: every mistake at once, the effective rules, the worst-case memory
    Check(Check),
    /// Say which log format a file is, and how sure
    #[command(after_help = formats(false), after_long_help = formats(true))]
    Detect(Detect),
    /// Show every field seen in a line, and where parsing stopped
    #[command(after_help = formats(false), after_long_help = formats(true))]
    Explain(Explain),
    /// Try the receivers
    #[command(subcommand)]
    Notify(Notify),
    /// Watch a made-up upstream fail and the alert arrive; needs nothing
    Demo,
}

/// The kinds of formats, by name or with what they are.
fn formats(is_long: bool) -> String {
    if !is_long {
        let names: Vec<_> = FORMATS.iter().map(|kind| kind.name).collect();
        return format!("Formats: {} (--help says what they are)", names.join(", "));
    }
    let mut text = "Formats, as --log-format takes them:\n".to_owned();
    for kind in FORMATS {
        let _ = write!(text, "  {:<13}", kind.name);
        let mut column = 15;
        for word in kind.summary.split(' ') {
            let length = word.chars().count() + 1;
            if column + length > 80 {
                let _ = write!(text, "\n{:15}", "");
                column = 15;
            }
            let _ = write!(text, " {word}");
            column += length;
        }
        text.push('\n');
    }
    text.push_str("A product's own format string goes behind its name: nginx:$remote_addr […]");
    text
}

/// Flags that several commands share.
#[derive(Args, Clone, Debug, Default)]
pub struct Common {
    /// Configuration file, or a directory of *.toml [default: /etc/gatewatch, if it is there]
    #[arg(short, long, value_name = "FILE")]
    pub config: Vec<PathBuf>,
    /// How the lines look
    #[arg(
        long,
        value_name = "FORMAT",
        help = "NAME, nginx:<name or log_format>, haproxy[:<log-format>], pattern:…, regex:…, json:… [default: detected]"
    )]
    pub log_format: Option<String>,
    /// Zone of stamps that carry none: Europe/Berlin, UTC, +02:00 [default: the host's]
    #[arg(long, value_name = "ZONE")]
    pub timezone: Option<String>,
    /// Name of this node, for lines that name none
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
    /// Region of this node
    #[arg(long, value_name = "NAME")]
    pub region: Option<String>,
    /// Say less
    #[arg(short, long)]
    pub quiet: bool,
    /// Say more
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Table,
    /// For programs: one object
    Json,
    /// One line a group
    Csv,
    /// For tickets
    Markdown,
}

/// `gatewatch analyze`.
#[derive(Args, Debug)]
pub struct Analyze {
    /// Files, globs, directories, or - for standard input; gzip, zstd, xz and bzip2 are read as they are
    #[arg(required = true, value_name = "FILES")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub common: Common,
    /// Labels to group by, e.g. pool,upstream [default: upstream, else site, else node]
    #[arg(long, value_delimiter = ',', value_name = "LABELS")]
    pub by: Vec<String>,
    /// Only these requests, e.g. 'status>=500 and site=~"api"'
    #[arg(long = "where", value_name = "CONDITION")]
    pub where_: Option<String>,
    /// Only requests that ended at or after: 2026-11-01T00:22, 00:22, or -3h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<String>,
    /// Only requests that ended before
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<String>,
    /// So many groups [default: 10 in a table, else all]
    #[arg(long, value_name = "N")]
    pub top: Option<usize>,
    /// Exit 4 if crossed, e.g. 'ratio > 1%' or 'incidents > 0'; repeatable
    #[arg(long, value_name = "METRIC OP NUMBER[%]")]
    pub fail_on: Vec<String>,
    /// Exit 5 if a smaller share of the lines was parsed
    #[arg(long, value_name = "PERCENT", default_value = "90%")]
    pub min_parsed: String,
    /// Exit 3 if there were warnings
    #[arg(long)]
    pub strict: bool,
    /// table, json, csv or markdown [default: by the extension of -o, else table]
    #[arg(long, value_enum)]
    pub format: Option<Output>,
    /// Write the report there
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Threads [default: one a core]
    #[arg(short = 'j', long = "jobs", value_name = "N")]
    pub jobs: Option<usize>,
}

/// `gatewatch replay`.
#[derive(Args, Debug)]
pub struct Replay {
    /// Files, globs, directories, or - for standard input; gzip, zstd, xz and bzip2 are read as they are
    #[arg(required = true, value_name = "FILES")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub common: Common,
    /// Judge by these rules, too, and say what differs
    #[arg(long, value_name = "FILE")]
    pub compare: Option<PathBuf>,
    /// Every change of every alert, as receivers would have been told
    #[arg(long)]
    pub every: bool,
    /// Only these requests, e.g. 'status>=500 and site=~"api"'
    #[arg(long = "where", value_name = "CONDITION")]
    pub where_: Option<String>,
    /// Only requests that ended at or after: 2026-11-01T00:22, 00:22, or -3h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<String>,
    /// Only requests that ended before
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<String>,
    /// table or json
    #[arg(long, value_enum, default_value_t)]
    pub format: Form,
    /// Threads [default: one a core]
    #[arg(short = 'j', long = "jobs", value_name = "N")]
    pub jobs: Option<usize>,
}

/// `gatewatch test`.
#[derive(Args, Debug)]
pub struct Test {
    /// Files of test cases: TOML
    #[arg(required = true, value_name = "FILES")]
    pub files: Vec<PathBuf>,
    /// Only cases whose name has this in it
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
    /// table or json
    #[arg(long, value_enum, default_value_t)]
    pub format: Form,
}

/// `gatewatch run`.
#[derive(Args, Debug)]
pub struct Run {
    /// Files or globs to follow instead of the configuration's
    #[arg(value_name = "FILES")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub common: Common,
}

/// `gatewatch init`.
#[derive(Args, Debug)]
pub struct Init {
    /// Write it there, or as gatewatch.toml into this directory; - is stdout [default: /etc/gatewatch/gatewatch.toml]
    #[arg(short, long, value_name = "FILE", alias = "dir")]
    pub output: Option<PathBuf>,
    /// Replace what is there
    #[arg(long)]
    pub force: bool,
    /// Look below this directory as if it were /
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Say less
    #[arg(short, long)]
    pub quiet: bool,
}

/// How what is asked for is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people
    #[default]
    Table,
    /// For programs: one object
    Json,
}

/// `gatewatch status`.
#[derive(Args, Debug)]
pub struct Status {
    /// The agent's configuration file, or a directory of *.toml [default: /etc/gatewatch, if it is there]
    #[arg(short, long, value_name = "FILE")]
    pub config: Vec<PathBuf>,
    /// Show the last snapshot in this state directory, whether its agent is running or not
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// table or json
    #[arg(long, value_enum, default_value_t)]
    pub format: Form,
}

/// Which agent is asked.
#[derive(Args, Clone, Debug, Default)]
pub struct Which {
    /// The agent's configuration file, or a directory of *.toml [default: /etc/gatewatch, if it is there]
    #[arg(short, long, value_name = "FILE")]
    pub config: Vec<PathBuf>,
    /// The agent's state directory; needs no configuration
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// `gatewatch alerts`.
#[derive(Args, Debug)]
pub struct Alerts {
    /// Only those that match all of these: rule=errors, 'upstream=~"be/.*"', severity!=warning
    #[arg(value_name = "MATCHERS")]
    pub matchers: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub which: Which,
    /// table or json
    #[arg(long, value_enum, default_value_t)]
    pub format: Form,
}

/// `gatewatch silence`.
#[derive(Debug, Subcommand)]
pub enum Silence {
    /// Silence alerts, from now on: gatewatch silence add rule=errors upstream=be/s1 -d 1h -m 'deploy'
    Add(SilenceAdd),
    /// Show silences, and what each held back
    List(SilenceList),
    /// End silences now: what still fires is told
    Expire(SilenceExpire),
}

/// `gatewatch silence add`.
#[derive(Args, Debug)]
#[command(group(clap::ArgGroup::new("end").required(true).args(["duration", "until"])))]
pub struct SilenceAdd {
    /// Alerts that match all of these: rule=errors, 'upstream=~"be/.*"', severity!=warning
    #[arg(required = true, value_name = "MATCHERS")]
    pub matchers: Vec<String>,
    /// How long: 30m, 2h, 1d12h
    #[arg(short, long, value_name = "TIME")]
    pub duration: Option<String>,
    /// Until when: 2026-01-31T03:00Z, '2026-01-31 03:00' or 03:00 by the agent's timezone
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Why; asked for on a terminal
    #[arg(short = 'm', long, value_name = "TEXT")]
    pub comment: Option<String>,
    /// Who [default: the user]
    #[arg(long, value_name = "NAME")]
    pub author: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub which: Which,
    /// table or json
    #[arg(long, value_enum, default_value_t)]
    pub format: Form,
}

/// `gatewatch silence list`.
#[derive(Args, Debug)]
pub struct SilenceList {
    /// Those that are over, too, for five days
    #[arg(long)]
    pub expired: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub which: Which,
    /// table or json
    #[arg(long, value_enum, default_value_t)]
    pub format: Form,
}

/// `gatewatch silence expire`.
#[derive(Args, Debug)]
pub struct SilenceExpire {
    /// The numbers of the silences
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<u64>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub which: Which,
}

/// `gatewatch check`.
#[derive(Args, Debug)]
pub struct Check {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub common: Common,
    /// Exit 3 if there are warnings
    #[arg(long)]
    pub strict: bool,
}

/// `gatewatch notify`.
#[derive(Debug, Subcommand)]
pub enum Notify {
    /// Send a made-up alert, marked as a test, to one receiver or to all, and say what each answered
    Test(NotifyTest),
}

/// `gatewatch notify test`.
#[derive(Args, Debug)]
pub struct NotifyTest {
    /// The receiver [default: every one]
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Print what would be sent, without secrets, and send nothing
    #[arg(long)]
    pub render: bool,
    /// Configuration file, or a directory of *.toml [default: /etc/gatewatch, if it is there]
    #[arg(short, long, value_name = "FILE")]
    pub config: Vec<PathBuf>,
}

/// `gatewatch detect`.
#[derive(Args, Debug)]
pub struct Detect {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub common: Common,
}

/// `gatewatch explain`.
#[derive(Args, Debug)]
pub struct Explain {
    /// A file (its first 5 lines), a line in quotes, or - for standard input
    #[arg(required = true, value_name = "FILE|LINE|-", allow_hyphen_values = true)]
    pub what: String,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub common: Common,
}
