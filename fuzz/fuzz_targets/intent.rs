//! Documents: whatever is taken for a request, an answer or a change has a canonical form that means the same, and one digest.

#![no_main]

use keyblind_intent::{Answer, Change, Request, canonical, decode};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

fn is_stable<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(data: &[u8]) {
    let Ok(value) = decode::<T>(data) else { return };
    let written = canonical(&value).expect("what was read has a canonical form");
    let read: T = decode(&written).expect("the canonical form can be read");
    assert_eq!(read, value);
    assert_eq!(canonical(&read).expect("and written again"), written);
}

fuzz_target!(|data: &[u8]| {
    is_stable::<Request>(data);
    is_stable::<Answer>(data);
    if let Ok(change) = Change::decode(data) {
        let again = Change::decode(change.canonical()).expect("the canonical form is a change");
        assert_eq!(again.digest(), change.digest());
        assert!(change.binding_message().len() <= keyblind_intent::limits::BINDING_MESSAGE_BYTES);
    }
});
