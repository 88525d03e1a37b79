//! What a browser does at the broker's pages, as far as these tests go: forms, cookies, redirections that aren't followed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

pub(crate) struct Browser {
    port: u16,
    cookies: BTreeMap<String, String>,
}

pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Browser {
    pub(crate) fn at(port: u16) -> Self {
        Self { port, cookies: BTreeMap::new() }
    }

    pub(crate) fn get(&mut self, path: &str) -> Page {
        self.send("GET", path, "", "")
    }

    pub(crate) fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let form: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let head = format!("Origin: http://approve.localhost:{}\r\nContent-Type: application/x-www-form-urlencoded\r\n", self.port);
        self.send("POST", path, &head, &form.join("&"))
    }

    /// Follows a one-time link, as a person does: opens it and presses its button.
    pub(crate) fn log_in(&mut self, link: &str) {
        let path = link.split_once("://").unwrap().1.split_once('/').unwrap().1;
        let page = self.get(&format!("/{path}"));
        assert_eq!(page.status, 200, "{}", page.text);
        assert_eq!(self.post("/login/link", &[("link", &page.field("link"))]).status, 303);
    }

    /// Says something to a change, with what its page holds.
    pub(crate) fn decide(&mut self, digest: &str, answer: &str) -> Page {
        let page = self.get(&format!("/change/{digest}"));
        assert_eq!(page.status, 200, "{}", page.text);
        let (seal, nonce) = (page.field("seal"), page.field("nonce"));
        self.post(&format!("/change/{digest}/decide"), &[("seal", &seal), ("nonce", &nonce), ("answer", answer)])
    }

    fn send(&mut self, method: &str, path: &str, head: &str, body: &str) -> Page {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = if cookies.is_empty() { String::new() } else { format!("Cookie: {}\r\n", cookies.join("; ")) };
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: approve.localhost:{}\r\nConnection: close\r\n{cookies}{head}Content-Length: {}\r\n\r\n{body}",
            self.port,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, text) = answer.split_once("\r\n\r\n").unwrap();
        for line in head.lines() {
            if let Some(cookie) = line.to_ascii_lowercase().starts_with("set-cookie: ").then(|| &line[12..]) {
                let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        Page { status: head.split(' ').nth(1).unwrap().parse().unwrap(), text: text.to_owned() }
    }
}

impl Page {
    /// The value of a form's hidden field.
    fn field(&self, name: &str) -> String {
        let after = self.text.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("no `{name}` in {}", self.text)).1;
        after.split_once('"').unwrap().0.to_owned()
    }
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").unwrap();
        }
        encoded
    })
}
