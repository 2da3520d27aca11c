//! Reading a request's document into elements, whatever it is about: no DTD, no entities, bounded. Pure.

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

use crate::aws::AwsError;
use crate::source::s3::api::errors;

/// Bytes in a document: ten thousand parts with their checksums fit.
const SIZE_MAX: usize = 4 << 20;
/// Elements in one another; the deepest of S3's documents has seven.
const DEPTH_MAX: usize = 16;

/// One element: its name without a prefix, its text, what lies in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// `FilterRule`
    pub name: String,
    /// The attributes that declare no namespace, by their names without prefixes.
    pub attributes: Vec<(String, String)>,
    /// All text directly in it, references resolved.
    pub text: String,
    /// The elements in it, in their order.
    pub children: Vec<Element>,
}

impl Element {
    /// The first element of this name in it.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }
    /// All elements of this name in it.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }
    /// The only element of this name in it, if any. Two of them are malformed.
    pub fn one(&self, name: &str) -> Result<Option<&Element>, AwsError> {
        let mut all = self.children.iter().filter(|child| child.name == name);
        match (all.next(), all.next()) {
            (_, Some(_)) => Err(errors::malformed_xml()),
            (first, None) => Ok(first),
        }
    }
    /// The text of the only element of this name in it.
    pub fn text_of(&self, name: &str) -> Result<Option<&str>, AwsError> {
        let Some(element) = self.one(name)? else { return Ok(None) };
        if element.children.is_empty() { Ok(Some(&element.text)) } else { Err(errors::malformed_xml()) }
    }
    /// The same for one that must be there.
    pub fn needed(&self, name: &str) -> Result<&str, AwsError> {
        self.text_of(name)?.ok_or_else(errors::malformed_xml)
    }
    /// A whole number.
    pub fn number(&self, name: &str) -> Result<Option<i64>, AwsError> {
        let read = |text: &str| text.trim().parse().map_err(|_| errors::malformed_xml());
        self.text_of(name)?.map(read).transpose()
    }
    /// `true` or `false`.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, AwsError> {
        let read = |text: &str| match text.trim() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(errors::malformed_xml()),
        };
        self.text_of(name)?.map(read).transpose()
    }
    /// The texts of all elements of this name.
    pub fn texts(&self, name: &str) -> Vec<String> {
        self.all(name).map(|child| child.text.clone()).collect()
    }
}

/// Reads a document whose root has this name.
pub fn document(body: &[u8], root: &str) -> Result<Element, AwsError> {
    if body.is_empty() {
        return Err(errors::missing_body());
    }
    element(body).filter(|element| element.name == root).ok_or_else(errors::malformed_xml)
}

/// The root, or None if it is no document.
fn element(body: &[u8]) -> Option<Element> {
    let text = std::str::from_utf8(body).ok().filter(|text| text.len() <= SIZE_MAX)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader::from_str(text);
    reader.config_mut().enable_all_checks(true);
    let mut growing = Growing::default();
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => growing.open(&start)?,
            Event::Empty(start) => {
                growing.open(&start)?;
                growing.close()?;
            }
            Event::End(_) => growing.close()?,
            Event::Text(text) => growing.say(&lines(&text.decode().ok()?))?,
            Event::CData(text) if !growing.open.is_empty() => growing.say(&lines(&text.decode().ok()?))?,
            Event::GeneralRef(reference) => growing.refer(&reference)?,
            Event::Comment(_) | Event::PI(_) => {}
            Event::Decl(_) if growing.is_untouched() => {}
            Event::Decl(_) | Event::DocType(_) | Event::CData(_) => return None,
            Event::Eof => return growing.root.filter(|_| growing.open.is_empty()),
        }
        growing.is_begun = true;
    }
}

/// XML knows one line end.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// Whether XML 1.0 can carry this character at all.
pub(super) fn is_lawful(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

#[derive(Default)]
struct Growing {
    open: Vec<Element>,
    root: Option<Element>,
    is_begun: bool,
}

impl Growing {
    fn is_untouched(&self) -> bool {
        !self.is_begun
    }

    fn open(&mut self, start: &BytesStart<'_>) -> Option<()> {
        if self.root.is_some() || self.open.len() >= DEPTH_MAX {
            return None;
        }
        let name = local(start.name().as_ref())?;
        let mut element = Element { name, ..Element::default() };
        for attribute in start.attributes() {
            let attribute = attribute.ok()?;
            let name = std::str::from_utf8(attribute.key.as_ref()).ok()?;
            let value = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0).ok()?;
            if name != "xmlns" && !name.starts_with("xmlns:") {
                element.attributes.push((local(name.as_bytes())?, value.into_owned()));
            }
        }
        self.open.push(element);
        Some(())
    }

    fn close(&mut self) -> Option<()> {
        let done = self.open.pop()?;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(done),
            None => self.root = Some(done),
        }
        Some(())
    }

    fn say(&mut self, text: &str) -> Option<()> {
        if !text.chars().all(is_lawful) {
            return None;
        }
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.trim().is_empty() => {}
            None => return None,
        }
        Some(())
    }

    fn refer(&mut self, reference: &BytesRef<'_>) -> Option<()> {
        let c = match reference.resolve_char_ref().ok()? {
            Some(c) => c,
            None => match reference.decode().ok()?.as_ref() {
                "lt" => '<',
                "gt" => '>',
                "amp" => '&',
                "apos" => '\'',
                "quot" => '"',
                _ => return None,
            },
        };
        self.open.last()?;
        self.say(c.encode_utf8(&mut [0; 4]))
    }
}

/// The part of a name after its prefix.
fn local(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    let local = name.rsplit_once(':').map_or(name, |(_, local)| local);
    let is_name = |c: char| c.is_alphanumeric() || "_-.".contains(c);
    (!local.is_empty() && local.chars().all(is_name)).then(|| local.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a(b=text c(…))`
    fn shown(element: &Element) -> String {
        let inner: Vec<String> = element.children.iter().map(shown).collect();
        let attributes: String =
            element.attributes.iter().map(|(name, value)| format!("[{name}={value}]")).collect();
        match inner.is_empty() {
            true => format!("{}{attributes}={}", element.name, element.text),
            false => format!("{}{attributes}({})", element.name, inner.join(" ")),
        }
    }

    fn check(text: &str, expected: &str) {
        let shown = element(text.as_bytes()).map_or("malformed".to_owned(), |root| shown(&root));
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn elements_have_names_texts_and_children() {
        check("<a/>", "a=");
        check("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a><b>x</b><c/></a>\n", "a(b=x c=)");
        check("\u{feff}<a> x </a>", "a= x ");
        check("<a xmlns='u'><s:b xmlns:s='v' s:type='T'>x</s:b></a>", "a(b[type=T]=x)");
        check("<a>&lt;&#65;&#x1F600;&amp;&quot;&apos;&gt;</a>", "a=<A😀&\"'>");
        check("<a>x<!-- no -->y<![CDATA[<&]]>z</a>", "a=xy<&z");
        check("<a>1\r\n2&#13;</a>", "a=1\n2\r");
    }

    #[test]
    fn what_is_no_document_is_malformed() {
        for text in [
            "",
            "x",
            "<a>",
            "</a>",
            "<a></b>",
            "<a/><b/>",
            "<a/>x",
            "x<a/>",
            "<a>&b;</a>",
            "<a>&#1;</a>",
            "<a>&#0;</a>",
            "<a>\u{1}</a>",
            "<a>&</a>",
            "<a x=1/>",
            "<a x='1' x='2'/>",
            "<a><?xml version='1.0'?></a>",
            "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
            "<![CDATA[x]]><a/>",
            "<a>&#xD800;</a>",
        ] {
            check(text, "malformed");
        }
        let deep = |depth| "<a>".repeat(depth) + &"</a>".repeat(depth);
        check(&deep(DEPTH_MAX + 1), "malformed");
        assert!(element(deep(DEPTH_MAX).as_bytes()).is_some());
        assert!(element(&[b'<', b'a', b'>', 0xff, b'<', b'/', b'a', b'>']).is_none());
        assert!(element(format!("<a>{}</a>", " ".repeat(SIZE_MAX)).as_bytes()).is_none());
    }
}
