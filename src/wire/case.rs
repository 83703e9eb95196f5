//! Capital and small letters. Their tables are large, so the browser asks its own (`String.prototype.toUpperCase`), which follow the
//! same rules of Unicode.

/// In capital letters.
pub fn uppercase(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_uppercase();
    }
    #[cfg(all(feature = "hydrate", target_arch = "wasm32", not(feature = "ssr")))]
    return js_sys::JsString::from(text).to_upper_case().into();
    #[cfg(not(all(feature = "hydrate", target_arch = "wasm32", not(feature = "ssr"))))]
    text.to_uppercase()
}

/// In small letters.
pub fn lowercase(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    #[cfg(all(feature = "hydrate", target_arch = "wasm32", not(feature = "ssr")))]
    return js_sys::JsString::from(text).to_lower_case().into();
    #[cfg(not(all(feature = "hydrate", target_arch = "wasm32", not(feature = "ssr"))))]
    text.to_lowercase()
}
