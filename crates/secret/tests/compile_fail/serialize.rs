use keyblind_secret::Secret;

fn main() {
    let secret = Secret::from_string("token".to_owned());
    let _ = serde_json::to_string(&secret);
}
