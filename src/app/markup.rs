//! HTML that lives without a component: an element as a value. The server writes it into the page, and the browser, which has it too,
//! holds what it was beside what it is and changes nothing but what differs (`browser/markup.rs`).
//!
//! Whatever people have written comes into it through [`words`], in a text as in an attribute.

use std::fmt::Write as _;

use super::words::words;

/// An element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Markup {
    pub tag: &'static str,
    /// The first tells it from its siblings, by its value up to the first space.
    pub attributes: Vec<(&'static str, String)>,
    pub inner: Inner,
}

/// What is in an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inner {
    /// This, all at once.
    Html(String),
    /// These, each for itself.
    Elements(Vec<Markup>),
}

/// An element with nothing but text in it, or what is HTML already.
pub(super) fn element(tag: &'static str, attributes: &[(&'static str, &str)], html: impl Into<String>) -> Markup {
    let attributes = attributes.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Markup { tag, attributes, inner: Inner::Html(html.into()) }
}

/// A button, with its class and whatever else is said of it; `html` stands on it.
pub(super) fn button(class: &str, html: &str, more: &[(&'static str, &str)]) -> Markup {
    element("button", &[&[("class", class), ("type", "button")], more].concat(), html)
}

impl Markup {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str())
    }

    /// Which of its siblings it is.
    pub fn name(&self) -> Option<(&'static str, &str)> {
        let (attribute, value) = self.attributes.first()?;
        Some((attribute, first_word(value)))
    }

    /// What is in it.
    pub fn inner_html(&self) -> String {
        let mut html = String::new();
        self.write_inner(&mut html);
        html
    }

    /// All of it.
    pub fn html(&self) -> String {
        let mut html = String::new();
        self.write(&mut html);
        html
    }

    fn write(&self, into: &mut String) {
        into.push('<');
        into.push_str(self.tag);
        for (name, value) in &self.attributes {
            // Into a string everything can be written.
            let _ = write!(into, " {name}=\"{}\"", words(value));
        }
        into.push('>');
        self.write_inner(into);
        let _ = write!(into, "</{}>", self.tag);
    }

    fn write_inner(&self, into: &mut String) {
        match &self.inner {
            Inner::Html(html) => into.push_str(html),
            Inner::Elements(elements) => elements.iter().for_each(|element| element.write(into)),
        }
    }
}

/// The part of an attribute's value that names an element.
pub fn first_word(value: &str) -> &str {
    value.split(' ').next().unwrap_or_default()
}
