//! The configuration: a folder of mistakes, each with the message it must give, and configurations that must load.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use gatewatch::config::{Outside, Source, effective, memory, parse, parse_str};
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// How `make eval` reads the presets.
#[path = "../rules/examples/eval/presets.rs"]
mod evaluated;

fn cases(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    files.sort();
    files
}

/// Each `name.toml` gives exactly `name.txt`. `UPDATE_GOLDEN=1` writes what it gives now.
#[test]
fn every_mistake_gives_its_message() {
    let cases = cases("bad_config");
    assert!(cases.len() >= 25);
    let mut wrong = Vec::new();
    for case in cases {
        let name = case.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&case).unwrap();
        let given = match parse_str(name, &text) {
            Ok(_) => "accepted\n".to_owned(),
            Err(problems) => problems.to_string(),
        };
        assert!(!given.contains("s3cr3t"), "{given}");
        let expected = case.with_extension("txt");
        if env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&expected, &given).unwrap();
        }
        if fs::read_to_string(&expected).unwrap_or_default() != given {
            wrong.push(format!("---- {name}\n{given}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn outside() -> Outside<'static> {
    Outside {
        file: &|path| match path {
            "/etc/gatewatch/regions.csv" => Ok("network,region\n198.51.100.0/24,us\n".to_owned()),
            "/etc/gatewatch/smtp.pass" => Ok("pass word\n".to_owned()),
            "/etc/gatewatch/slack.url" => Ok("https://hooks.slack.com/services/T0/B0/x\n".to_owned()),
            "/run/credentials/gatewatch.service/ops.url" => {
                Ok("https://hooks.example.net/t0ken\n".to_owned())
            }
            "/run/credentials/gatewatch.service/ops.secret" => Ok(format!("{WHSEC}\r\n")),
            token if [".token", ".key", ".topic"].iter().any(|end| token.ends_with(end)) => {
                Ok("t0ken".to_owned())
            }
            url if url.starts_with("/etc/gatewatch/") && url.ends_with(".url") => {
                Ok("https://hooks.example.net/t0ken".to_owned())
            }
            "beside.url" => Ok("https://hooks.slack.com/services/T0/B0/t0ken".to_owned()),
            "/etc/gatewatch/mail.j2" => Ok("{{ headline }}\n\n{{ text }}\n".to_owned()),
            "/etc/gatewatch/bad.j2" => Ok("one\ntwo {{ three\nfour\n".to_owned()),
            "/etc/gatewatch/ca.pem" => Ok("-----BEGIN CERTIFICATE-----\n".to_owned()),
            _ => Err(io::ErrorKind::NotFound.into()),
        },
        countries: &|_| Err(io::ErrorKind::NotFound.into()),
        exposed: &|_| false,
        variable: &|name| match name {
            "TOKEN" => Some("t0ken".to_owned()),
            "CREDENTIALS_DIRECTORY" => Some("/run/credentials/gatewatch.service".to_owned()),
            _ => None,
        },
        node: "host".to_owned(),
        state_dir: PathBuf::from("/var/lib/gatewatch"),
    }
}

/// What holds is printed as `name.out`, and loads again to the same.
#[test]
fn good_configurations_load_and_print() {
    for case in cases("good_config") {
        let name = case.file_name().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&case).unwrap();
        let config = parse(vec![Source { name: name.clone(), text }], &outside())
            .unwrap_or_else(|problems| panic!("{name}\n{problems}"));
        let mut given = effective(&config);
        for warning in &config.warnings {
            given.push_str(&format!("\n{warning}"));
        }
        let expected = case.with_extension("out");
        if env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&expected, &given).unwrap();
        }
        assert_eq!(fs::read_to_string(&expected).unwrap_or_default(), given, "{name}");
        assert!(!given.contains("t0ken") && !given.contains("pass word"), "{given}");

        let printed = effective(&config)
            .replace("\nsecret = \"<secret>\"", &format!("\nsecret = \"{WHSEC}\""))
            .replace("topic = \"<secret>\"", "topic = \"x\"")
            .replace("\"<secret>\"", "\"https://x.example\"");
        let again =
            parse(vec![Source { name: format!("{name} printed"), text: printed.clone() }], &outside())
                .unwrap_or_else(|problems| panic!("{name}\n{problems}\n{printed}"));
        assert_eq!(effective(&again), effective(&config));
        assert!(memory(&config) > 4 << 20);
    }
}

/// A mistake in a template's own file is shown there.
#[test]
fn a_mistake_in_a_template_file_has_its_place() {
    let text = "[notify.ntfy.x]\ntopic = \"x\"\ntemplate_file = \"/etc/gatewatch/bad.j2\"\n";
    let source = Source { name: "c.toml".into(), text: text.into() };
    let said = parse(vec![source], &outside()).unwrap_err().to_string();
    assert!(
        said.contains("--> /etc/gatewatch/bad.j2:2:") || said.contains("--> /etc/gatewatch/bad.j2:3:"),
        "{said}"
    );
    assert!(said.contains("`template_file` must name a template"), "{said}");
}

#[test]
fn without_any_file_the_presets_hold() {
    let config = parse(Vec::new(), &outside()).unwrap();
    let names: Vec<_> = config.rules.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(names, ["errors", "site", "node", "region", "masked", "abandoned", "input_unparsed"]);
    assert!(config.inputs.is_empty() && config.receivers.is_empty());
    assert!(config.warnings.is_empty(), "{}", config.warnings[0]);
}

/// What is evaluated is what people get.
#[test]
fn the_evaluated_presets_are_these() {
    let config = parse(Vec::new(), &outside()).unwrap();
    let mut evaluated = evaluated::rules(gatewatch_rules::presets::presets()).unwrap();
    let mut rules = config.rules;
    for rules in [&mut rules, &mut evaluated] {
        rules.sort_by(|a, b| a.name.cmp(&b.name));
    }
    assert_eq!(format!("{evaluated:#?}"), format!("{rules:#?}"));
}

#[test]
fn two_files_add_and_clash() {
    let source = |name: &str, text: &str| Source { name: name.into(), text: text.into() };
    let a = source("a.toml", "[rule.count.x]\nabove = 1\n[regions]\n\"*\" = \"eu\"\n");
    let b = source("b.toml", "[notify.webhook.x]\nurl = \"https://h.example/\"\n[rule.count.y]\nabove = 2\n");
    let config = parse(vec![a.clone(), b], &outside()).unwrap();
    assert_eq!((config.regions.len(), config.receivers.len()), (1, 1));
    assert!(config.rules.iter().any(|r| r.name == "x") && config.rules.iter().any(|r| r.name == "y"));

    let c = source("c.toml", "\n[rule.count.x]\nfor = \"1m\"\n[rule.ratio.x]\nabove = 1\n");
    let said = parse(vec![a, c], &outside()).unwrap_err().to_string();
    assert!(said.contains("[rule.count.x] stands twice") && said.contains("first at a.toml:1:1"), "{said}");
    assert!(said.contains("--> c.toml:4:1") && said.contains("there: a.toml:1:1"), "{said}");
}

#[test]
fn a_broken_file_hides_what_may_only_follow_from_it() {
    let source = |name: &str, text: &str| Source { name: name.into(), text: text.into() };
    let a = source("a.toml", "[notify.webhook.ops]\nurl = https\n");
    let b = source("b.toml", "[rule.count.x]\nnotify = [\"ops\", \"duty\"]\nabov = 1\n");
    let said = parse(vec![a, b], &outside()).unwrap_err().to_string();
    assert!(said.contains("quoted") && said.contains("`abov`"), "{said}");
    assert!(!said.contains("lacks") && !said.contains("duty`"), "{said}");
}

/// A key that is misspelt or cut is shown in its message, its secret is not.
#[test]
fn no_cut_shows_a_secret() {
    for case in cases("good_config") {
        let text = fs::read_to_string(&case).unwrap();
        let first = text.find("[notify").unwrap_or(text.len());
        for at in (first..text.len()).filter(|&at| text.is_char_boundary(at)) {
            // Every cut of one, and some of several: each is a whole configuration to be read.
            let some = [at + 1].into_iter().chain((at % 4 == 0).then_some(at + 12));
            for end in some.filter(|&end| text.is_char_boundary(end)) {
                let cut = format!("{}{}", &text[..at], text.get(end..).unwrap_or(""));
                if let Err(problems) = parse(vec![Source { name: "cut".into(), text: cut }], &outside()) {
                    let said = problems.to_string();
                    assert!(!problems.0.is_empty());
                    assert!(!said.contains("t0ken") && !said.contains("pass word"), "{said}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        let _ = parse_str("any.toml", &text).map_err(|e| e.to_string());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse_str("any.toml", &String::from_utf8_lossy(&bytes)).map_err(|e| e.to_string());
    }

    /// Near misses reach further than noise: a known configuration with a piece cut out, doubled or replaced.
    #[test]
    fn any_edit_is_read_or_refused(from in 0.0..1.0, length in 0usize..40, new in "[\\[\\]{}=\"'.,<>$%0-9a-zé\n\t]{0,12}") {
        for case in cases("good_config") {
            let text = fs::read_to_string(&case).unwrap();
            let chars: Vec<char> = text.chars().collect();
            let at = ((chars.len() as f64) * from) as usize;
            let end = (at + length).min(chars.len());
            let edited: String = chars[..at].iter().copied().chain(new.chars()).chain(chars[end..].iter().copied()).collect();
            let _ = parse(vec![Source { name: "edited".into(), text: edited }], &outside()).map_err(|e| e.to_string());
        }
    }
}

#[test]
fn a_long_list_of_mistakes_ends() {
    let text: String = (0..5_000).map(|i| format!("key{i} = 1\n")).collect();
    let problems = parse_str("long.toml", &text).unwrap_err();
    assert_eq!(problems.0.len(), 201);
    assert!(problems.to_string().ends_with("error: and 4800 more\n"));
}

/// The example sets nothing as it stands, and loads with every setting on; it shows every key of the documentation.
#[test]
fn the_packaged_example_loads_and_is_complete() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/gatewatch.toml");
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_gatewatch"))
        .args(["check", "--quiet", "--strict", "-c"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));

    let text = fs::read_to_string(file).unwrap();
    let is_setting = |line: &&str| line.starts_with('#') && !line.starts_with("# ") && line.len() > 1;
    assert!(text.lines().all(|line| line.is_empty() || line.starts_with('#')));
    let on: String =
        text.lines().filter(is_setting).flat_map(|line| [line.trim_start_matches('#'), "\n"]).collect();
    let config = parse(vec![Source { name: "example".to_owned(), text: on.clone() }], &outside())
        .unwrap_or_else(|problems| panic!("{problems}"));
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);

    let keys = |text: &str| {
        let mut keys = Vec::new();
        for (top, table) in &text.parse::<toml::Table>().unwrap() {
            // `[input.file.edge]`: names are anyone's.
            let depth = usize::from(matches!(top.as_str(), "input" | "rule" | "notify")) * 2;
            let mut tables = vec![table.as_table().unwrap()];
            for _ in 0..depth {
                tables = tables.iter().flat_map(|t| t.values().filter_map(|v| v.as_table())).collect();
            }
            keys.extend(tables.iter().flat_map(|t| t.keys()).map(|key| format!("{top}.{key}")));
        }
        keys
    };
    let shown = keys(&on);
    let documentation = cases("good_config").into_iter().find(|f| f.ends_with("documentation.toml")).unwrap();
    for key in keys(&fs::read_to_string(documentation).unwrap()) {
        assert!(shown.contains(&key), "the example lacks {key}");
    }
}

/// Where others may read the configuration, a secret in it is said to be one; what only looks like an address is none.
#[test]
fn secrets_that_others_may_read() {
    let text = "[notify.webhook.plain]\nurl = \"http://127.0.0.1:9/alerts\"\n\
        [notify.webhook.token]\nurl = \"https://h.example/v1/a8f93jd0s2kfj38s\"\nbearer_token = \"x\"\n\
        [notify.slack.chat]\nurl = \"https://hooks.slack.com/services/T0/B0/x\"\n\
        [notify.slack.env]\nurl = \"https://hooks.slack.com/${env:TOKEN}\"\n\
        [notify.slack.file]\nurl_file = \"/etc/gatewatch/slack.url\"\n";
    for (exposed, expected) in [(false, 0), (true, 3)] {
        let outside = Outside { exposed: &|name| exposed && name == "g.toml", ..outside() };
        let config = parse(vec![Source { name: "g.toml".into(), text: text.into() }], &outside).unwrap();
        let said: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), expected, "{said:?}");
        for warning in said {
            assert!(warning.contains("is a secret") && !warning.contains("a8f93"), "{warning}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gatewatch.toml");
    for (mode, code) in [(0o600, 0), (0o640, 3), (0o604, 3)] {
        use std::os::unix::fs::PermissionsExt;
        fs::write(&file, "[notify.slack.chat]\nurl = \"https://hooks.slack.com/T0/s3cret\"\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let mut check = std::process::Command::new(env!("CARGO_BIN_EXE_gatewatch"));
        let output = check.args(["check", "--strict", "-c"]).arg(&file).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{mode:o}");
        let said = [output.stdout, output.stderr].concat();
        assert!(!String::from_utf8_lossy(&said).contains("s3cret"), "{mode:o}");
    }
}
