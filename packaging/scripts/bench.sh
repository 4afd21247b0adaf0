#!/bin/sh
# The numbers of the README: whole processes on a generated log, against halog, mawk, goaccess and mtail in one run. Counts
# are checked equal first; a peer that is missing is said and left out. LINES=3000000 RUNS=5 by default.
set -eu
PATH="$PATH:/usr/sbin:/sbin"
CARGO=${CARGO:-cargo}
LINES=${LINES:-3000000}
RUNS=${RUNS:-5}
dir=${BENCH_DIR:-target/bench-data}

"$CARGO" build --release --locked --quiet
"$CARGO" build --release --locked --quiet --example generate
gatewatch=$PWD/target/release/gatewatch
mkdir -p "$dir"
for kind in haproxy nginx; do
    [ -s "$dir/$kind.$LINES.log" ] || target/release/examples/generate $kind "$LINES" > "$dir/$kind.$LINES.log"
done
hap=$dir/haproxy.$LINES.log
ngx=$dir/nginx.$LINES.log

have() { command -v "$1" >/dev/null 2>&1 || { echo "skipped: $1 is not installed" >&2; return 1; }; }

echo "## stations: parse, observe, judge"
"$CARGO" bench --locked --quiet --bench stations -- --min-time 1 2>/dev/null || "$CARGO" bench --locked --bench stations

echo "## counts, equal first"
"$gatewatch" analyze --quiet --format json -j 1 "$hap" > "$dir/hap.json"
"$gatewatch" analyze --quiet --format json -j 1 "$ngx" > "$dir/ngx.json"
python3 - "$dir" "$hap" "$ngx" <<'P'
import json, subprocess, sys, shutil
d, hap, ngx = sys.argv[1:]
ours = {g["labels"]["upstream"]: (g["requests"], sum(g["status"].values())) for g in json.load(open(f"{d}/hap.json"))["groups"]}
halog = shutil.which("halog", path="/usr/sbin:/usr/bin:/sbin")
if halog:
    rows = [l.split() for l in subprocess.run([halog, "-srv"], stdin=open(hap), capture_output=True, text=True).stdout.splitlines()]
    theirs = {r[0]: (int(r[7]), int(r[5])) for r in rows if r and not r[0].startswith("#")}
    assert theirs == ours, (theirs, ours)
    print(f"halog -srv: {len(theirs)} servers, requests and 5xx of each equal")
status = json.load(open(f"{d}/ngx.json"))["status"]
rows = subprocess.run(["mawk", "{c[$9]++} END{for(k in c)print k,c[k]}", ngx], capture_output=True, text=True).stdout.split("\n")
theirs = {r.split()[0]: int(r.split()[1]) for r in rows if r}
assert theirs == status, (theirs, status)
print(f"mawk: {len(theirs)} statuses equal")
P

# Best of RUNS: user+system seconds and wall seconds of one command.
measure() {
    python3 - "$RUNS" "$@" <<'P'
import os, resource, subprocess, sys, time
runs, stdin, cmd = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
best = None
for _ in range(runs):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    t = time.perf_counter()
    subprocess.run(cmd, stdin=open(stdin) if stdin != "-" else subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    wall = time.perf_counter() - t
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    best = (min(best[0], cpu), min(best[1], wall)) if best else (cpu, wall)
print(f"{best[0]:.2f} {best[1]:.2f}")
P
}

row() { printf '| %-52s | %6s | %6s |\n' "$1" "$2" "$3"; }
echo
echo "## $LINES lines, best of $RUNS: CPU s, wall s"
row command CPU wall
row '---' '---:' '---:'
# shellcheck disable=SC2046 # two numbers, apart
one() { name=$1; shift; set -- $(measure "$@"); row "$name" "$1" "$2"; eval "cpu_$tag=$1 wall_$tag=$2"; }
tag=gh1; one "gatewatch analyze -j1 haproxy.log" - "$gatewatch" analyze -q -j 1 "$hap"
tag=gh2; one "gatewatch analyze -j2 haproxy.log" - "$gatewatch" analyze -q -j 2 "$hap"
if have halog; then tag=halog; one "halog -srv < haproxy.log" "$hap" halog -srv; fi
tag=gn1; one "gatewatch analyze -j1 nginx.log" - "$gatewatch" analyze -q -j 1 "$ngx"
tag=gn2; one "gatewatch analyze -j2 nginx.log" - "$gatewatch" analyze -q -j 2 "$ngx"
# shellcheck disable=SC2016 # awk's fields
if have mawk; then tag=mawk; one "mawk '{c[\$9]++} …' nginx.log" - mawk '{c[$9]++} END{for(k in c)print k,c[k]}' "$ngx"; fi
# These take their time: once is enough.
RUNS=1
if have goaccess; then
    tag=goaccess; one "goaccess --log-format=COMBINED nginx.log" - goaccess --log-format='%h %^[%d:%t %^] "%r" %s %b "%R" "%u"%^' \
        --date-format=%d/%b/%Y --time-format=%T --no-global-config -o "$dir/goaccess.json" "$ngx"
fi
if have mtail; then
    cat > "$dir/status.mtail" <<'M'
counter requests by status
/" (?P<status>\d{3}) / {
  requests[$status]++
}
M
    tag=mtail; one "mtail --one_shot (counts statuses) nginx.log" - mtail --one_shot --address 127.0.0.1 --port 0 --logs "$ngx" --progs "$dir/status.mtail"
fi

echo
echo "## ratios (the design's limits: 1.5, 0.8, 0.25)"
ratio() { python3 -c "print(f'{$1/$2:.2f}')"; }
[ -n "${cpu_halog:-}" ] && echo "analyze HAProxy, CPU / halog:      $(ratio "${cpu_gh1:-}" "$cpu_halog")"
[ -n "${wall_halog:-}" ] && echo "analyze HAProxy -j2, wall / halog: $(ratio "${wall_gh2:-}" "$wall_halog")"
[ -n "${wall_mawk:-}" ] && echo "analyze nginx -j2, wall / mawk:    $(ratio "${wall_gn2:-}" "$wall_mawk")"
echo
echo "## every format, detection on"
python3 packaging/scripts/bench_formats.py "$gatewatch" target/release/examples/generate "$dir"
echo
echo "## peak memory"
python3 - "$gatewatch" "$hap" <<'P'
import resource, subprocess, sys
subprocess.run([sys.argv[1], "analyze", "-q", sys.argv[2]], stdout=subprocess.DEVNULL, check=True)
print(f"analyze: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MiB resident at most")
P

echo
echo "## run: step 5 s, lateness 2 s; limits are the design's"
python3 packaging/scripts/bench_run.py "$gatewatch" target/release/examples/generate "$dir"
