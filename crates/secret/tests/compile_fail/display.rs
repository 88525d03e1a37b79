use keyblind_secret::Secret;

fn main() {
    let secret = Secret::from_string("token".to_owned());
    let _ = format!("{secret}");
}
