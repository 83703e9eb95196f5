//! How large a message is on a page: in its row, and once more in the data from which the browser goes on.
//!
//! A page is bounded by what is sent, and signs that HTML and scripts write differently make it up to eleven times what was said. So
//! whoever fills a page weighs the messages first. The weight is a little more than what they come to; a test holds it to real pages.

use super::reactions::NAMED;
use crate::app::called;
use crate::wire::{Message, Person, Reaction, Stored};

/// What stands around that which people have written: in a row and its data,
const ROW: usize = 1_450;
/// in a reaction,
const REACTION: usize = 640;
/// and in the data of somebody who has put it.
const PERSON: usize = 48;
/// What stands around a handle in both.
const HANDLE: usize = 64;

/// How many bytes of a page a message takes, at most.
pub fn rendered_bytes(Stored { message, .. }: &Stored) -> usize {
    let Message { id, key, from, content, .. } = message;
    let names = data(id) + data(key.as_str()) + data(&from.id) + both(&from.name) + handle(from);
    ROW + names + both(&content.text) + content.reactions.iter().map(reaction).sum::<usize>()
}

fn reaction(Reaction { emoji, from, .. }: &Reaction) -> usize {
    let emoji = 2 * html(emoji.as_str()) + data(emoji.as_str());
    let known = from.iter().map(|from| PERSON + data(&from.id) + data(&from.name) + handle(from)).sum::<usize>();
    // The button's label and its title name some of them.
    let longest = from.iter().map(|from| html(&called(from))).max().unwrap_or_default();
    REACTION + emoji + known + 2 * NAMED.min(from.len()) * longest
}

/// What the handle of somebody takes, who has one.
fn handle(Person { handle, .. }: &Person) -> usize {
    handle.as_ref().map_or(0, |handle| HANDLE + both(handle))
}

/// What stands in the row and in the data.
fn both(text: &str) -> usize {
    html(text) + data(text)
}

/// A text in HTML, as an attribute, where more is escaped than elsewhere.
fn html(text: &str) -> usize {
    let more = |byte| match byte {
        b'"' => "&quot;".len() - 1,
        b'&' => "&amp;".len() - 1,
        b'<' | b'>' => "&lt;".len() - 1,
        _ => 0,
    };
    text.len() + text.bytes().map(more).sum::<usize>()
}

/// A text in the data: JSON with no `<` in it, within a string of a script.
fn data(text: &str) -> usize {
    text.chars().map(in_script).sum()
}

/// A text in the data, as it is written there.
pub fn as_data(text: &str) -> String {
    let json = serde_json::to_string(text).expect("a text is JSON"); // never: it has no keys and no numbers
    let script = format!("{:?}", json.replace('<', r"\u003c"));
    // Without the quotation marks at both ends of both.
    script[3..script.len() - 3].to_owned()
}

fn in_script(char: char) -> usize {
    match char {
        '<' => r"\\u003c".len(),
        '"' | '\\' => 4,
        '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => r"\\n".len(),
        '\0'..' ' => r"\\u0000".len(),
        ' '..='~' => 1,
        // What cannot be printed by itself is written as its number.
        char if char.escape_debug().len() > 1 => char.escape_debug().len(),
        char => char.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_in_the_data_is_as_long_as_it_is_written() {
        for text in [
            "",
            "hello",
            "<b>&\"'\\",
            "\0\u{1}\u{1f}\n\r\t\u{8}\u{c}\u{7f}",
            "e\u{301} \u{200b}\u{202e}\u{e0001} 王 👍 \u{ad}\u{ffff}",
        ] {
            assert_eq!(data(text), as_data(text).len(), "{text:?}");
        }
    }

    #[test]
    fn a_text_in_html_counts_what_is_escaped() {
        assert_eq!(html("a<b>\"&'"), "a&lt;b&gt;&quot;&amp;'".len());
    }
}
