//! The language that is spoken. On the server a middleware says it once for each request, and whatever is said in answer asks for it; in the
//! browser the page has it.

use super::Language;

#[cfg(feature = "ssr")]
tokio::task_local! {
    static HERE: Language;
}

#[cfg(not(feature = "ssr"))]
thread_local! {
    static HERE: std::cell::Cell<Language> = const { std::cell::Cell::new(Language::English) };
}

/// Answers something in this language. It is no `async fn`, which would hold the answer twice.
#[cfg(feature = "ssr")]
pub fn around<A: Future>(language: Language, answer: A) -> impl Future<Output = A::Output> {
    HERE.scope(language, answer)
}

/// The same for what is done at once, perhaps on another thread.
#[cfg(feature = "ssr")]
pub fn within<T>(language: Language, work: impl FnOnce() -> T) -> T {
    HERE.sync_scope(language, work)
}

/// The language in which something is said now. Where nobody is answered it is English.
#[cfg(feature = "ssr")]
pub fn here() -> Language {
    HERE.try_with(|language| *language).unwrap_or_default()
}

/// From now on the page speaks this language.
#[cfg(not(feature = "ssr"))]
pub fn speak(language: Language) {
    HERE.set(language);
}

/// The language of the page.
#[cfg(not(feature = "ssr"))]
pub fn here() -> Language {
    HERE.get()
}
