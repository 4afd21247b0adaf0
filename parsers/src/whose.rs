//! Whose log a file is, by its path: several products write the same line, and then no sample can tell.

/// Directories that a product's package keeps its logs in, and beginnings of the files' names; and the kind of format.
const HOMES: &[(&str, &str)] =
    &[("nginx", "nginx"), ("apache", "apache"), ("httpd", "apache"), ("varnish", "varnish")];
const FILES: &[(&str, &str)] =
    &[("other_vhosts_access", "apache"), ("httpd-", "apache"), ("varnishncsa", "varnish")];

/// The kind of format (`apache`) that is kept at this path, as far as the path tells: the file's own name, then the
/// directories from the nearest on. `apache2` and `httpd24` are versions of the same.
#[must_use]
pub fn kind_of(path: &str) -> Option<&'static str> {
    let mut parts = path.rsplit('/');
    let file = parts.next()?;
    let named = FILES.iter().find(|(beginning, _)| file.starts_with(beginning));
    let home = |part: &str| {
        let word = part.trim_end_matches(|c: char| c.is_ascii_digit());
        HOMES.iter().find(|(home, _)| *home == word)
    };
    named.or_else(|| parts.find_map(home)).map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_packages() {
        let table = [
            ("/var/log/apache2/access.log", Some("apache")),
            ("/var/log/apache2/access.log.2.gz", Some("apache")),
            ("/var/log/httpd/access_log", Some("apache")),
            ("/var/log/httpd24/ssl_access_log", Some("apache")),
            ("/var/log/httpd-access.log", Some("apache")),
            ("logs/other_vhosts_access.log.1", Some("apache")),
            ("/backup/nginx/web1/apache2/access.log", Some("apache")),
            ("/var/log/nginx/access.log", Some("nginx")),
            ("/var/log/nginx/apache2", Some("nginx")),
            ("/var/log/varnish/varnishncsa.log", Some("varnish")),
            ("/var/log/access.log", None),
            ("/var/log/my-apache2/access.log", None),
            ("access.log", None),
            ("-", None),
            ("", None),
            ("/", None),
        ];
        for (path, kind) in table {
            assert_eq!(kind_of(path), kind, "{path}");
        }
    }
}
