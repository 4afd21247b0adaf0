use super::expect;

const CONF: &str = "/etc/apache2/apache2.conf";

#[test]
fn hosts_variables_and_pipes() {
    let main = r#"
ServerRoot "/etc/apache2"
ErrorLog ${APACHE_LOG_DIR}/error.log
LogFormat "%h \"%r\" %>s" plain
LogFormat "%h %l %u %t \
 \"%r\" %>s %O %D %{BALANCER_WORKER_NAME}e" upstream
Define LOGS ${APACHE_LOG_DIR}/vhosts
Include missing.conf
IncludeOptional sites-enabled/*.conf
BalancerMember balancer://late http://10.0.0.9:81
<Proxy "balancer://api">
    BalancerMember http://10.0.0.1:8080 route=a
    BalancerMember "https://app.internal:8443/x"
</Proxy>
"#;
    let site = r#"
<VirtualHost *:80>
    CustomLog ${LOGS}/up.log upstream
    CustomLog ${LOGS}/plain.log plain
    ErrorLog "|/usr/bin/logger -t web -p local1.error"
</VirtualHost>
<VirtualHost *:443>
    CustomLog "|/usr/bin/rotatelogs -l /var/log/apache2/ssl.%Y-%m-%d.log 86400" upstream env=!dontlog
    CustomLog "|/usr/bin/mine x" "%h %t %>s" expr=%{REQUEST_STATUS}>=500
    CustomLog ${NOWHERE}/a.log missing env=a
</VirtualHost>
"#;
    let envvars = "SUFFIX=\nexport APACHE_LOG_DIR=/var/log/apache2$SUFFIX\n: ${X:=y}\n";
    let up = r#"upstream = apache:LogFormat "%h %l %u %t  \"%r\" %>s %O %D %{BALANCER_WORKER_NAME}e""#;
    expect(
        &[(CONF, main), ("/etc/apache2/envvars", envvars), ("/etc/apache2/sites-enabled/a.conf", site)],
        &[
            &format!("apache log /var/log/apache2/vhosts/up.log {up}"),
            r#"apache log /var/log/apache2/vhosts/plain.log plain = apache:LogFormat "%h \"%r\" %>s" (the same requests as in /var/log/apache2/vhosts/up.log)"#,
            &format!("apache log /var/log/apache2/ssl.*-*-*.log {up}"),
            "  ! /etc/apache2/sites-enabled/a.conf:8: CustomLog has env=!dontlog: requests that it leaves out are not counted, so ratios are wrong",
            "apache log a pipe into mine CustomLog = apache:LogFormat \"%h %t %>s\"",
            "  ! /etc/apache2/sites-enabled/a.conf:9: CustomLog has expr=%{REQUEST_STATUS}>=500: requests that it leaves out are not counted, so ratios are wrong",
            "apache log ${NOWHERE}/a.log, which no file of the configuration explains",
            "  ! /etc/apache2/sites-enabled/a.conf:10: CustomLog has env=a: requests that it leaves out are not counted, so ratios are wrong",
            "apache errors /var/log/apache2/error.log ErrorLog = apache-error",
            "apache errors the system's log, which no rsyslog and no journal of this host is known to keep ErrorLog = apache-error",
            "pool late 1 [10.0.0.9:81]",
            "pool api 2 [10.0.0.1:8080 app.internal:8443]",
            "? /etc/apache2/apache2.conf:8: /etc/apache2/missing.conf is not there",
            "? /etc/apache2/sites-enabled/a.conf:10: LogFormat missing is not there",
        ],
    );
}

#[test]
fn red_hats_way() {
    let main = "ServerRoot \"/etc/httpd\"\nInclude conf.modules.d/*.conf\n<IfModule log_config_module>\n    \
                LogFormat \"%h %l %u %t \\\"%r\\\" %>s %b\" common\n    CustomLog \"logs/access_log\" common\n</IfModule>\n\
                ErrorLog \"logs/error_log\"\nIncludeOptional conf.d/*.conf\n";
    expect(
        &[
            ("/etc/httpd/conf/httpd.conf", main),
            ("/etc/httpd/conf.d/loop.conf", "Include conf.d/loop.conf\n"),
        ],
        &[
            r#"apache log /etc/httpd/logs/access_log common = apache:LogFormat "%h %l %u %t \"%r\" %>s %b""#,
            "apache errors /etc/httpd/logs/error_log ErrorLog = apache-error",
            "? /etc/httpd/conf.d/loop.conf:1: /etc/httpd/conf.d/loop.conf includes itself",
        ],
    );
}
