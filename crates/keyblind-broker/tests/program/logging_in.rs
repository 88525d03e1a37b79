//! Logging in at an OpenID provider (npm `oidc-provider`): that the program is joined with it. What can go wrong on the way is tried on the
//! library.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::Stdio;

use keyblind_prove::door::Visitor;
use keyblind_testkit::Peer;
use serde_json::json;

use crate::support::{Place, text};

#[test]
fn the_pages_send_people_to_the_configured_provider_and_nowhere_else() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let redirect = format!("http://approve.localhost:{port}/login/callback");
    let peer = Peer::oidc(&json!({"details": [], "redirects": [redirect]}));
    let mut place = Place::new();
    place.more = format!(
        "[door]\norigin = \"http://approve.localhost:{port}\"\nlisten = \"127.0.0.1:{port}\"\n\
         [login]\nissuer = {:?}\nclient = \"keyblind\"\ntenant = \"octo\"\nname = \"Example\"\nprivate = true\n",
        peer.url()
    );
    // Without what proves us to it there is no button, and whoever runs the broker is told.
    let broker = place.start();
    assert!(broker.said.contains("keyblind-broker keep client-credential"), "{}", broker.said);
    let page = Visitor::at(port).get("/login").unwrap();
    assert!(page.status == 200 && !page.text.contains("Example"), "{}", page.text);
    drop(broker);
    let mut keep = place.command(&["keep", "client-credential"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    keep.stdin.take().unwrap().write_all(peer.told("client_secret").as_bytes()).unwrap();
    let kept = keep.wait_with_output().unwrap();
    assert!(text(&kept.stdout).contains("kept in the sealed store"));
    let broker = place.start();
    assert!(broker.said.contains(&format!("egress: {}", peer.url())), "{}", broker.said);
    let mut visitor = Visitor::at(port);
    assert!(visitor.get("/login").unwrap().text.contains("Log in with Example"));
    let page = visitor.post("/login/start", &[("to", "/")]).unwrap();
    assert!(page.text.contains(peer.url()), "{} {}", page.status, page.text);
    let (code, said) = broker.terminate();
    assert_eq!(code, Some(0), "{said}");
}
