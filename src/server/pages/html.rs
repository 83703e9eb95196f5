//! HTML as a value of its own type. Whatever is put into it by [`html!`] is text that stays text, unless it is HTML already:
//! so nothing that people have written can become a part of a page, and nobody has to remember that it must not.

use std::fmt::{self, Display, Formatter};

use crate::app::words;

/// Something that can stand in a page as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    /// What is known to be HTML: made by [`html!`], or by a component.
    pub fn made(html: String) -> Self {
        Self(html)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromIterator<Self> for Html {
    fn from_iter<I: IntoIterator<Item = Self>>(parts: I) -> Self {
        Self(parts.into_iter().map(|Self(part)| part).collect())
    }
}

/// HTML by a template, a literal whose `{}` are filled in as [`Shown`] says.
macro_rules! html {
    ($template:literal $(, $name:ident = $value:expr)+ $(,)?) => {
        $crate::server::pages::html::Html::made(
            format!(concat!($template), $($name = $crate::server::pages::html::Filled(&$value)),+)
        )
    };
    // `concat!` has the compiler refuse names in braces, which would come into the page as they are.
    ($template:literal $(, $value:expr)* $(,)?) => {
        $crate::server::pages::html::Html::made(format!(concat!($template) $(, $crate::server::pages::html::Filled(&$value))*))
    };
}

pub(in crate::server) use html;

/// A text with pieces of HTML in it: it is made with signs in their places that stand for them.
pub fn within<const N: usize>(pieces: [Html; N], text: impl FnOnce([char; N]) -> String) -> Html {
    // Of those that have no meaning (Unicode section 23.5), so no text has any.
    let place = |at: usize| char::from_u32(0xe000 + at as u32).unwrap_or(char::REPLACEMENT_CHARACTER);
    let text = words(&text(std::array::from_fn(place)));
    let all = pieces.iter().enumerate().fold(text, |text, (at, Html(piece))| text.replace(place(at), piece));
    Html(all)
}

/// What a template can be filled in with.
pub trait Shown {
    /// # Errors
    /// As the formatter's.
    fn show(&self, f: &mut Formatter<'_>) -> fmt::Result;
}

/// A value on its way into a template.
pub struct Filled<'v, T: ?Sized>(pub &'v T);

impl<T: Shown + ?Sized> Display for Filled<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.show(f)
    }
}

impl Shown for Html {
    fn show(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Shown for str {
    fn show(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&words(self))
    }
}

impl Shown for String {
    fn show(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.as_str().show(f)
    }
}

impl Shown for char {
    fn show(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.encode_utf8(&mut [0; 4]).show(f)
    }
}

impl<T: Shown + ?Sized> Shown for &T {
    fn show(&self, f: &mut Formatter<'_>) -> fmt::Result {
        (**self).show(f)
    }
}

impl<T: Shown> Shown for Option<T> {
    fn show(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|value| value.show(f))
    }
}

impl<T: Shown> Shown for Vec<T> {
    fn show(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|value| value.show(f))
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {
        $(impl Shown for $number {
            fn show(&self, f: &mut Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        })*
    };
}

numbers!(u8, u16, u32, u64, usize, i32, i64);

#[cfg(test)]
mod tests {
    use super::{Html, within};

    #[test]
    fn a_text_has_pieces_of_html_in_it_and_stays_text() {
        let pieces = [html!("<b>{}</b>", "<Ann>"), html!("<i></i>")];
        let text = within(pieces, |[name, other]| format!("{other} & {name}, {name}"));
        assert_eq!(text.as_str(), "<i></i> &amp; <b>&lt;Ann&gt;</b>, <b>&lt;Ann&gt;</b>");
    }

    #[test]
    fn text_stays_text_and_html_is_html() {
        let name = "<b>\"Ann\"</b>".to_owned();
        let bold = html!("<b>{}</b>", name);
        assert_eq!(bold.as_str(), "<b>&lt;b&gt;&quot;Ann&quot;&lt;/b&gt;</b>");
        assert_eq!(
            html!("<p title=\"{name}\">{of}</p>", name = 'x', of = bold).as_str(),
            format!("<p title=\"x\">{}</p>", bold.as_str())
        );
        let parts: Html = [html!("{}", 1_u32), html!("{}", Some("&")), html!("{}", None::<&str>)].into_iter().collect();
        assert_eq!(html!("{}{}", parts, vec![html!("<hr>")]).as_str(), "1&amp;<hr>");
    }
}
