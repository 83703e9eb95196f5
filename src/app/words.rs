//! Text that changes, as all that is in an element.
//!
//! A translator of the browser takes text nodes out of the page and puts its own elements in their places, and a phone or an extension wraps
//! parts of them in links. A text node that is kept for later is then somewhere else, and what is written into it is shown nowhere. So text
//! that changes is the `inner_html` of an element of its own: whatever stands in there by then, what is new takes its place.

/// What goes into `inner_html` for this text.
pub fn words(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn text_stays_text() {
        assert_eq!(words("a <b> & </b>&lt;"), "a &lt;b&gt; &amp; &lt;/b&gt;&amp;lt;");
    }
}
