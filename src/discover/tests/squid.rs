use super::expect;

const CONF: &str = "/etc/squid/squid.conf";

#[test]
fn modules_names_and_conditions() {
    let default = ["squid log /var/log/squid/access.log squid = squid"];
    expect(&[(CONF, "http_port 3128\n# access_log none\n")], &default);
    expect(&[(CONF, "access_log /var/log/squid/access.log squid\n")], &default);
    expect(&[(CONF, "access_log daemon:/var/log/squid/access.log logformat=squid rotate=7\n")], &default);
    let off = "? /etc/squid/squid.conf:1: access_log none: requests are not logged";
    expect(&[(CONF, "access_log none\n")], &[off]);
    let many = "include /etc/squid/conf.d/*.conf\nlogformat mine %ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt\n\
                access_log stdio:/var/log/squid/mine.log mine\naccess_log syslog:local4.info squid\n\
                access_log udp://127.0.0.1:5140 common\naccess_log tcp://127.0.0.1:9999 squid\n";
    let part = "acl bad http_status 500-599\naccess_log /var/log/squid/bad.log squid bad # only those\nbuffered_logs on\n";
    expect(
        &[(CONF, many), ("/etc/squid/conf.d/a.conf", part)],
        &[
            "squid log /var/log/squid/bad.log squid = squid (the same requests as in stdio:/var/log/squid/mine.log)",
            "  ! /etc/squid/conf.d/a.conf:2: access_log has acl bad: requests that it leaves out are not counted, so ratios are wrong",
            "  ! /etc/squid/conf.d/a.conf:3: buffered_logs on: lines come when a buffer is full, minutes late",
            "squid log /var/log/squid/mine.log mine = squid:logformat mine %ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt",
            "  ! /etc/squid/conf.d/a.conf:3: buffered_logs on: lines come when a buffer is full, minutes late",
            "squid log the system's log, which no rsyslog and no journal of this host is known to keep squid = squid (the same requests as in stdio:/var/log/squid/mine.log)",
            "  ! /etc/squid/conf.d/a.conf:3: buffered_logs on: lines come when a buffer is full, minutes late",
            "squid log udp://127.0.0.1:5140 common = squid:common (the same requests as in stdio:/var/log/squid/mine.log)",
            "  ! /etc/squid/conf.d/a.conf:3: buffered_logs on: lines come when a buffer is full, minutes late",
            "squid log tcp://127.0.0.1:9999, a program's own socket squid = squid (the same requests as in stdio:/var/log/squid/mine.log)",
            "  ! /etc/squid/conf.d/a.conf:3: buffered_logs on: lines come when a buffer is full, minutes late",
        ],
    );
}
