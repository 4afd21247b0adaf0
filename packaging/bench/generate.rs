//! Writes made-up access logs for the benchmarks and the documentation: `generate haproxy|nginx LINES > FILE`. The same
//! lines at every run: fifty minutes, three nodes, three pools of four servers, one of which fails for five minutes. Other
//! products' logs, by the names in `gateways`, are more varied: they measure how fast such lines are read.

mod gateways;

use std::collections::BinaryHeap;
use std::fmt::Write as _;
use std::io::{self, BufWriter, Write as _};

/// 2026-11-01 00:00:00 UTC.
const START_MS: u64 = 1_793_491_200_000;
const SPAN_MS: u64 = 50 * 60 * 1000;
const POOLS: [&str; 3] = ["be_web", "be_api", "be_img"];

/// xorshift64*: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn chance(&mut self, per_mille_of_percent: u64) -> bool {
        self.below(100_000) < per_mille_of_percent
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    Closed,
    Refused,
    Silent,
}

struct Request {
    start_ms: u64,
    total_ms: u64,
    pool: usize,
    server: u64,
    fault: Fault,
    node: u64,
    path: u64,
    client: u64,
}

fn request(i: u64, lines: u64, random: &mut Random) -> Request {
    let start_ms = START_MS + i * SPAN_MS / lines;
    let (pool, server) = (random.below(3) as usize, random.below(4));
    let at = start_ms - START_MS;
    let sick = pool == 2 && server == 3 && (1_350_000..1_650_000).contains(&at);
    let fault = match () {
        () if sick && random.chance(59_500) => Fault::Closed,
        () if random.chance(200) => Fault::Closed,
        () if random.chance(100) => Fault::Refused,
        () if random.chance(100) => Fault::Silent,
        () => Fault::None,
    };
    let usual = 5 + random.below(100) + if random.chance(5000) { random.below(400) } else { 0 };
    let total_ms = if fault == Fault::Silent { 5000 } else { usual };
    let (node, path, client) = (random.below(3), random.below(97), random.below(60_000));
    Request { start_ms, total_ms, pool, server, fault, node, path, client }
}

fn clock(ms: u64) -> (u64, u64, u64, u64) {
    let s = (ms - START_MS) / 1000;
    (s / 3600, s / 60 % 60, s % 60, ms % 1000)
}

fn haproxy(r: &Request, line: &mut String) {
    let end = r.start_ms + r.total_ms;
    let (h, m, s, _) = clock(end);
    let (sh, sm, ss, sms) = clock(r.start_ms);
    let wait = r.total_ms.saturating_sub(2);
    let (timers, status, flags, bytes) = match r.fault {
        Fault::None => (format!("0/0/1/{wait}/{}", r.total_ms), 200, "----", 1200 + r.path * 31),
        Fault::Closed => (format!("0/0/1/-1/{}", r.total_ms), 502, "SH--", 209),
        Fault::Refused => (format!("0/0/-1/-1/{}", r.total_ms), 503, "SC--", 217),
        Fault::Silent => (format!("0/0/1/-1/{}", r.total_ms), 504, "sH--", 198),
    };
    let _ = writeln!(
        line,
        "Nov  1 {h:02}:{m:02}:{s:02} edge-{} haproxy[812]: 10.1.{}.{}:{} [01/Nov/2026:{sh:02}:{sm:02}:{ss:02}.{sms:03}] \
         fe_main {}/srv{} {timers} {status} {bytes} - - {flags} 312/290/24/6/0 0/0 {{h{}.example.com|Mozilla/5.0}} \
         \"GET /v1/users/{}?page={} HTTP/1.1\"",
        r.node,
        r.client / 250,
        r.client % 250,
        1024 + r.client,
        POOLS[r.pool],
        r.server,
        r.path % 12,
        r.path,
        r.client % 9,
    );
}

fn nginx(r: &Request, line: &mut String) {
    let (h, m, s, _) = clock(r.start_ms + r.total_ms);
    let time = format!("{}.{:03}", r.total_ms / 1000, r.total_ms % 1000);
    let (status, connect, header) = match r.fault {
        Fault::None => (200, "0.001", time.as_str()),
        Fault::Closed => (502, "0.001", "-"),
        Fault::Refused => (502, "-", "-"),
        Fault::Silent => (504, "0.001", "-"),
    };
    let _ = writeln!(
        line,
        "10.1.{}.{} - - [01/Nov/2026:{h:02}:{m:02}:{s:02} +0000] \"GET /v1/users/{}?page={} HTTP/1.1\" {status} {} \
         \"https://www.example.com/list\" \"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\" rt={time} \
         uct=\"{connect}\" uht=\"{header}\" urt=\"{time}\" ua=\"10.0.{}.{}:8080\" us=\"{status}\"",
        r.client / 250,
        r.client % 250,
        r.path,
        r.client % 9,
        1200 + r.path * 31,
        r.pool + 1,
        r.server + 11,
    );
}

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let kind = args.next().unwrap_or_default();
    let lines: u64 = args.next().and_then(|n| n.parse().ok()).unwrap_or(3_000_000);
    let gateway = gateways::KINDS.iter().find(|known| known.name == kind);
    let write = match kind.as_str() {
        "haproxy" => haproxy,
        _ if kind == "nginx" || gateway.is_some() => nginx,
        _ => {
            let names: Vec<_> = gateways::KINDS.iter().map(|known| known.name).collect();
            eprintln!("usage: generate haproxy|nginx|{} LINES > FILE", names.join("|"));
            std::process::exit(2);
        }
    };
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    out.write_all(gateway.map_or("", |gateway| gateway.head).as_bytes())?;
    // A proxy writes a line when its request ends: a heap puts them in that order.
    let mut open: BinaryHeap<std::cmp::Reverse<(u64, u64, String)>> = BinaryHeap::new();
    for i in 0..lines {
        let r = request(i, lines, &mut random);
        let mut line = String::with_capacity(320);
        let end = match gateway {
            Some(gateway) => {
                let hit = gateways::Hit::new(&r, &mut random);
                (gateway.write)(&hit, &mut line);
                hit.end()
            }
            None => {
                write(&r, &mut line);
                r.start_ms + r.total_ms
            }
        };
        open.push(std::cmp::Reverse((end, i, line)));
        while open.peek().is_some_and(|o| o.0.0 <= r.start_ms)
            && let Some(o) = open.pop()
        {
            out.write_all(o.0.2.as_bytes())?;
        }
    }
    while let Some(o) = open.pop() {
        out.write_all(o.0.2.as_bytes())?;
    }
    out.flush()
}
