#!/usr/bin/env python3
"""How fast each format is read, detection on: bench_formats.py GATEWATCH GENERATE FOLDER. CPU of `analyze -j1`, best of RUNS=3.
Text formats stand against the nginx row per byte, JSON lines against mawk counting the status of the same file; what is counted
is compared first. FORMAT_LINES=400000 lines of each, as dense in time as in the other rows; a format's name as further arguments: those only."""
import json
import os
import resource
import shutil
import subprocess
import sys

GATEWATCH, GENERATE, FOLDER = (os.path.abspath(path) for path in sys.argv[1:4])
LINES = int(os.environ.get("FORMAT_LINES", 400_000))
RUNS = int(os.environ.get("RUNS", 3))
# What the lines are written for: so many in fifty minutes.
DENSITY = 3_000_000

TEXT = """haproxy haproxy-http nginx-combined nginx-ingress apache envoy istio varnish squid traefik alb elb cloudfront w3c
ltsv logfmt heroku 3proxy tinyproxy""".split()
# The member that holds the status.
JSON = {
    "json-nginx": "status",
    "json-caddy": "status",
    "json-traefik": "DownstreamStatus",
    "json-envoy": "response_code",
    "json-cloudflare": "EdgeResponseStatus",
    "json-fastly": "response_status",
    "json-scraper": "status",
}


def log(kind):
    """The first lines of a log of that density."""
    path = os.path.join(FOLDER, f"{kind}.{LINES}.head.log")
    if not os.path.exists(path):
        with open(path + ".new", "wb") as out:
            maker = subprocess.Popen([GENERATE, kind, str(DENSITY)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            subprocess.run(["head", "-n", str(LINES)], stdin=maker.stdout, stdout=out, check=True)
            maker.stdout.close()
            maker.wait()
        os.rename(path + ".new", path)
    return path


def cpu(command):
    best = float("inf")
    for _ in range(RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return best


def report(path):
    out = subprocess.run([GATEWATCH, "analyze", "-q", "--format", "json", path], capture_output=True, check=True).stdout
    return json.loads(out)


def mawk(name, path):
    return ["mawk", "-F", f'"{name}":', "{c[substr($2,1,3)]++} END{for(k in c)print k,c[k]}", path]


def row(*cells):
    print("| {:<16} | {:>7} | {:>7} | {:>18} | {:>6} | {:>6} |".format(*cells), flush=True)


def check(kind, path):
    """Nothing unparsed; and of JSON, the statuses that mawk finds."""
    found = report(path)
    lines = found["inputs"][0]
    assert lines["unparsed"] == 0 and lines["parsed"] > 0.3 * LINES, (kind, lines)
    if kind in JSON and shutil.which("mawk"):
        rows = subprocess.run(mawk(JSON[kind], path), capture_output=True, text=True, check=True).stdout.split("\n")
        theirs = {status: int(count) for status, count in (row.split() for row in rows if row) if status.isdigit()}
        ours = {status: count for status, count in found["status"].items() if status.isdigit() and status != "0"}
        assert theirs == ours, (kind, theirs, ours)


def main():
    os.makedirs(FOLDER, exist_ok=True)
    asked = sys.argv[4:] or TEXT + list(JSON)
    row("format", "CPU s", "MB/s", "against", "ratio", "limit")
    row("---", "---:", "---:", "---", "---:", "---:")
    path = log("nginx")
    nginx = cpu([GATEWATCH, "analyze", "-q", "-j", "1", path]) / os.path.getsize(path)
    row("nginx", f"{nginx * os.path.getsize(path):.3f}", f"{1e-6 / nginx:.0f}", "", "", "")
    for kind in asked:
        path = log(kind)
        check(kind, path)
        size, own = os.path.getsize(path), cpu([GATEWATCH, "analyze", "-q", "-j", "1", path])
        if kind not in JSON:
            against, ratio, limit = "nginx, per byte", own / size / nginx, "2.0"
        elif shutil.which("mawk"):
            against, ratio, limit = "mawk, one field", own / cpu(mawk(JSON[kind], path)), "2.2"
        else:
            print(f"skipped: {kind}: mawk is not installed", file=sys.stderr)
            continue
        row(kind, f"{own:.3f}", f"{size / own / 1e6:.0f}", against, f"{ratio:.2f}", limit)


main()
