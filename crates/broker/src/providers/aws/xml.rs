//! AWS's XML as JSON, whole: what a snapshot hands over, and what actions compare.
//!
//! An element that holds nothing but `item`s or `member`s is a list of them, as is one whose name the table of operations says to
//! repeat; every other element is an object, or a text. The reader goes no deeper than a constant, expands nothing but the five
//! predefined entities and character references, and refuses a document type. What holds a session's keys is read elsewhere
//! ([`super::answer`]): nothing here is overwritten.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};
use serde_json::{Map, Value};

use super::AwsError;

/// How deep elements may lie in each other.
const DEEPEST: usize = 32;
/// How many elements there may be.
const MOST_ELEMENTS: usize = 500_000;
/// The longest name of an element.
const LONGEST_NAME: usize = 100;

/// The character that a reference stands for: one of the five predefined entities, or one by its number. Nothing else is expanded.
pub(super) fn referred(reference: &BytesRef<'_>) -> Result<char, AwsError> {
    Ok(match &reference[..] {
        b"amp" => '&',
        b"lt" => '<',
        b"gt" => '>',
        b"quot" => '"',
        b"apos" => '\'',
        _ => reference.resolve_char_ref().ok().flatten().ok_or(AwsError::Unintelligible)?,
    })
}

/// A document: the name of its root, and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) root: String,
    pub(crate) value: Value,
}

/// An element that isn't closed yet.
struct Open {
    name: String,
    text: String,
    children: Vec<(String, Value)>,
}

/// Reads a document. Elements of the names in `lists` repeat: they are lists also where there is one of them.
///
/// # Errors
/// [`AwsError::Unintelligible`] if it is none, or larger or deeper than AWS's are.
pub(crate) fn read(document: &[u8], lists: &[&str]) -> Result<Document, AwsError> {
    let document = std::str::from_utf8(document).map_err(|_| AwsError::Unintelligible)?;
    let mut reader = Reader::from_str(document);
    let mut open: Vec<Open> = Vec::new();
    let mut elements = 0_usize;
    let mut whole: Option<Document> = None;
    loop {
        match reader.read_event().map_err(|_| AwsError::Unintelligible)? {
            Event::Start(start) => {
                let name = name_of(start.local_name().as_ref())?;
                elements += 1;
                if elements > MOST_ELEMENTS || open.len() >= DEEPEST || whole.is_some() {
                    return Err(AwsError::Unintelligible);
                }
                open.push(Open { name, text: String::new(), children: Vec::new() });
            }
            Event::Empty(start) => {
                let name = name_of(start.local_name().as_ref())?;
                elements += 1;
                if elements > MOST_ELEMENTS || whole.is_some() {
                    return Err(AwsError::Unintelligible);
                }
                match open.last_mut() {
                    Some(parent) => parent.children.push((name, Value::Null)),
                    None => whole = Some(Document { root: name, value: Value::Null }),
                }
            }
            Event::End(_) => {
                let closed = open.pop().ok_or(AwsError::Unintelligible)?;
                let name = closed.name.clone();
                let value = closed.into_value(lists);
                match open.last_mut() {
                    Some(parent) => parent.children.push((name, value)),
                    None => whole = Some(Document { root: name, value }),
                }
            }
            Event::Text(part) => push(&mut open, part.as_ref())?,
            Event::CData(part) => push(&mut open, part.as_ref())?,
            Event::GeneralRef(reference) => {
                let (character, mut buffer) = (referred(&reference)?, [0; 4]);
                push(&mut open, character.encode_utf8(&mut buffer).as_bytes())?;
            }
            Event::Decl(_) | Event::Comment(_) => {}
            Event::Eof if open.is_empty() => return whole.ok_or(AwsError::Unintelligible),
            Event::Eof | Event::DocType(_) | Event::PI(_) => return Err(AwsError::Unintelligible),
        }
    }
}

fn name_of(name: &[u8]) -> Result<String, AwsError> {
    let name = std::str::from_utf8(name).map_err(|_| AwsError::Unintelligible)?;
    if name.len() <= LONGEST_NAME { Ok(name.to_owned()) } else { Err(AwsError::Unintelligible) }
}

/// Adds text to the element that is open. Outside of the root there is none but space.
fn push(open: &mut [Open], piece: &[u8]) -> Result<(), AwsError> {
    let piece = std::str::from_utf8(piece).map_err(|_| AwsError::Unintelligible)?;
    match open.last_mut() {
        Some(element) => {
            element.text.push_str(piece);
            Ok(())
        }
        None if piece.trim().is_empty() => Ok(()),
        None => Err(AwsError::Unintelligible),
    }
}

impl Open {
    fn into_value(self, lists: &[&str]) -> Value {
        if self.children.is_empty() {
            let text = self.text.trim();
            return if text.is_empty() { Value::Null } else { Value::String(text.to_owned()) };
        }
        if self.children.iter().all(|(name, _)| name == "item" || name == "member") {
            return self.children.into_iter().map(|(_, value)| value).collect();
        }
        let mut fields = Map::new();
        for (name, value) in self.children {
            let repeats = lists.contains(&name.as_str());
            match fields.get_mut(&name) {
                Some(Value::Array(values)) if repeats => values.push(value),
                // What is there twice although it doesn't repeat is a list all the same: nothing is lost.
                Some(known) if !repeats => {
                    let first = known.take();
                    *known = match first {
                        Value::Array(mut values) => {
                            values.push(value);
                            Value::Array(values)
                        }
                        first => Value::Array(vec![first, value]),
                    };
                }
                _ => {
                    let value = if repeats { Value::Array(vec![value]) } else { value };
                    fields.insert(name, value);
                }
            }
        }
        Value::Object(fields)
    }
}

/// A list that AWS writes as a list, or as nothing where it is empty.
pub(crate) fn items<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A text in an object.
pub(crate) fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(text: &str, lists: &[&str]) -> Value {
        read(text.as_bytes(), lists).unwrap().value
    }

    #[test]
    fn lists_objects_and_texts_are_told_apart() {
        let text = r#"<?xml version="1.0"?><r xmlns="urn:x"><set><item><a>1</a></item></set><empty/><b> x &amp; &#x41; </b>
            <Grant><c>1</c></Grant></r>"#;
        let expected = json!({"set": [{"a": "1"}], "empty": null, "b": "x & A", "Grant": [{"c": "1"}]});
        assert_eq!(value(text, &["Grant"]), expected);
        assert_eq!(value("<r><a>1</a><a>2</a><a>3</a></r>", &[]), json!({"a": ["1", "2", "3"]}), "nothing is lost");
        assert_eq!(value("<r><a><x>1</x></a><a><x>2</x></a></r>", &["a"]), json!({"a": [{"x": "1"}, {"x": "2"}]}));
        assert_eq!(value("<r><s><member>1</member><member>2</member></s></r>", &[]), json!({"s": ["1", "2"]}));
        assert_eq!(read(b"<r/>", &[]).unwrap(), Document { root: "r".to_owned(), value: Value::Null });
    }

    #[test]
    fn hostile_documents_are_refused() {
        let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
        let wide = format!("<a>{}</a>", "<b/>".repeat(MOST_ELEMENTS + 1));
        let laughs = r#"<!DOCTYPE a [<!ENTITY b "ha">]><a>&b;</a>"#;
        let named = format!("<{0}></{0}>", "a".repeat(LONGEST_NAME + 1));
        for text in [&deep, &wide, laughs, &named, "<a>&c;</a>", "<a>", "<a></b>", "</a>", "", "text", "<a/><b/>", "<a></a>x"] {
            assert_eq!(read(text.as_bytes(), &[]), Err(AwsError::Unintelligible), "{}", &text[..text.len().min(40)]);
        }
        assert!(read(b"<a>\xff</a>", &[]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(bytes: Vec<u8>, text in "(<[a-c/!?]{0,3}[a-z]{0,3}/?>|&#?[a-z0-9]{0,3};|[a-c ]|<!\\[CDATA\\[|\\]\\]>){0,60}") {
            drop(read(&bytes, &["a"]));
            drop(read(text.as_bytes(), &["a"]));
        }
    }
}
