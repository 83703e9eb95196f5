//! Settings as TOML that loads again, secrets masked: what `confab check` prints.

use super::{Loaded, Settings, keys::keys};

impl Loaded {
    /// All settings as they are in effect, as TOML. What is not the default has a comment that names its source, and before all
    /// stands what requests may ask for, which several of them say together.
    pub fn effective(&self) -> String {
        let defaults = Settings::default();
        let mut lines = vec![
            format!("# The settings of confab {} as they are in effect.", env!("CARGO_PKG_VERSION")),
            format!("# Requests are answered that ask for: {}. server.hosts names more.", self.settings.server.answers()),
        ];
        let mut section = "";
        for key in keys() {
            let shown = (key.show)(&self.settings);
            let changed = shown != (key.show)(&defaults);
            let source = self.origin(key.path).filter(|_| changed).map(|place| format!("# from {place}"));
            if let Some((parent, name)) = key.path.rsplit_once('.') {
                if parent != section {
                    section = parent;
                    lines.push(format!("\n[{section}]"));
                }
                let comment = source.map(|source| format!("  {source}")).unwrap_or_default();
                lines.push(format!("{name} = {shown}{comment}"));
            } else if !shown.is_empty() {
                lines.push(String::new());
                lines.extend(source);
                lines.push(shown);
            }
        }
        lines.join("\n") + "\n"
    }
}
