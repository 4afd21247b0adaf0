//! A receiver of webhooks that keeps everything it was sent, and refuses some of it.

use crate::dice::Dice;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One POST.
#[derive(Clone, Debug)]
pub struct Post {
    pub key: String,
    pub body: String,
    /// It was answered 200.
    pub taken: bool,
}

impl Post {
    pub fn alerts(&self) -> Vec<Value> {
        let body: Value = serde_json::from_str(&self.body).unwrap();
        body["alerts"].as_array().cloned().unwrap_or_default()
    }
}

pub struct Receiver {
    pub url: String,
    posts: Arc<Mutex<Vec<Post>>>,
}

impl Receiver {
    /// One in seven is refused for now; one in seven is taken without a word.
    pub fn start(seed: u64) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let posts = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&posts);
        std::thread::spawn(move || {
            let mut dice = Dice::new(seed);
            for mut stream in listener.incoming().flatten() {
                let Some((key, body)) = read(&stream) else { continue };
                let fate = dice.below(7);
                kept.lock().unwrap().push(Post { key, body, taken: fate != 0 });
                let status = if fate == 0 { 503 } else { 200 };
                if fate != 1 {
                    let _ = write!(
                        stream,
                        "HTTP/1.1 {status} x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
                    );
                }
            }
        });
        Receiver { url, posts }
    }

    pub fn posts(&self) -> Vec<Post> {
        self.posts.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> Option<(String, String)> {
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut reader = BufReader::new(stream);
    let (mut length, mut key) = (0, String::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "idempotency-key" => value.trim().clone_into(&mut key),
            _ => {}
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((key, String::from_utf8(body).ok()?))
}
