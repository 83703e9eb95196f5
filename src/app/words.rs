//! Text that changes, as all that is in an element.
//!
//! A translator of the browser takes text nodes out of the page and puts its own elements in their places, and a phone or an extension wraps
//! parts of them in links. A text node that is kept for later is then somewhere else, and what is written into it is shown nowhere. So text
//! that changes is the `inner_html` of an element of its own: whatever stands in there by then, what is new takes its place.

/// What stands for this text in HTML, between tags as in an attribute in quotation marks.
pub fn words(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<', '>', '"']) {
        html.push_str(&rest[..at]);
        html.push_str(match rest.as_bytes()[at] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            _ => "&quot;",
        });
        rest = &rest[at + 1..];
    }
    html.push_str(rest);
    html
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn text_stays_text() {
        assert_eq!(words("a <b> & </b>&lt; \"é\""), "a &lt;b&gt; &amp; &lt;/b&gt;&amp;lt; &quot;é&quot;");
    }
}
