//! Where dropwire listens: on loopback always, and beyond it where it was asked to and callers have to sign.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, lookup_host};

use crate::app::StartError;

/// How many ports are tried after one that is taken.
const PORTS_MAX: u16 = 20;

/// Where to listen.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The port; 0 takes a free one.
    pub port: u16,
    /// Fail if the port is taken; else the next free one is used.
    pub strict: bool,
    /// The address beside loopback, as `--host` has it, and then the further names that clients use for it.
    pub hosts: Vec<String>,
    /// Whether callers have to sign. Nobody beyond loopback is let in otherwise.
    pub is_signed: bool,
}

/// The sockets, and who reaches them.
pub struct Listening {
    /// On one port.
    pub(super) sockets: Vec<TcpListener>,
    /// How they are reached.
    pub reach: Reach,
}

/// How a dropwire is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// The port.
    pub port: u16,
    /// Whether callers have to sign and to carry the token, whatever they want.
    pub is_guarded: bool,
    /// Whether other machines reach it.
    pub is_open: bool,
    /// The names and addresses that `--host` gave, in lower case: the hosts of requests.
    pub names: Vec<String>,
}

impl Reach {
    /// The host to tell clients elsewhere: the first name, else the first address that leads to one machine.
    pub fn outside(&self) -> Option<&str> {
        let of_one = |name: &&String| !of(name).is_some_and(|address| address.is_unspecified());
        let named = self.names.iter().find(|name| of(name).is_none());
        named.or(self.names.iter().find(of_one)).filter(|_| self.is_open).map(String::as_str)
    }
    /// Where clients elsewhere reach it: `box.lan:4566`. Where it is open to all and no name was given, which of this
    /// machine's addresses leads to it is not known here.
    pub fn outside_address(&self) -> Option<String> {
        let named = self.is_open.then(|| self.outside().unwrap_or("0.0.0.0"));
        named.map(|host| match of(host) {
            Some(address) => SocketAddr::new(address, self.port).to_string(),
            None => format!("{host}:{}", self.port),
        })
    }
    /// What clients on this machine call: `127.0.0.1:4566`.
    pub fn local(&self) -> String {
        format!("{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }
}

/// The address that a host is; None for a name.
pub(super) fn of(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

/// Listens there.
pub async fn listen(place: &Place) -> Result<Listening, StartError> {
    let outside = match place.hosts.first() {
        Some(host) => Some(address(host).await?).filter(|address| *address != Ipv4Addr::LOCALHOST),
        None => None,
    };
    let is_open = outside.is_some_and(|address| !address.is_loopback());
    if let (true, false, Some(host)) = (is_open, place.is_signed, place.hosts.first()) {
        return Err(StartError {
            code: "W502",
            message: format!(
                "cannot listen on {host}: it lets other machines in, and those have to sign what they ask; set \
                 DROPWIRE_ACCESS_KEY_ID and DROPWIRE_SECRET_ACCESS_KEY to a pair of your own, or leave --host out"
            ),
            exit: 4,
        });
    }
    let sockets = bind(place, outside).await?;
    let bound = sockets.first().and_then(|socket| socket.local_addr().ok());
    let names = place.hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
    let port = bound.map_or(place.port, |bound| bound.port());
    Ok(Listening { sockets, reach: Reach { port, is_guarded: place.is_signed, is_open, names } })
}

/// The address of a host of this machine.
async fn address(host: &str) -> Result<IpAddr, StartError> {
    if let Some(address) = of(host) {
        return Ok(address);
    }
    let found: io::Result<Vec<SocketAddr>> = lookup_host((host, 0)).await.map(Iterator::collect);
    let why = match found {
        Ok(found) => {
            // Who says a name means the address that most clients take for it.
            let best = found.iter().find(|address| address.is_ipv4()).or(found.first());
            match best {
                Some(address) => return Ok(address.ip()),
                None => "it has no address".to_owned(),
            }
        }
        Err(error) => error.to_string(),
    };
    Err(unreachable_host(host, &why))
}

async fn bind(place: &Place, outside: Option<IpAddr>) -> Result<Vec<TcpListener>, StartError> {
    let tries = if place.strict { 0 } else { PORTS_MAX };
    let mut first_error = None;
    for further in 0..=tries {
        // With 0 each try is another free port.
        let port = if place.port == 0 { 0 } else { place.port.saturating_add(further) };
        match bind_at(port, outside).await {
            Ok(sockets) => return Ok(sockets),
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable => {
                let host = place.hosts.first().map_or("", String::as_str);
                return Err(unreachable_host(host, &error.to_string()));
            }
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    let why = first_error.map(|error| error.to_string()).unwrap_or_default();
    let host = outside.unwrap_or(Ipv4Addr::LOCALHOST.into());
    let message = format!(
        "cannot listen on {}: {why}; is another program there? stop it, or take a free port with `--port 0`",
        SocketAddr::new(host, place.port)
    );
    Err(StartError { code: "W501", message, exit: 4 })
}

/// On loopback and outside; the unspecified address is both.
async fn bind_at(port: u16, outside: Option<IpAddr>) -> io::Result<Vec<TcpListener>> {
    match outside {
        Some(all) if all.is_unspecified() => Ok(vec![TcpListener::bind((all, port)).await?]),
        outside => {
            let local = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
            let port = local.local_addr()?.port();
            let mut sockets = vec![local];
            if let Some(outside) = outside {
                sockets.push(TcpListener::bind((outside, port)).await?);
            }
            Ok(sockets)
        }
    }
}

fn unreachable_host(host: &str, why: &str) -> StartError {
    let message = format!(
        "cannot listen on {host}: {why}; give an address of this machine (`ip address` shows them), or 0.0.0.0 for all"
    );
    StartError { code: "W503", message, exit: 4 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(hosts: &[&str], is_signed: bool) -> Place {
        Place { hosts: hosts.iter().map(|host| (*host).to_owned()).collect(), is_signed, ..Place::default() }
    }

    async fn refusal(hosts: &[&str], is_signed: bool) -> String {
        match listen(&place(hosts, is_signed)).await {
            Ok(listening) => panic!("{:?} was let in", listening.reach),
            Err(error) => format!("{} {error}", error.code),
        }
    }

    #[tokio::test]
    async fn nobody_beyond_loopback_is_let_in_unsigned() {
        for host in ["0.0.0.0", "::", "192.0.2.7"] {
            let refused = refusal(&[host], false).await;
            assert!(refused.contains("W502") && refused.contains("DROPWIRE_ACCESS_KEY_ID"), "{refused}");
        }
        for host in ["127.0.0.1", "localhost", "127.0.0.2"] {
            let listening = listen(&place(&[host], false)).await.expect("loopback needs no keys");
            assert!(!listening.reach.is_open && listening.reach.outside().is_none(), "{host}");
        }
    }

    #[tokio::test]
    async fn a_host_that_is_not_here_is_named() {
        for host in ["192.0.2.7", "no-such-host.invalid"] {
            let refused = refusal(&[host], true).await;
            assert!(refused.contains("W503") && refused.contains(host), "{refused}");
        }
    }

    #[tokio::test]
    async fn it_is_reached_on_loopback_and_by_its_names() {
        let listening = listen(&place(&["0.0.0.0", "Box.lan"], true)).await.expect("listens");
        let reach = listening.reach;
        assert_eq!(
            (reach.is_open, reach.outside(), reach.local()),
            (true, Some("box.lan"), format!("127.0.0.1:{}", reach.port))
        );
        tokio::net::TcpStream::connect(reach.local()).await.expect("loopback is among them");
        let unnamed = listen(&place(&["0.0.0.0"], true)).await.expect("listens");
        assert_eq!(unnamed.reach.outside(), None, "no address leads there from everywhere");
    }

    #[tokio::test]
    async fn two_sockets_share_one_port() {
        let listening = listen(&place(&["127.0.0.2"], false)).await.expect("listens");
        let ports = listening.sockets.iter().filter_map(|socket| socket.local_addr().ok());
        let ports: Vec<u16> = ports.map(|address| address.port()).collect();
        assert_eq!(ports, [listening.reach.port; 2]);
    }
}
