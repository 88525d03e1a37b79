//! What a person does at the broker's pages: forms, cookies, no script.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Somebody with a browser.
#[derive(Clone, Debug)]
pub struct Visitor {
    port: u16,
    origin: String,
    cookies: BTreeMap<String, String>,
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Page {
    /// The status.
    pub status: u16,
    /// Where it leads, if it leads elsewhere.
    pub location: Option<String>,
    /// The page.
    pub text: String,
}

impl Visitor {
    /// Of the pages at a port of this machine, under the usual name.
    #[must_use]
    pub fn at(port: u16) -> Self {
        Self { port, origin: format!("http://approve.localhost:{port}"), cookies: BTreeMap::new() }
    }

    /// The same visitor on a page of another origin.
    #[must_use]
    pub fn from_origin(mut self, origin: &str) -> Self {
        origin.clone_into(&mut self.origin);
        self
    }

    /// Opens a page.
    ///
    /// # Errors
    /// If nobody answers.
    pub fn get(&mut self, path: &str) -> Result<Page> {
        self.send("GET", path, "", "")
    }

    /// Sends a form.
    ///
    /// # Errors
    /// If nobody answers.
    pub fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Result<Page> {
        let form: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let head = format!("Origin: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n", self.origin);
        self.send("POST", path, &head, &form.join("&"))
    }

    /// Follows a one-time link: opens it and presses its button.
    ///
    /// # Errors
    /// If it doesn't log in.
    pub fn log_in(&mut self, link: &str) -> Result<()> {
        let path = link.split_once("://").and_then(|(_, rest)| rest.split_once('/')).context("the link is no address")?.1;
        let page = self.get(&format!("/{path}"))?;
        let value = page.field("link").with_context(|| format!("the link's page has no button ({})", page.status))?;
        let status = self.post("/login/link", &[("link", &value)])?.status;
        ensure!(status == 303, "the link doesn't log in ({status})");
        Ok(())
    }

    /// Says yes or no to a change, with what its page holds.
    ///
    /// # Errors
    /// If its page can't be opened.
    pub fn decide(&mut self, digest: &str, answer: &str) -> Result<Page> {
        let page = self.get(&format!("/change/{digest}"))?;
        let (seal, nonce) =
            page.field("seal").zip(page.field("nonce")).with_context(|| format!("the page has no form ({})", page.status))?;
        self.post(&format!("/change/{digest}/decide"), &[("seal", &seal), ("nonce", &nonce), ("answer", answer)])
    }

    fn send(&mut self, method: &str, path: &str, head: &str, body: &str) -> Result<Page> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).context("the pages don't answer")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = if cookies.is_empty() { String::new() } else { format!("Cookie: {}\r\n", cookies.join("; ")) };
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: approve.localhost:{}\r\nConnection: close\r\n{cookies}{head}Content-Length: {}\r\n\r\n{body}",
            self.port,
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, text) = answer.split_once("\r\n\r\n").context("the answer has no head")?;
        let mut location = None;
        for (name, value) in head.lines().filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("set-cookie") {
                let cookie = value.trim().split(';').next().and_then(|cookie| cookie.split_once('='));
                self.cookies.extend(cookie.map(|(name, value)| (name.to_owned(), value.to_owned())));
            } else if name.eq_ignore_ascii_case("location") {
                location = Some(value.trim().to_owned());
            }
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("the answer has no status")?;
        Ok(Page { status, location, text: text.to_owned() })
    }
}

impl Page {
    /// The value of a form's hidden field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<String> {
        let (_, after) = self.text.split_once(&format!("name=\"{name}\" value=\""))?;
        Some(after.split_once('"')?.0.to_owned())
    }
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}
