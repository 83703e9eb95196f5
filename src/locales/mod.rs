//! What is said to people, in each [`Language`]: a function for each text, in a module for each part of the pages.
//!
//! ```ignore
//! texts! {
//!     sign_in: "Sign in", "登录";
//!     at_most(most): "At most {most} bytes", "最多 {most} 字节";
//!     people(count): ["{count} person", "{count} people"], "{count} 人";
//! }
//! ```
//!
//! So the compiler says what is missing: a text that is not there or not in a language, one that nobody says, a parameter that one of the
//! languages has not or has alone. In brackets stand the forms for one and for any other number, which is the first parameter; Chinese
//! has one form.
//!
//! A text is in the language that is spoken [`here`]: on the server that of the request which is being answered, in the browser that of the
//! page, which the server has chosen. The program of a page has the few dozen texts that it shows by itself in both languages: they take less
//! than what would fetch them in one.

mod here;

pub use self::here::here;
#[cfg(not(feature = "ssr"))]
pub use self::here::speak;
#[cfg(feature = "ssr")]
pub use self::here::{around, within};
pub use crate::wire::Language;

/// A text that is said later.
pub type Text = fn() -> &'static str;

/// A function for each text.
macro_rules! texts {
    ($($(#[$attribute:meta])* $name:ident $(($($param:ident),+))?: $en:tt, $zh:literal;)+) => {
        $($crate::locales::text! { $(#[$attribute])* $name [$($($param),+)?] $en $zh })+
    };
}

/// One of these functions. `concat!` has the compiler refuse names in braces that are no parameters.
macro_rules! text {
    ($(#[$attribute:meta])* $name:ident [] $en:literal $zh:literal) => {
        $(#[$attribute])*
        pub fn $name() -> &'static str {
            match $crate::locales::here() {
                $crate::locales::Language::English => $en,
                $crate::locales::Language::Chinese => $zh,
            }
        }
    };
    ($(#[$attribute:meta])* $name:ident [$($param:ident),+] $en:literal $zh:literal) => {
        $(#[$attribute])*
        pub fn $name($($param: impl ::std::fmt::Display),+) -> String {
            match $crate::locales::here() {
                $crate::locales::Language::English => format!(concat!($en), $($param = $param),+),
                $crate::locales::Language::Chinese => format!(concat!($zh), $($param = $param),+),
            }
        }
    };
    ($(#[$attribute:meta])* $name:ident [$number:ident $(, $param:ident)*] [$one:literal, $other:literal] $zh:literal) => {
        $(#[$attribute])*
        pub fn $name($number: u64 $(, $param: impl ::std::fmt::Display)*) -> String {
            match $crate::locales::here() {
                $crate::locales::Language::English if $number == 1 => {
                    format!(concat!($one), $number = $number $(, $param = $param)*)
                }
                $crate::locales::Language::English => format!(concat!($other), $number = $number $(, $param = $param)*),
                $crate::locales::Language::Chinese => format!(concat!($zh), $number = $number $(, $param = $param)*),
            }
        }
    };
}

use text;

#[cfg(feature = "ssr")]
pub mod accounts;
pub mod app;
#[cfg(feature = "ssr")]
pub mod audit;
pub mod dates;
#[cfg(feature = "ssr")]
pub mod manage;
#[cfg(feature = "ssr")]
pub mod pages;
#[cfg(feature = "ssr")]
pub mod problems;
pub mod room;
#[cfg(feature = "ssr")]
pub mod rooms;
#[cfg(feature = "ssr")]
pub mod still;

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::{Language, within};

    texts! {
        hello: "Hello", "你好";
        at_most(most, of): "At most {most} {of}", "{of}最多 {most}";
        people(count, name): ["{count} person in {name}", "{count} people in {name}"], "{name} 有 {count} 人";
    }

    #[test]
    fn a_text_is_said_in_the_language_that_is_spoken() {
        let [en, zh] = Language::ALL.map(|language| {
            let said = || (hello(), at_most(3, "rooms"), [0, 1, 2].map(|count| people(count, "a")));
            within(language, said)
        });
        let owned = |texts: [&str; 3]| texts.map(str::to_owned);
        assert_eq!(en, ("Hello", "At most 3 rooms".to_owned(), owned(["0 people in a", "1 person in a", "2 people in a"])));
        assert_eq!(zh, ("你好", "rooms最多 3".to_owned(), owned(["a 有 0 人", "a 有 1 人", "a 有 2 人"])));
    }
}
