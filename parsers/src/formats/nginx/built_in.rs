//! Formats that are known by name, most specific first: nginx's own, those of its packages and of projects around it,
//! and the ones that guides recommend for upstream times.

/// A name and its `log_format` string.
pub(super) struct BuiltIn {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) log_format: &'static str,
}

macro_rules! combined {
    ($more:literal) => {
        concat!(
            r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#,
            $more
        )
    };
}

/// Every format that has a name.
pub(super) const BUILT_IN: &[BuiltIn] = &[
    BuiltIn {
        name: "upstreaminfo",
        title: "ingress-nginx upstreaminfo",
        log_format: combined!(
            " $request_length $request_time [$proxy_upstream_name] [$proxy_alternative_upstream_name] $upstream_addr $upstream_response_length $upstream_response_time $upstream_status $req_id"
        ),
    },
    BuiltIn {
        name: "main_ext",
        title: "nginx main_ext (NGINX Amplify)",
        log_format: combined!(
            r#" "$http_x_forwarded_for" "$host" sn="$server_name" rt=$request_time ua="$upstream_addr" us="$upstream_status" ut="$upstream_response_time" ul="$upstream_response_length" cs=$upstream_cache_status"#
        ),
    },
    BuiltIn {
        name: "combined_upstream",
        title: "nginx combined with upstream times, address and status",
        log_format: combined!(
            r#" rt=$request_time uct="$upstream_connect_time" uht="$upstream_header_time" urt="$upstream_response_time" ua="$upstream_addr" us="$upstream_status""#
        ),
    },
    BuiltIn {
        name: "upstream_time",
        title: "nginx combined with upstream times",
        log_format: combined!(
            r#" rt=$request_time uct="$upstream_connect_time" uht="$upstream_header_time" urt="$upstream_response_time""#
        ),
    },
    BuiltIn {
        name: "timed",
        title: "nginx, fields between bars",
        log_format: "$time_iso8601|$msec|$remote_addr|$request_method $request_uri|$status|$upstream_addr|$upstream_status|$upstream_connect_time|$upstream_header_time|$upstream_response_time|$request_time",
    },
    BuiltIn {
        name: "json_upstream",
        title: "nginx JSON with upstream times",
        log_format: r#"escape=json {"time":"$time_iso8601","msec":"$msec","remote_addr":"$remote_addr","host":"$host","node":"$hostname","method":"$request_method","uri":"$request_uri","request":"$request","status":"$status","bytes":"$body_bytes_sent","ua":"$http_user_agent","referer":"$http_referer","rt":"$request_time","upstream_addr":"$upstream_addr","upstream_status":"$upstream_status","uct":"$upstream_connect_time","uht":"$upstream_header_time","urt":"$upstream_response_time"}"#,
    },
    BuiltIn {
        name: "json",
        title: "nginx JSON",
        log_format: r#"escape=json {"time":"$time_iso8601","remote_addr":"$remote_addr","request":"$request","status":$status,"host":"$host","upstream":"$upstream_addr","upstream_status":"$upstream_status","upstream_response_time":"$upstream_response_time","request_time":$request_time,"user_agent":"$http_user_agent"}"#,
    },
    BuiltIn {
        name: "npm",
        title: "Nginx Proxy Manager",
        log_format: r#"[$time_local] $upstream_cache_status $upstream_status $status - $request_method $scheme $host "$request_uri" [Client $remote_addr] [Length $body_bytes_sent] [Gzip $gzip_ratio] [Sent-to $server] "$http_user_agent" "$http_referer""#,
    },
    BuiltIn {
        name: "npm_standard",
        title: "Nginx Proxy Manager, not proxied",
        log_format: r#"[$time_local] $status - $request_method $scheme $host "$request_uri" [Client $remote_addr] [Length $body_bytes_sent] [Gzip $gzip_ratio] "$http_user_agent" "$http_referer""#,
    },
    BuiltIn {
        name: "npm_stream",
        title: "Nginx Proxy Manager, streams",
        log_format: "[$time_local] [Client $remote_addr:$remote_port] $protocol $status $bytes_sent $bytes_received $session_time [Sent-to $upstream_addr] [Sent $upstream_bytes_sent] [Received $upstream_bytes_received] [Time $upstream_connect_time] $ssl_protocol $ssl_cipher",
    },
    BuiltIn {
        name: "stream_proxy",
        title: "nginx stream with upstreams",
        log_format: r#"$remote_addr [$time_local] $protocol $status $bytes_sent $bytes_received $session_time "$upstream_addr" "$upstream_bytes_sent" "$upstream_bytes_received" "$upstream_connect_time""#,
    },
    BuiltIn {
        name: "stream",
        title: "nginx stream",
        log_format: "$remote_addr [$time_local] $protocol $status $bytes_sent $bytes_received $session_time",
    },
    BuiltIn { name: "main", title: "nginx main", log_format: combined!(r#" "$http_x_forwarded_for""#) },
    BuiltIn { name: "combined", title: "nginx combined", log_format: combined!("") },
    BuiltIn {
        name: "combined_forwarded",
        title: "nginx combined with forwarded addresses in place of the client's",
        log_format: r#"$http_x_forwarded_for - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#,
    },
    BuiltIn {
        name: "vhost_combined",
        title: "nginx combined with host and port first",
        log_format: r#"$host:$server_port $remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#,
    },
];
