//! The parts of forms, and what they send. All forms need no script, keep what was typed, and say beside a field what is wrong with it.

use axum::{
    Form,
    extract::{FromRequest, Request},
};
use serde::de::DeserializeOwned;

use super::{
    html::{Html, html},
    plain::{Instead, notice},
};
use crate::locales::{Language, here, pages as say};

/// What a form has sent; where it cannot be read, a page says so.
pub(in crate::server) struct Sent<T>(pub(in crate::server) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Sent<T> {
    type Rejection = Instead;

    async fn from_request(request: Request, _: &S) -> Result<Self, Instead> {
        let form = Form::<T>::from_request(request, &()).await;
        form.map(|Form(sent)| Self(sent)).map_err(|rejection| {
            notice(rejection.status(), say::not_understood(), &say::form_unreadable(rejection.body_text())).into()
        })
    }
}

/// A field, with what is wrong with what was typed.
#[derive(Clone, Default)]
pub(in crate::server) struct Field<'f> {
    pub(in crate::server) name: &'f str,
    /// Of the element, where two forms of a page have a field of this name.
    pub(in crate::server) id: &'f str,
    pub(in crate::server) label: &'f str,
    /// `text` if it is none.
    pub(in crate::server) kind: &'f str,
    pub(in crate::server) autocomplete: &'f str,
    pub(in crate::server) value: &'f str,
    pub(in crate::server) hint: &'f str,
    pub(in crate::server) error: Option<String>,
    /// It may be left empty.
    pub(in crate::server) is_optional: bool,
    /// Further attributes, with a space in front.
    pub(in crate::server) more: &'static str,
}

impl Field<'_> {
    pub(in crate::server) fn html(&self) -> Html {
        let Self { name, label, kind, autocomplete, value, is_optional, more, .. } = self;
        let (id, kind) = (self.id(), if kind.is_empty() { "text" } else { kind });
        let (described, beside) = self.beside();
        let required = if *is_optional { html!("") } else { html!(" required") };
        html!(
            "<p class=\"entry\"><label for=\"{id}\">{label}</label><input id=\"{id}\" name=\"{name}\" type=\"{kind}\"{required} \
             autocomplete=\"{autocomplete}\" value=\"{value}\"{more}{described}>{beside}</p>",
            id = id,
            label = label,
            name = name,
            kind = kind,
            required = required,
            autocomplete = autocomplete,
            value = value,
            more = Html::made((*more).to_owned()),
            described = described,
            beside = beside,
        )
    }

    /// The same as a choice of values, each with its words.
    pub(in crate::server) fn choice<V: AsRef<str>, W: AsRef<str>>(&self, options: &[(V, W)]) -> Html {
        let option = |(value, words): &(V, W)| {
            let (value, words) = (value.as_ref(), words.as_ref());
            let selected = html!("{}", if value == self.value { " selected" } else { "" });
            html!("<option value=\"{}\"{}>{}</option>", value, selected, words)
        };
        let options: Html = options.iter().map(option).collect();
        let (described, beside) = self.beside();
        html!(
            "<p class=\"entry\"><label for=\"{id}\">{label}</label><select id=\"{id}\" name=\"{name}\"{described}>{options}</select>{beside}</p>",
            id = self.id(),
            label = self.label,
            name = self.name,
            described = described,
            options = options,
            beside = beside,
        )
    }

    /// The same as something to be ticked; it sends its value then.
    pub(in crate::server) fn tick(&self, is_ticked: bool) -> Html {
        let (described, beside) = self.beside();
        html!(
            "<p class=\"entry tick\"><label><input id=\"{id}\" name=\"{name}\" type=\"checkbox\" value=\"{value}\"{ticked}{described}> \
             {label}</label>{beside}</p>",
            id = self.id(),
            name = self.name,
            value = self.value,
            ticked = if is_ticked { " checked" } else { "" },
            described = described,
            label = self.label,
            beside = beside,
        )
    }

    fn id(&self) -> &str {
        if self.id.is_empty() { self.name } else { self.id }
    }

    /// What describes the field: the attributes, and what stands beside it.
    fn beside(&self) -> (Html, Html) {
        let (id, error) = (self.id(), self.error.as_ref());
        let hint = (!self.hint.is_empty()).then(|| html!("<span id=\"{}-hint\" class=\"hint\">{}</span>", id, self.hint));
        let wrong =
            error.map(|error| html!("<span id=\"{}-error\" class=\"wrong\" role=\"alert\">{}</span>", id, sentence(error)));
        let ids: Vec<_> = [hint.as_ref().map(|_| "hint"), wrong.as_ref().map(|_| "error")].into_iter().flatten().collect();
        let ids = ids.iter().map(|of| format!("{id}-{of}")).collect::<Vec<_>>().join(" ");
        let described = (!ids.is_empty()).then(|| html!(" aria-describedby=\"{}\"", ids));
        let invalid = error.map(|_| html!(" aria-invalid=\"true\""));
        (html!("{}{}", described, invalid), html!("{}{}", hint, wrong))
    }
}

/// A form that is sent to an address, or to the one of its page where none is named; with the button that sends it.
pub(in crate::server) fn form(action: &str, content: Html, button: Html) -> Html {
    let action = (!action.is_empty()).then(|| html!(" action=\"{}\"", action));
    html!("<form method=\"post\"{}>{}<p>{}</p></form>", action, content, button)
}

/// What sends a form.
pub(in crate::server) fn button(words: &str) -> Html {
    html!("<button type=\"submit\">{}</button>", words)
}

/// The same, where it is not what one mostly wants.
pub(in crate::server) fn quiet(words: &str) -> Html {
    html!("<button type=\"submit\" class=\"quiet\">{}</button>", words)
}

/// The same, where what it does is not undone.
pub(in crate::server) fn danger(words: &str) -> Html {
    html!("<button type=\"submit\" class=\"danger\">{}</button>", words)
}

/// One of several that send a form: what it does goes as `do`.
pub(in crate::server) fn choice(does: &str, look: &str, words: &str) -> Html {
    html!("<button type=\"submit\" name=\"do\" value=\"{}\" class=\"{}\">{}</button>", does, look, words)
}

/// A hidden field.
pub(in crate::server) fn hidden(name: &str, value: &str) -> Html {
    html!("<input type=\"hidden\" name=\"{}\" value=\"{}\">", name, value)
}

/// What is wrong with a form as a whole.
pub(in crate::server) fn alert(text: &str) -> Html {
    html!("<p class=\"wrong\" role=\"alert\">{}</p>", sentence(text))
}

/// What has come of a form.
pub(in crate::server) fn news(text: &str) -> Html {
    html!("<p class=\"news\" role=\"status\">{}</p>", sentence(text))
}

/// A part of a page in a frame, with its title.
pub(in crate::server) fn card(title: &str, content: Html) -> Html {
    html!("<section class=\"card\"><h2>{}</h2>{}</section>", title, content)
}

/// A list in a frame.
pub(in crate::server) fn rows(rows: impl IntoIterator<Item = Html>) -> Html {
    let rows: Html = rows.into_iter().map(|row| html!("<li>{}</li>", row)).collect();
    html!("<ul class=\"rows\">{}</ul>", rows)
}

/// With a capital letter and a full stop.
pub(in crate::server) fn sentence(text: &str) -> String {
    if here() == Language::Chinese {
        let end = if text.ends_with(['。', '！', '？', '：']) { "" } else { "。" };
        return format!("{text}{end}");
    }
    let mut signs = text.trim_end_matches('.').chars();
    let first = signs.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with(['!', '?', ':']) { "" } else { "." };
    format!("{first}{}{end}", signs.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_keeps_what_was_typed_and_names_what_describes_it() {
        let error = Some("too long".to_owned());
        let field = Field { name: "name", label: "Name", value: "a\"b", hint: "Any", error, ..Field::default() };
        let html = field.html();
        let html = html.as_str();
        for part in [
            "<label for=\"name\">Name</label>",
            "value=\"a&quot;b\"",
            " required",
            "aria-describedby=\"name-hint name-error\" aria-invalid=\"true\"",
            "<span id=\"name-error\" class=\"wrong\" role=\"alert\">Too long.</span>",
        ] {
            assert!(html.contains(part), "{html}");
        }
        let choice = Field { id: "of-role", name: "role", label: "Role", value: "b", ..Field::default() };
        let choice = choice.choice(&[("a", "A"), ("b", "B")]);
        assert!(choice.as_str().contains("<option value=\"b\" selected>B</option>"), "{choice:?}");
        assert!(choice.as_str().contains("<select id=\"of-role\" name=\"role\">"), "{choice:?}");
    }
}
