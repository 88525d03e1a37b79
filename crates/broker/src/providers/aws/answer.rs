//! AWS's XML, as far as the broker reads it: named leaves of a small document.
//!
//! The reader keeps no tree, goes no deeper than a constant, expands nothing but the five predefined entities and character
//! references, and refuses a document type. What leaves hold lies in buffers that are overwritten: some of them are credentials.

use quick_xml::Reader;
use quick_xml::events::Event;
use zeroize::Zeroizing;

use super::AwsError;
use super::keys::LONGEST_TOKEN;
use super::xml::referred;

/// How deep elements may lie in each other; STS's lie four deep.
const DEEPEST: usize = 16;
/// How many elements there may be.
const MOST_ELEMENTS: usize = 1_000;
/// The longest name of an element.
const LONGEST_NAME: usize = 100;

/// The leaves of a document: each with its own name, that of the element around it, and its text.
pub(super) struct Leaves(Vec<Leaf>);

struct Leaf {
    around: String,
    name: String,
    text: Zeroizing<Vec<u8>>,
}

impl Leaves {
    /// Reads a document.
    ///
    /// # Errors
    /// [`AwsError::Unintelligible`] if it is none, or larger or deeper than AWS's are.
    pub(super) fn read(document: &[u8]) -> Result<Self, AwsError> {
        let document = std::str::from_utf8(document).map_err(|_| AwsError::Unintelligible)?;
        let mut reader = Reader::from_str(document);
        let mut open: Vec<String> = Vec::new();
        let mut text = Zeroizing::new(Vec::with_capacity(LONGEST_TOKEN));
        let mut is_leaf = false;
        let (mut leaves, mut elements, mut is_over) = (Vec::new(), 0_usize, false);
        loop {
            match reader.read_event().map_err(|_| AwsError::Unintelligible)? {
                Event::Start(start) => {
                    let name = start.local_name();
                    let name = std::str::from_utf8(name.as_ref()).map_err(|_| AwsError::Unintelligible)?;
                    elements += 1;
                    let fits = elements <= MOST_ELEMENTS && open.len() < DEEPEST && name.len() <= LONGEST_NAME;
                    // What follows the root isn't part of the document.
                    if !fits || is_over {
                        return Err(AwsError::Unintelligible);
                    }
                    open.push(name.to_owned());
                    text.clear();
                    is_leaf = true;
                }
                Event::End(_) => {
                    let name = open.pop().ok_or(AwsError::Unintelligible)?;
                    if is_leaf {
                        let around = open.last().cloned().unwrap_or_default();
                        leaves.push(Leaf { around, name, text: Zeroizing::new(text.trim_ascii().to_vec()) });
                    }
                    text.clear();
                    is_leaf = false;
                    is_over = open.is_empty();
                }
                Event::Text(part) => push(&mut text, part.as_ref())?,
                Event::CData(part) => push(&mut text, part.as_ref())?,
                Event::GeneralRef(reference) => {
                    let (character, mut buffer) = (referred(&reference)?, [0; 4]);
                    push(&mut text, character.encode_utf8(&mut buffer).as_bytes())?;
                }
                Event::Eof if is_over => return Ok(Self(leaves)),
                Event::Empty(_) if !open.is_empty() => {
                    elements += 1;
                    is_leaf = false;
                }
                Event::Decl(_) | Event::Comment(_) => {}
                Event::Eof | Event::Empty(_) | Event::DocType(_) | Event::PI(_) => return Err(AwsError::Unintelligible),
            }
            if elements > MOST_ELEMENTS {
                return Err(AwsError::Unintelligible);
            }
        }
    }

    /// The bytes of the leaf `name` right inside of `around`, if there is exactly one.
    pub(super) fn bytes(&self, around: &str, name: &str) -> Option<&[u8]> {
        let mut found = self.0.iter().filter(|leaf| leaf.around == around && leaf.name == name);
        let first = found.next()?;
        found.next().is_none().then_some(&first.text)
    }

    /// The same as text.
    pub(super) fn text(&self, around: &str, name: &str) -> Option<&str> {
        std::str::from_utf8(self.bytes(around, name)?).ok()
    }
}

/// Adds a piece, if the whole still fits: a buffer that grows would leave a copy behind.
fn push(text: &mut Zeroizing<Vec<u8>>, piece: &[u8]) -> Result<(), AwsError> {
    if text.len() + piece.len() > text.capacity() {
        return Err(AwsError::Unintelligible);
    }
    text.extend_from_slice(piece);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_are_found_by_their_place() {
        let text = br#"<?xml version="1.0"?><a xmlns="urn:x"><b><c> one </c><c2/></b><d><c>two &amp; &#x41;<![CDATA[<>]]></c></d></a>"#;
        let leaves = Leaves::read(text).unwrap();
        assert_eq!(leaves.text("b", "c"), Some("one"));
        assert_eq!(leaves.text("d", "c"), Some("two & A<>"));
        assert_eq!(leaves.text("a", "c"), None);
        assert_eq!(leaves.text("a", "b"), None, "it isn't a leaf");
    }

    #[test]
    fn what_is_there_twice_is_neither() {
        let leaves = Leaves::read(b"<a><b>1</b><b>2</b></a>").unwrap();
        assert_eq!(leaves.text("a", "b"), None);
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(bytes: Vec<u8>, text in "(<[a-c/!?]{0,3}[a-z]{0,3}/?>|&#?[a-z0-9]{0,3};|[a-c ]|<!\\[CDATA\\[|\\]\\]>){0,60}") {
            drop(Leaves::read(&bytes));
            if let Ok(leaves) = Leaves::read(text.as_bytes()) {
                let _ = leaves.text("a", "b");
            }
        }
    }

    #[test]
    fn hostile_documents_are_refused() {
        let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
        let wide = format!("<a>{}</a>", "<b/>".repeat(MOST_ELEMENTS + 1));
        let long = format!("<a>{}</a>", "x".repeat(LONGEST_TOKEN + 1));
        let pieces = format!("<a>{}</a>", "x&lt;".repeat(LONGEST_TOKEN));
        let laughs = r#"<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;">]><a>&c;</a>"#;
        let texts = [
            &deep,
            &wide,
            &long,
            &pieces,
            laughs,
            "<a>&c;</a>",
            "<a>",
            "<a></b>",
            "</a>",
            "",
            "text",
            "<a/><b/>",
            "<a></a><b></b>",
            "<a>&#0;</a>",
        ];
        for text in texts {
            assert!(matches!(Leaves::read(text.as_bytes()), Err(AwsError::Unintelligible)), "{}", &text[..text.len().min(40)]);
        }
        assert!(Leaves::read(b"<a>\xff</a>").is_err());
    }
}
