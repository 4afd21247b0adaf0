//! Formats that are known by name, most specific first: Istio's over the years, and Envoy's own with what others put
//! around it.

/// A name and its format string.
pub(super) struct BuiltIn {
    /// Empty: Envoy's own, which the bare word names.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) format: &'static str,
}

macro_rules! text {
    ($head:literal, $before:literal, $after:literal) => {
        concat!(
            $head,
            r#"[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% "#,
            $before,
            r#"%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%""#,
            $after
        )
    };
}

/// Every format that has a name.
pub(super) const BUILT_IN: &[BuiltIn] = &[
    BuiltIn {
        name: "istio",
        title: "Istio",
        format: text!(
            "",
            r#"%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" "#,
            r#" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%"#
        ),
    },
    BuiltIn {
        name: "istio-1.4",
        title: "Istio 1.4 to 1.8",
        format: text!(
            "",
            r#""%DYNAMIC_METADATA(istio.mixer:status)%" "%UPSTREAM_TRANSPORT_FAILURE_REASON%" "#,
            r#" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%"#
        ),
    },
    BuiltIn {
        name: "istio-1.3",
        title: "Istio 1.3",
        format: text!(
            "",
            r#""%DYNAMIC_METADATA(istio.mixer:status)%" "%UPSTREAM_TRANSPORT_FAILURE_REASON%" "#,
            r#" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME%"#
        ),
    },
    BuiltIn {
        name: "istio-1.1",
        title: "Istio 1.1 and 1.2",
        format: text!(
            "",
            r#""%DYNAMIC_METADATA(istio.mixer:status)%" "#,
            r#" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME%"#
        ),
    },
    BuiltIn {
        name: "istio-1.0",
        title: "Istio 1.0",
        format: text!(
            "",
            "",
            r#" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS%"#
        ),
    },
    BuiltIn { name: "", title: "Envoy", format: text!("", "", r#" "%UPSTREAM_HOST%""#) },
    BuiltIn {
        name: "ambassador",
        title: "Envoy in Ambassador",
        format: text!("ACCESS ", "", r#" "%UPSTREAM_HOST%""#),
    },
    BuiltIn {
        name: "details",
        title: "Envoy with response code details",
        format: text!("", "%RESPONSE_CODE_DETAILS% ", r#" "%UPSTREAM_HOST%""#),
    },
    BuiltIn { name: "short", title: "Envoy without the upstream", format: text!("", "", "") },
];
