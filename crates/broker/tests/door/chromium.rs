//! A real Chromium, driven over its debugging pipe (two file descriptors, messages that end with a zero byte): no driver program and
//! no WebSocket in between.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub(crate) struct Chromium {
    process: Child,
    to: File,
    from: File,
    buffer: Vec<u8>,
    last: u64,
    session: String,
    _profile: tempfile::TempDir,
}

impl Chromium {
    /// Starts one with a profile of its own and opens a page.
    pub(crate) fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let (to, from) = (profile.path().join("to"), profile.path().join("from"));
        for pipe in [&to, &from] {
            rustix::fs::mknodat(rustix::fs::CWD, pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0).unwrap();
        }
        let program = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| is_program(name));
        let program = program.expect("this test needs Chromium: `apt-get install chromium`");
        // The shell gives it the two descriptors that the protocol wants.
        let process = Command::new("sh")
            .arg("-c")
            .arg(format!(
                "exec {program} --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking \
                 --disable-component-update --disable-sync --hide-scrollbars --remote-debugging-pipe --user-data-dir=\"$2\" 3<\"$0\" 4>\"$1\""
            ))
            .args([&to, &from])
            .arg(profile.path().join("profile"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let to = File::options().write(true).open(to).unwrap();
        let from = File::open(from).unwrap();
        let mut browser = Self { process, to, from, buffer: Vec::new(), last: 0, session: String::new(), _profile: profile };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attached = browser.call("Target.attachToTarget", json!({ "targetId": target["targetId"], "flatten": true }));
        browser.session = attached["sessionId"].as_str().unwrap().to_owned();
        browser.call("Page.enable", json!({}));
        browser
    }

    /// Calls a method of the protocol and gives its result.
    pub(crate) fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.try_call(method, parameters).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// The same for what may fail: a page that is just being left has nothing to evaluate.
    fn try_call(&mut self, method: &str, parameters: Value) -> Result<Value, Value> {
        self.last += 1;
        let mut message = json!({ "id": self.last, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        let mut bytes = serde_json::to_vec(&message).unwrap();
        bytes.push(0);
        self.to.write_all(&bytes).unwrap();
        loop {
            let answer = self.receive();
            if answer["id"] == self.last {
                return if answer["error"].is_null() { Ok(answer["result"].clone()) } else { Err(answer["error"].clone()) };
            }
        }
    }

    fn receive(&mut self) -> Value {
        let mut part = [0; 65536];
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == 0) {
                let message = self.buffer.drain(..=end).collect::<Vec<u8>>();
                return serde_json::from_slice(&message[..end]).unwrap();
            }
            let read = self.from.read(&mut part).unwrap();
            assert!(read > 0, "Chromium ended");
            self.buffer.extend_from_slice(&part[..read]);
        }
    }

    /// What an expression gives on the page.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        self.call("Runtime.evaluate", json!({ "expression": expression, "awaitPromise": true, "returnByValue": true }))["result"]["value"]
            .clone()
    }

    /// Waits until an expression is true on the page.
    pub(crate) fn wait(&mut self, expression: &str) {
        let until = Instant::now() + Duration::from_secs(30);
        let question = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        while self.try_call("Runtime.evaluate", question.clone()).map_or(true, |answer| answer["result"]["value"] != json!(true)) {
            if Instant::now() > until {
                let page = self.evaluate("document.location.href + '\\n' + document.body?.innerText");
                panic!("{expression} never came true on {page}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Opens an address and waits for its page.
    pub(crate) fn open(&mut self, address: &str) {
        self.call("Page.navigate", json!({ "url": address }));
        self.wait("document.readyState === 'complete' && document.location.protocol !== 'about:'");
    }

    /// Presses what a selector finds.
    pub(crate) fn press(&mut self, selector: &str) {
        // Before the page's script has run, a click would send a form as it would be sent without it.
        self.wait(&format!("document.readyState === 'complete' && document.querySelector({}) !== null", json!(selector)));
        // As somebody's own click: a tab may be opened by it.
        let click = format!("document.querySelector({}).click()", json!(selector));
        self.call("Runtime.evaluate", json!({ "expression": click, "userGesture": true }));
    }

    /// Goes on in the tab that was opened last, and gives the one before.
    pub(crate) fn go_to_new_tab(&mut self) -> String {
        let until = Instant::now() + Duration::from_secs(30);
        let session = std::mem::take(&mut self.session);
        loop {
            let targets = self.call("Target.getTargets", json!({}));
            let mut tabs = targets["targetInfos"].as_array().unwrap().iter();
            // Chromium has one of its own as well.
            let is_new =
                |one: &&Value| one["type"] == "page" && one["attached"] == false && one["url"].as_str().unwrap().starts_with("http");
            let new = tabs.find(is_new).cloned();
            if let Some(new) = new {
                let attached = self.call("Target.attachToTarget", json!({ "targetId": new["targetId"], "flatten": true }));
                self.session = attached["sessionId"].as_str().unwrap().to_owned();
                return session;
            }
            assert!(Instant::now() < until, "no new tab");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Goes back to a tab.
    pub(crate) fn go_to_tab(&mut self, session: String) {
        self.session = session;
    }

    /// Sets the window's size and its colours.
    pub(crate) fn look(&mut self, width: u32, height: u32, is_dark: bool) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
        let scheme = if is_dark { "dark" } else { "light" };
        self.call("Emulation.setEmulatedMedia", json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] }));
    }

    /// Takes a picture of the window.
    pub(crate) fn picture(&mut self, file: &Path) {
        let picture = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        let bytes = data_encoding::BASE64.decode(picture["data"].as_str().unwrap().as_bytes()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn is_program(name: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|paths| std::env::split_paths(&paths).any(|folder| folder.join(name).is_file()))
}
