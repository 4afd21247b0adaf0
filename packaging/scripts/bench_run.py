#!/usr/bin/env python3
"""The `run` rows of the README's numbers: bench_run.py GATEWATCH GENERATE FOLDER. A running agent's CPU by /proc/PID/stat,
its memory by /proc/PID/status, how soon an alert arrives, how fast a backlog is read. SECONDS_EACH=15, TRIALS=7, BACKLOG_LINES=4000000."""
import http.server
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

GATEWATCH, GENERATE, FOLDER = (os.path.abspath(path) for path in sys.argv[1:4])
SECONDS = int(os.environ.get("SECONDS_EACH", 15))
TRIALS = int(os.environ.get("TRIALS", 7))
BACKLOG_LINES = int(os.environ.get("BACKLOG_LINES", 4_000_000))
STEP, LATENESS = 5, 2
TICK = os.sysconf("SC_CLK_TCK")

RULES = """
[rule.ratio.by-upstream]
group_by = ["upstream"]
above = "5%"
[rule.ratio.by-node]
group_by = ["node"]
above = "5%"
window = "5m"
[rule.ratio.attempts]
group_by = ["node", "upstream"]
counts = "failed_attempts"
above = "10%"
[rule.ratio.slow]
group_by = ["upstream"]
above = "1%"
window = "1h"
[rule.count.any-504]
group_by = ["upstream"]
status = [504]
window = "5m"
above = 1000000
"""


def line(upstream, status, at):
    stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(at))
    header = "-" if status in (502, 504) else "0.012"
    return (
        f'203.0.113.7 - - [{stamp}] "GET /v1/users/7?page=3 HTTP/1.1" {status} 5120 "https://www.example.com/list" '
        f'"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0" rt=0.013 uct="0.001" uht="{header}" '
        f'urt="0.012" ua="10.0.{upstream // 250}.{upstream % 250}:8080" us="{status}"\n'
    )


class Agent:
    """A running agent with a folder of its own; ended by its id."""

    def __init__(self, tables, start="end", presets="false", log=None):
        self.folder = tempfile.mkdtemp(dir=FOLDER)
        self.log = log or os.path.join(self.folder, "access.log")
        open(self.log, "a").close()
        config = os.path.join(self.folder, "gatewatch.toml")
        with open(config, "w") as out:
            out.write(
                f'[agent]\nnode = "edge-1"\nstate_dir = "{self.folder}/state"\nstep = "{STEP}s"\nlateness = "{LATENESS}s"\n'
                f"presets = {presets}\n[input.file.edge]\npaths = [\"{self.log}\"]\nstart = \"{start}\"\n"
                f'log_format = "nginx:combined_upstream"\n{tables}'
            )
        self.said = open(os.path.join(self.folder, "said"), "w")
        self.process = subprocess.Popen([GATEWATCH, "run", "-c", config], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.said)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.said.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def cpu(self):
        """Seconds of user and system time of all its threads."""
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def read(self):
        """Bytes that its reads gave."""
        return int(next(l for l in open(f"/proc/{self.process.pid}/io") if l.startswith("rchar:")).split()[1])

    def memory(self, name="VmRSS"):
        return int(next(l for l in open(f"/proc/{self.process.pid}/status") if l.startswith(name)).split()[1]) / 1024

    def percent(self, seconds):
        before, begin = self.cpu(), time.monotonic()
        time.sleep(seconds)
        return 100 * (self.cpu() - before) / (time.monotonic() - begin)


def row(what, limit, figure):
    print(f"| {what:<62} | {limit:>16} | {figure:>34} |", flush=True)


def idle():
    with Agent("", presets="true") as agent:
        with open(agent.log, "a") as log:
            log.write(line(1, 200, time.time()) * 100)
        time.sleep(5)
        return agent.percent(max(SECONDS, 20))


def busy(rate=20_000):
    """Written as nginx writes: a line a write, evenly. Gives the CPU, and what was really written a second."""
    with Agent("", presets="true") as agent:
        stop, written = threading.Event(), [0]

        def write():
            log = os.open(agent.log, os.O_WRONLY | os.O_APPEND)
            begin, second, lines = time.monotonic(), 0, []
            while not stop.is_set():
                if int(time.time()) != second:
                    second = int(time.time())
                    lines = [line(u, 502 if u == 7 else 200, second).encode() for u in range(100)]
                due = int((time.monotonic() - begin) * rate)
                while written[0] < due:
                    os.write(log, lines[written[0] % 100])
                    written[0] += 1
                time.sleep(0.002)
            os.close(log)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            time.sleep(3)
            before, begin = written[0], time.monotonic()
            percent = agent.percent(SECONDS)
            real = (written[0] - before) / (time.monotonic() - begin)
        finally:
            stop.set()
            writer.join()
        return percent, real, agent.memory()


def resident():
    """2,000 upstreams in every minute of six hours and in every step of the last five minutes; five rules."""
    now = int(time.time()) // 60 * 60
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        log = os.path.join(folder, "access.log")
        with open(log, "w") as out:
            for at in [now - 60 * m for m in range(355, 5, -1)] + list(range(now - 300, now, STEP)):
                out.writelines(line(u, 502 if u % 50 == 0 else 200, at) for u in range(2_000))
        size = os.path.getsize(log)
        with Agent(RULES, start="beginning", log=log) as agent:
            wait(lambda: agent.read() >= size, 120)
            time.sleep(3)
            return agent.memory(), agent.memory("VmHWM")


def wait(done, limit):
    begin = time.monotonic()
    while not done():
        if time.monotonic() - begin > limit:
            raise SystemExit(f"gatewatch: bench: not done within {limit} s")
        time.sleep(0.002)
    return time.monotonic() - begin


def latency():
    """Seconds from the last byte of the line that crosses a threshold to the request at the receiver."""
    came = {}

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            at = time.monotonic()
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            for alert in body["alerts"]:
                if alert["status"] == "firing":
                    came.setdefault(alert["labels"]["upstream"], at)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    tables = (
        '[rule.count.ten]\ngroup_by = ["upstream"]\nabove = 9\nwindow = "30s"\nseverity = "critical"\n'
        f'[notify.webhook.ops]\nurl = "http://127.0.0.1:{server.server_port}/"\n'
    )
    found = []
    with Agent(tables) as agent, open(agent.log, "a", buffering=1) as log:
        time.sleep(2)
        for trial in range(TRIALS):
            # Traffic of others goes on, and the crossing comes at any place in a step.
            until = time.monotonic() + random.uniform(1, 1 + STEP)
            while time.monotonic() < until:
                log.write(line(200, 200, time.time()))
                time.sleep(0.02)
            for _ in range(9):
                log.write(line(trial, 502, time.time()))
            log.write(line(trial, 502, time.time()))
            crossed, name = time.monotonic(), f"10.0.0.{trial}:8080"
            while name not in came and time.monotonic() - crossed < 60:
                log.write(line(200, 200, time.time()))
                time.sleep(0.02)
            found.append(came.get(name, float("inf")) - crossed)
    server.shutdown()
    return sorted(found)


def backlog():
    """Bytes a second: of `run`, and of `analyze -j1` on the same file."""
    log = os.path.join(FOLDER, f"nginx.{BACKLOG_LINES}.log")
    if not os.path.exists(log):
        with open(log + ".new", "w") as out:
            subprocess.run([GENERATE, "nginx", str(BACKLOG_LINES)], stdout=out, check=True)
        os.rename(log + ".new", log)
    size = os.path.getsize(log)
    analyze, run = [], []
    for _ in range(3):
        begin = time.monotonic()
        subprocess.run([GATEWATCH, "analyze", "-q", "-j", "1", log], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        analyze.append(time.monotonic() - begin)
        with Agent(RULES, start="beginning", log=log) as agent:
            run.append(wait(lambda: agent.read() >= size, 300))
    return size, size / min(run), size / min(analyze)


def main():
    os.makedirs(FOLDER, exist_ok=True)
    row("run", "at most", "measured")
    row("---", "---:", "---:")
    row("CPU of one core, idle", "0.2 %", f"{idle():.2f} %")
    percent, real, memory = busy()
    row("CPU of one core at 20,000 lines/s", "5 %", f"{percent:.1f} % ({real:,.0f} lines/s, {memory:.0f} MiB)")
    now, most = resident()
    row("resident, 2,000 series and 5 rules", "40 MiB", f"{now:.1f} MiB (at most {most:.1f})")
    found = latency()
    limit = STEP + LATENESS + 2
    row(
        "last byte of the crossing line → request at the receiver",
        f"{limit} s",
        f"median {found[len(found) // 2]:.2f} s, most {found[-1]:.2f} s of {len(found)}",
    )
    size, run, analyze = backlog()
    row(
        f"catching up with {size / 1e9:.2f} GB, against `analyze -j1`",
        "≥ 0.50 ×",
        f"{run / analyze:.2f} × ({run / 1e6:,.0f} and {analyze / 1e6:,.0f} MB/s)",
    )


main()
