//! A reader of XML that is as strict as the standard about what a picture may get wrong.

use std::collections::BTreeMap;

/// An element, with the text directly in it.
#[derive(Debug, Default)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) text: String,
}

impl Element {
    pub(crate) fn class(&self) -> &str {
        self.attributes.get("class").map_or("", String::as_str)
    }

    pub(crate) fn number(&self, attribute: &str) -> f64 {
        self.attributes[attribute].parse().expect("a number")
    }
}

/// Every element of the text, in the order in which they begin; or what is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Vec<Element>, String> {
    let prolog = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    let mut rest = text.strip_prefix(prolog).ok_or("no prolog")?;
    let (mut elements, mut open): (Vec<Element>, Vec<usize>) = (Vec::new(), Vec::new());
    while let Some(at) = rest.find('<') {
        let before = unescape(&rest[..at])?;
        match open.last() {
            Some(inside) => elements[*inside].text.push_str(&before),
            None if before.trim().is_empty() => {}
            None => return Err(format!("text outside the root: {before}")),
        }
        let (tag, after) = rest[at + 1..].split_once('>').ok_or("a tag without its end")?;
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            let ended = open.pop().map(|inside| elements[inside].name.clone());
            if ended.as_deref() != Some(name) {
                return Err(format!("{name} ends where {ended:?} is open"));
            }
            continue;
        }
        if open.is_empty() && !elements.is_empty() {
            return Err(format!("a second root: {tag}"));
        }
        let (tag, empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        elements.push(element(tag)?);
        if !empty {
            open.push(elements.len() - 1);
        }
    }
    if !open.is_empty() || !rest.trim().is_empty() || elements.is_empty() {
        return Err(format!("{} elements are open at the end: {rest}", open.len()));
    }
    Ok(elements)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn element(tag: &str) -> Result<Element, String> {
    let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
    let mut element = Element { name: name.to_owned(), ..Element::default() };
    if !is_name(name) {
        return Err(format!("no name: {tag}"));
    }
    while !rest.is_empty() {
        let (attribute, after) = rest.split_once("=\"").ok_or(format!("no value: {tag}"))?;
        let (value, after) = after.split_once('"').ok_or(format!("no end of a value: {tag}"))?;
        if !is_name(attribute) || value.contains('<') {
            return Err(format!("no attribute: {tag}"));
        }
        if element.attributes.insert(attribute.to_owned(), unescape(value)?).is_some() {
            return Err(format!("{attribute} twice: {tag}"));
        }
        rest = match after.strip_prefix(' ') {
            Some(more) => more,
            None if after.is_empty() => "",
            None => return Err(format!("no space between attributes: {tag}")),
        };
    }
    Ok(element)
}

fn unescape(text: &str) -> Result<String, String> {
    let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{fffe}' || c == '\u{ffff}';
    if text.contains(bad) || text.contains("]]>") {
        return Err(format!("what may not stand in XML: {text:?}"));
    }
    let mut pieces = text.split('&');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (entity, after) = piece.split_once(';').ok_or(format!("a bare &: {text}"))?;
        out.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => return Err(format!("no entity: {entity}")),
        });
        out.push_str(after);
    }
    Ok(out)
}
