//! What a server says about itself: the [numbers](Metrics) for Prometheus, and the log.
//!
//! The log is lines on standard error, chosen by `CONFAB_LOG` and written as `CONFAB_LOG_FORMAT` says. One line for a fault, where
//! it is answered for; a [fault that lasts](Fault) is told when it begins and when it ends.
//!
//! Both are variables rather than settings: they hold before any setting is read. They are checked with the settings, so
//! that all mistakes are told at once.

mod fault;
mod metrics;
mod seldom;

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    ffi::OsString,
    io::{self, IsTerminal as _},
    panic,
};

use tracing::error;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

pub use self::{
    fault::Fault,
    metrics::{Append, Appends, FanOut, Metrics, Present, Refused, Sends, TEXT_FORMAT},
    seldom::Seldom,
};
use super::settings::{LOG_FORMAT_VARIABLE as FORMAT, LOG_VARIABLE as FILTER, Mistake, Mistakes, Place};

/// How the log will be written.
#[derive(Debug)]
pub struct Log {
    filter: EnvFilter,
    json: bool,
}

impl Log {
    /// `CONFAB_LOG` is a level or a list of directives as `tracing_subscriber::EnvFilter` defines them (default `info`);
    /// `CONFAB_LOG_FORMAT` is `text` (the default) or `json`, one object a line.
    ///
    /// # Errors
    /// A variable that cannot be understood.
    pub fn from_environment(environment: &[(OsString, OsString)]) -> Result<Self, Mistakes> {
        let value =
            |wanted: &str| environment.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.to_string_lossy());
        let wrong = |name: &str, says: String| Mistakes::from(Mistake { place: Place::Variable(name.into()), says });
        let mut mistakes = Mistakes::default();
        let filter =
            EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).parse(value(FILTER).unwrap_or_default());
        let filter = mistakes.keep(filter.map_err(|_| {
            wrong(
                FILTER,
                r#"this is no log filter; a level is needed, like "info", or a list like "warn,confab=debug""#.to_owned(),
            )
        }));
        let json = mistakes.keep(match value(FORMAT).as_deref() {
            None | Some("text") => Ok(false),
            Some("json") => Ok(true),
            Some(_) => Err(wrong(FORMAT, r#"this is no log format; "text" or "json" is needed"#.to_owned())),
        });
        match (filter, json) {
            (Some(filter), Some(json)) => Ok(Self { filter, json }),
            _ => Err(mistakes),
        }
    }

    /// Begins to write: everything that is traced from here on goes to standard error, and panics of any thread with it.
    ///
    /// # Errors
    /// The process writes a log already.
    pub fn start(self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let log = tracing_subscriber::fmt().with_env_filter(self.filter).with_writer(io::stderr);
        // Where a line cannot be written, a line on that cannot be written either, and would be a panic.
        let log = log.log_internal_errors(false);
        if self.json { log.json().try_init() } else { log.with_ansi(io::stderr().is_terminal()).try_init() }?;
        // The default would write lines of its own in the midst of JSON.
        panic::set_hook(Box::new(|panicked| {
            let place = panicked.location().map(tracing::field::display);
            // Empty unless RUST_BACKTRACE asks for it.
            let backtrace = Backtrace::capture();
            let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| tracing::field::display(backtrace));
            error!(place, cause = panicked.payload_as_str(), backtrace, "a task has panicked");
        }));
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod captured {
    //! What a test logs on its own thread.

    use std::{io, sync::Arc};

    use parking_lot::Mutex;
    use tracing::{Dispatch, subscriber::DefaultGuard};

    /// Keeps what is logged, as long as it lives.
    pub struct Captured {
        text: Arc<Mutex<Vec<u8>>>,
        _logging: DefaultGuard,
        /// While there is only one, a thread of another test that comes to the same line first has it switched off for all.
        _beside: Dispatch,
    }

    struct Writer(Arc<Mutex<Vec<u8>>>);

    impl Captured {
        pub fn begin() -> Self {
            let text = Arc::<Mutex<Vec<u8>>>::default();
            let beside = Dispatch::new(tracing_subscriber::registry());
            let writer = Arc::clone(&text);
            let log = tracing_subscriber::fmt().with_writer(move || Writer(Arc::clone(&writer))).with_ansi(false).finish();
            Self { text, _logging: tracing::subscriber::set_default(log), _beside: beside }
        }

        /// The lines since the last time, each from its level on.
        pub fn lines(&self) -> Vec<String> {
            let text = String::from_utf8_lossy(&std::mem::take(&mut *self.text.lock())).into_owned();
            text.lines().map(|line| line.split_once(' ').map_or(line, |(_, rest)| rest).trim().to_owned()).collect()
        }
    }

    impl io::Write for Writer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
