//! A browser's part of the protocol, without a browser: cookies as their attributes say, forms, and the way to a provider and back.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use keyblind_testkit::Peer;
use serde_json::json;
use tower::ServiceExt as _;

#[derive(Clone)]
struct Cookie {
    value: String,
    is_lax: bool,
}

#[derive(Clone)]
pub(crate) struct Visitor {
    router: Router,
    origin: String,
    cookies: BTreeMap<String, Cookie>,
}

pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answered {
    /// Where the page goes on by itself.
    pub(crate) fn onward(&self) -> String {
        let start = self.text.find("content=\"0; url=").unwrap_or_else(|| panic!("{} {}", self.status, self.text)) + 16;
        self.text[start..].split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&")
    }

    /// The value of a hidden field, after that text.
    pub(crate) fn field(&self, after: &str, name: &str) -> String {
        let from = self.text.find(after).unwrap_or_else(|| panic!("no {after} in {}", self.text));
        let start = self.text[from..].find(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("no {name} in {}", self.text));
        self.text[from + start..].split('"').nth(3).unwrap().to_owned()
    }
}

impl Visitor {
    pub(crate) fn new(router: Router, origin: &str) -> Self {
        Self { router, origin: origin.to_owned(), cookies: BTreeMap::new() }
    }

    async fn send(&mut self, request: axum::http::request::Builder, is_cross_site: bool, body: String) -> Answered {
        let sent: Vec<String> = self
            .cookies
            .iter()
            .filter(|(_, cookie)| cookie.is_lax || !is_cross_site)
            .map(|(name, cookie)| format!("{name}={}", cookie.value))
            .collect();
        let request = request.header(header::HOST, self.origin.split("//").nth(1).unwrap());
        let request = if sent.is_empty() { request } else { request.header(header::COOKIE, sent.join("; ")) };
        let response = self.router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        for cookie in parts.headers.get_all(header::SET_COOKIE) {
            let text = cookie.to_str().unwrap();
            let (name, value) = text.split(';').next().unwrap().split_once('=').unwrap();
            if text.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), Cookie { value: value.to_owned(), is_lax: text.contains("SameSite=Lax") });
            }
        }
        let text = String::from_utf8(to_bytes(body, 10 << 20).await.unwrap().to_vec()).unwrap();
        Answered { status: parts.status, headers: parts.headers, text }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answered {
        self.send(Request::get(path), false, String::new()).await
    }

    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answered {
        let request =
            Request::post(path).header(header::ORIGIN, &self.origin).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let escape = |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02X}")).collect() };
        let body = fields.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect::<Vec<_>>().join("&");
        self.send(request, false, body).await
    }

    /// Opens an address of ours that another site has sent it to.
    pub(crate) async fn come_back(&mut self, address: &str) -> Answered {
        let path = address.strip_prefix(&self.origin).unwrap_or_else(|| panic!("{address} isn't ours"));
        self.send(Request::get(path).header("sec-fetch-site", "cross-site"), true, String::new()).await
    }

    /// Presses the button and logs in at the provider; gives the address at which the provider lets it go.
    pub(crate) async fn log_in_at(&mut self, peer: &Peer, who: &str, to: &str, again: &str) -> String {
        let page = self.post("/login/start", &[("to", to), ("again", again)]).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        walked(peer, &page.onward(), who)
    }

    /// The whole way; gives the page after it.
    pub(crate) async fn log_in(&mut self, peer: &Peer, who: &str) -> Answered {
        let back = self.log_in_at(peer, who, "/", "").await;
        let page = self.come_back(&back).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        self.get(&page.onward()).await
    }

    pub(crate) fn has(&self, cookie: &str) -> bool {
        self.cookies.contains_key(cookie)
    }
}

/// Walks through the provider's pages as a person of that name.
pub(crate) fn walked(peer: &Peer, url: &str, who: &str) -> String {
    peer.ask("POST", "/browse", &json!({"url": url, "account": who}))["location"].as_str().unwrap().to_owned()
}
