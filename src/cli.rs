//! The command line as typed → one command. What it means is the commands' business.

use clap::{Args, Parser, Subcommand, ValueEnum};
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
    /// Check the configuration: every mistake at once, the effective rules, the worst-case memory
    Check(Check),
    /// Say which log format a file is, and how sure
    Detect(Detect),
    /// Show every field seen in a line, and where parsing stopped
    Explain(Explain),
    /// Watch a made-up upstream fail and the alert arrive; needs nothing
    Demo,
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
