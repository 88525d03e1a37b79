//! What a finished program imports: evidence of what it can't do.

use std::collections::BTreeSet;
use std::path::Path;

/// The section that holds the symbols a program is linked with when it starts.
const DYNAMIC_SYMBOLS: u32 = 11;

/// The names of the dynamic symbols of a 64-bit little-endian ELF program. Empty for one that is linked statically.
///
/// Source: System V Application Binary Interface, "Object Files".
///
/// # Panics
/// If the file isn't such a program: the test can't go on.
pub fn imports(path: &Path) -> BTreeSet<String> {
    let bytes = std::fs::read(path).expect("the program can be read");
    assert!(bytes.starts_with(b"\x7fELF\x02\x01"), "a 64-bit little-endian ELF file");
    let number = |at: usize, size: usize| bytes[at..at + size].iter().rev().fold(0_usize, |number, byte| number << 8 | usize::from(*byte));
    let (sections, size, count) = (number(0x28, 8), number(0x3a, 2), number(0x3c, 2));
    let section = |index: usize| sections + index * size;
    let mut names = BTreeSet::new();
    for index in (0..count).filter(|&index| number(section(index) + 4, 4) == DYNAMIC_SYMBOLS as usize) {
        let (start, length, texts) = (number(section(index) + 0x18, 8), number(section(index) + 0x20, 8), number(section(index) + 0x28, 4));
        let texts = number(section(texts) + 0x18, 8);
        for symbol in (start..start + length).step_by(24) {
            let name = &bytes[texts + number(symbol, 4)..];
            let end = name.iter().position(|byte| *byte == 0).expect("names end with a zero");
            names.insert(String::from_utf8_lossy(&name[..end]).into_owned());
        }
    }
    names
}
