use super::*;
use crate::inputs::file::Message;
use std::os::unix::fs::PermissionsExt;

#[test]
fn entries() {
    let entry_of = |line: &str| entry(line.as_bytes());
    let whole = entry_of(r#"{"__CURSOR":"s=1","MESSAGE":"GET /\n","SYSLOG_IDENTIFIER":"nginx"}"#).unwrap();
    assert_eq!(
        (whole.cursor.as_str(), whole.identifier.as_str(), whole.message.as_slice()),
        ("s=1", "nginx", &b"GET /\n"[..])
    );
    // What is no UTF-8 comes as numbers; what stands more than once, as a list.
    assert_eq!(entry_of(r#"{"__CURSOR":"c","MESSAGE":[71,69,84,255]}"#).unwrap().message, b"GET\xff");
    assert_eq!(entry_of(r#"{"__CURSOR":"c","MESSAGE":["a","b"]}"#).unwrap().message, b"a");
    for empty in
        [r#"{"__CURSOR":"c"}"#, r#"{"__CURSOR":"c","MESSAGE":null}"#, r#"{"__CURSOR":"c","MESSAGE":[1,256]}"#]
    {
        assert_eq!(entry_of(empty).unwrap(), Entry { cursor: "c".to_owned(), ..Entry::default() });
    }
    for none in ["", "x", "{}", r#"{"MESSAGE":"a"}"#, r#"{"__CURSOR":1}"#] {
        assert_eq!(entry_of(none), None, "{none}");
    }
}

#[test]
fn what_journalctl_is_told() {
    let settings = Settings { units: vec!["nginx.service".into()], identifiers: vec!["haproxy".into()] };
    let told =
        |cursor| settings.arguments(cursor).into_iter().map(|a| a.into_string().unwrap()).collect::<Vec<_>>();
    let first = told(None);
    assert!(
        first.contains(&"--lines=0".into()) && first.contains(&"--unit=nginx.service".into()),
        "{first:?}"
    );
    assert!(first.contains(&"--all".into()) && first.contains(&"--identifier=haproxy".into()), "{first:?}");
    let later = told(Some("s=1"));
    assert!(
        later.contains(&"--after-cursor=s=1".into()) && !later.contains(&"--lines=0".into()),
        "{later:?}"
    );
}

/// A reader whose child is this script.
fn reader(folder: &tempfile::TempDir, script: &str, cursor: Option<&str>) -> (Reader, Receiver<Message>) {
    let program = folder.path().join("journalctl");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (sender, receiver) = Sender::new();
    let setup = Setup { name: "j".into(), ..Setup::default() };
    let reader = Reader {
        program: program.into(),
        settings: Settings::default(),
        cursor: cursor.map(str::to_owned),
        name: "j".into(),
        senders: Senders::new(setup, Arc::default()),
        sender,
        clock: Arc::new(|| 5),
        stop: Arc::default(),
        said: String::new(),
    };
    (reader, receiver)
}

#[test]
fn lines_come_with_their_cursor() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"echo "{\"__CURSOR\":\"1\",\"MESSAGE\":\"$*\",\"SYSLOG_IDENTIFIER\":\"nginx\"}"
echo '{"__CURSOR":"2","MESSAGE":"two","SYSLOG_IDENTIFIER":"haproxy"}'
echo nonsense
head -c 600000 /dev/zero | tr '\0' x
echo
echo '{"__CURSOR":"3","MESSAGE":"three","SYSLOG_IDENTIFIER":"nginx"}'"#;
    let (mut reader, receiver) = reader(&folder, script, Some("0"));
    assert!(reader.once().unwrap());
    assert_eq!(reader.cursor.as_deref(), Some("3"));
    drop(reader);
    let (mut text, mut cursors, mut opened) = (String::new(), Vec::new(), 0);
    for message in receiver {
        match message.what {
            Happening::Journal { cursor, chunks, .. } => {
                cursors.push(cursor);
                text.extend(chunks.iter().map(|c| String::from_utf8_lossy(&c.1).into_owned()));
            }
            Happening::Opened { .. } => opened += 1,
            Happening::Idle { .. } => {}
            other => unreachable!("{other:?}"),
        }
    }
    assert_eq!((opened, cursors.last().map(String::as_str)), (2, Some("3")));
    assert!(
        text.contains("--after-cursor=0") && text.contains("two\n") && text.contains("three\n"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 3, "{text}");
}

#[test]
fn it_is_ended_by_its_own_id() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"echo "{\"__CURSOR\":\"1\",\"MESSAGE\":\"$$\"}"
exec sleep 60"#;
    let (reader, receiver) = reader(&folder, script, None);
    let stop = Arc::clone(&reader.stop);
    let thread = thread::spawn(move || reader.run());
    let pid = receiver.iter().find_map(|message| match message.what {
        Happening::Journal { chunks, .. } => {
            chunks.first().map(|c| String::from_utf8_lossy(&c.1).trim().to_owned())
        }
        _ => None,
    });
    let process = std::path::PathBuf::from("/proc").join(pid.unwrap());
    assert!(process.exists());
    stop.store(true, Ordering::Relaxed);
    thread.join().unwrap();
    assert!(!process.exists());
}

#[test]
fn without_journalctl_it_says_so_once() {
    let folder = tempfile::tempdir().unwrap();
    let (mut reader, receiver) = reader(&folder, "", None);
    reader.program = folder.path().join("absent").into();
    assert_eq!(reader.once().unwrap_err().kind(), io::ErrorKind::NotFound);
    let stop = Arc::clone(&reader.stop);
    let thread = thread::spawn(move || reader.run());
    let said = receiver.recv().unwrap();
    assert!(matches!(said.what, Happening::Warning(text) if text.contains("not in PATH")));
    stop.store(true, Ordering::Relaxed);
    thread.thread().unpark();
    thread.join().unwrap();
    assert!(receiver.recv().is_err());
}
