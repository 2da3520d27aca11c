//! Who is let in, and to what: by the host that a request names and the page it comes from. Pure.

use http::header::{HeaderName, ORIGIN};
use http::{HeaderMap, Method, header};

use super::listen::{self, Reach};
use crate::control::TOKEN_HEADER;

/// The door of one port.
pub struct Door {
    token: Box<str>,
    reach: Reach,
}

/// Whom a request is for, by the host it names.
#[derive(Debug, PartialEq, Eq)]
pub enum Visit {
    /// This dropwire: its own API and the services of AWS.
    Here,
    /// The function URL with this id.
    FunctionUrl(String),
    /// This dropwire, but asked by a page of this other site.
    Foreign(String),
    /// Nobody here; why.
    Refused(String),
}

impl Door {
    /// The door of what is reached so; `token` opens it for what changes something, and, where it is guarded, for
    /// everything.
    pub fn new(token: &str, reach: Reach) -> Door {
        Door { token: token.into(), reach }
    }

    /// Whom this request is for. A page of another site can reach this port by a name of its own that leads to
    /// 127.0.0.1: only our names count.
    pub fn visit(&self, headers: &HeaderMap) -> Visit {
        let host = text(headers, header::HOST).unwrap_or_default();
        if let Some(id) = function_url(&host) {
            return Visit::FunctionUrl(id);
        }
        if !self.is_ours(&host) {
            return Visit::Refused(format!("the host `{host}` is not this dropwire"));
        }
        match text(headers, ORIGIN) {
            Some(origin) if !origin.strip_prefix("http://").is_some_and(|page| self.is_page(page, &host)) => {
                Visit::Foreign(origin)
            }
            _ => Visit::Here,
        }
    }

    /// Why a request to dropwire's own API is refused, if it is: what changes something needs the token.
    pub fn without_token(&self, method: &Method, headers: &HeaderMap) -> Option<String> {
        let token = headers.get(TOKEN_HEADER).map(|value| value.as_bytes());
        let changes = method != Method::GET && method != Method::HEAD;
        let what = if self.reach.is_guarded { "a request" } else { "a request that changes something" };
        ((changes || self.reach.is_guarded) && token != Some(self.token.as_bytes()))
            .then(|| format!("{what} needs the header {TOKEN_HEADER}"))
    }

    /// Whether a page of this host and port is one of ours. The page that a request is of may be named in any way.
    fn is_page(&self, page: &str, host: &str) -> bool {
        page == host || self.is_local(page)
    }

    fn is_ours(&self, host: &str) -> bool {
        self.is_local(host) || self.is_open_to(host)
    }

    fn is_local(&self, host: &str) -> bool {
        let Some((name, port)) = host.rsplit_once(':') else { return false };
        // Names below localhost lead nowhere else: `BUCKET.s3.localhost`.
        let ours = ["127.0.0.1", "localhost", "[::1]"].contains(&name) || name.ends_with(".localhost");
        ours && port.parse() == Ok(self.reach.port)
    }

    /// Whether other machines may call us so: by any address, since none can be made to lead elsewhere, and by the
    /// names that we were given. A proxy may have a port of its own.
    fn is_open_to(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let name = match host.rsplit_once(':') {
            Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host.as_str(),
        };
        let is_named =
            |known: &String| name.strip_suffix(known).is_some_and(|sub| sub.is_empty() || sub.ends_with('.'));
        self.reach.is_open && (listen::of(name).is_some() || self.reach.names.iter().any(is_named))
    }
}

/// The id in `ID.lambda-url.REGION.…`: 32 letters and digits.
fn function_url(host: &str) -> Option<String> {
    let (id, rest) = host.split_once('.')?;
    let shaped = id.len() == 32 && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    (shaped && rest.starts_with("lambda-url.")).then(|| id.to_owned())
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(headers: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            map.insert(name, value.parse().expect("a value"));
        }
        map
    }

    fn door(hosts: &[&str]) -> Door {
        let (names, is_open) = (hosts.iter().map(|host| (*host).to_owned()).collect(), !hosts.is_empty());
        Door::new("secret", Reach { port: 4566, is_guarded: is_open, is_open, names })
    }

    fn check(headers: &[(&str, &str)], expected: Result<Visit, &str>) {
        check_at(&door(&[]), headers, expected);
    }

    fn check_at(door: &Door, headers: &[(&str, &str)], expected: Result<Visit, &str>) {
        let visit = door.visit(&map(headers));
        match (expected, visit) {
            (Ok(expected), visit) => assert_eq!(visit, expected),
            (Err(words), Visit::Refused(why)) => assert!(why.contains(words), "{why}"),
            (Err(words), visit) => panic!("{visit:?} instead of {words}"),
        }
    }

    #[test]
    fn only_programs_on_this_machine_are_answered() {
        for host in ["127.0.0.1:4566", "localhost:4566", "[::1]:4566", "photos.s3.localhost:4566"] {
            check(&[("host", host)], Ok(Visit::Here));
        }
        for host in ["evil.example:4566", "127.0.0.1", "127.0.0.1:80", "127.0.0.1.evil.example:4566", ""] {
            check(&[("host", host)], Err("is not this dropwire"));
        }
    }

    #[test]
    fn a_browser_is_answered_on_our_own_pages_only() {
        let host = ("host", "localhost:4566");
        check(&[host, ("origin", "http://localhost:4566")], Ok(Visit::Here));
        for origin in ["https://evil.example", "http://localhost:3000", "null", "https://localhost:4566"] {
            check(&[host, ("origin", origin)], Ok(Visit::Foreign(origin.into())));
        }
    }

    #[test]
    fn other_machines_call_us_by_address_or_name() {
        let open = door(&["0.0.0.0", "box.lan"]);
        for host in
            ["192.168.1.5:4566", "[fe80::1]:4566", "10.0.0.1", "box.lan:4566", "Photos.Box.lan", "box.lan:80"]
        {
            check_at(&open, &[("host", host)], Ok(Visit::Here));
        }
        for host in ["evil.example:4566", "notbox.lan:4566", "box.lan.evil.example", ""] {
            check_at(&open, &[("host", host)], Err("is not this dropwire"));
        }
        check(&[("host", "192.168.1.5:4566")], Err("is not this dropwire"));
        let host = ("host", "box.lan:4566");
        check_at(&open, &[host, ("origin", "http://box.lan:4566")], Ok(Visit::Here));
        for origin in ["http://box.lan:3000", "http://192.168.1.9:4566", "http://evil.example"] {
            check_at(&open, &[host, ("origin", origin)], Ok(Visit::Foreign(origin.into())));
        }
    }

    #[test]
    fn a_function_url_is_known_by_its_host() {
        let id = "abcdefghijklmnopqrstuvwxyz012345";
        for rest in ["us-east-1.localhost:4566", "eu-west-1.on.aws"] {
            let host = format!("{id}.lambda-url.{rest}");
            check(&[("host", &host), ("origin", "https://shop.example")], Ok(Visit::FunctionUrl(id.into())));
        }
        check(&[("host", "short.lambda-url.us-east-1.localhost:4566")], Ok(Visit::Here));
    }

    #[test]
    fn who_changes_something_shows_the_token() {
        let door = door(&[]);
        assert_eq!(door.without_token(&Method::GET, &map(&[])), None);
        assert_eq!(door.without_token(&Method::POST, &map(&[(TOKEN_HEADER, "secret")])), None);
        for headers in [&[][..], &[(TOKEN_HEADER, "guess")]] {
            let why = door.without_token(&Method::DELETE, &map(headers)).expect("refused");
            assert!(why.contains(TOKEN_HEADER), "{why}");
        }
        let open = super::Door::new("secret", Reach { is_guarded: true, ..Reach::default() });
        let why = open.without_token(&Method::GET, &map(&[])).expect("reading is refused as well");
        assert!(why.contains("a request needs"), "{why}");
        assert_eq!(open.without_token(&Method::GET, &map(&[(TOKEN_HEADER, "secret")])), None);
    }
}
