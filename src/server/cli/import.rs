//! `confab import`: the messages of a file into a room, in the store of the settings. No server may be running on it.
//!
//! ```text
//!   the file ── a line at a time ──► Line::read ── parts ──► store::import, one transaction
//!                                        └─ what is wrong, by its line: then nothing is imported
//! ```

mod line;

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use tokio::sync::mpsc;

use self::line::{Line, read};
use super::{
    Outcome, with_settings,
    words::{counted, tell},
};
use crate::{
    server::{
        settings::{History, RoomRule, Settings, StoreUrl},
        store::{self, Brought, Import, ImportError, Imported, Place},
    },
    wire::Group,
};

/// A part has so many messages at most,
const PART_MESSAGES: usize = 500;
/// and no further one when it has so many bytes of text.
const PART_BYTES: usize = 256 << 10;
/// So many parts are on their way at most.
const PARTS: usize = 4;
/// So many lines that are wrong are named.
const MOST_NAMED: usize = 20;
/// What a line may have beside its text, in bytes: names, and twenty people for each of twenty emoji.
const BESIDE_THE_TEXT: usize = 256 << 10;

#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Flags {
    /// The room
    group: Group,
    /// The file, as the room's export has it: a message a line, as JSON; - reads it from standard input
    file: PathBuf,
    #[command(flatten)]
    common: super::Flags,
}

/// Imports, and says how many there were.
pub(super) fn run(Flags { group, file, common }: Flags) -> Outcome<ExitCode> {
    with_settings(common, |loaded, _| {
        let Settings { server, store, rooms, limits, .. } = loaded.settings;
        is_kept(&rooms, &group)?;
        let place = match store.url {
            StoreUrl::Sqlite => Place::Folder(server.data),
            StoreUrl::Postgres(url) => Place::Postgres(url),
        };
        let input = open(&file)?;
        let (sender, parts) = mpsc::channel(PARTS);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let (read, brought) = runtime.block_on(async {
            let reading = tokio::task::spawn_blocking(move || Reading::new(limits.message_bytes, sender).all(input));
            tokio::join!(reading, store::import(&place, &group, parts))
        });
        let read = read?.map_err(|cause| format!("{} cannot be read: {cause}; nothing was imported", file.display()))?;
        if let Some(mistakes) = read.mistakes() {
            return Err(format!("nothing was imported:\n{mistakes}").into());
        }
        let Brought { new, known } = brought.map_err(|cause| match cause {
            ImportError::Twice(lines) => {
                let why = "its author has another message with this key further up; each needs a key of its own";
                let lines: Vec<String> = lines.iter().map(|line| format!("line {line}: {why}")).collect();
                format!("nothing was imported:\n{}", lines.join("\n"))
            }
            cause => format!("nothing was imported: {cause}"),
        })?;
        tell(&format!("{group}: {} imported, {known} there already", counted(new, "message")));
        if read.lost > 0 {
            tell(&format!("{} of the file stood for what could not be read when it was made", counted(read.lost, "line")));
        }
        Ok(())
    })
}

/// Messages come only into a room that would show them.
fn is_kept(rules: &[RoomRule], group: &Group) -> Result<(), String> {
    match rules.iter().find(|rule| rule.matches.matches(group.as_str())) {
        None => Err(format!("no rule of the settings has a room {group}; nothing was imported")),
        Some(rule) if rule.history != History::Store => Err(format!(
            "the room {group} keeps no messages in the store: its rule needs history = \"store\"; nothing was imported"
        )),
        Some(_) => Ok(()),
    }
}

fn open(file: &Path) -> Outcome<Box<dyn BufRead + Send>> {
    if file == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let opened = File::open(file).map_err(|cause| format!("{} cannot be read: {cause}", file.display()))?;
    Ok(Box::new(BufReader::new(opened)))
}

/// What is known of a file while it is read.
struct Reading {
    /// The longest text.
    longest: usize,
    /// None when it is not worth while to send more.
    sender: Option<mpsc::Sender<Import>>,
    /// The other end takes no more, and says why.
    refused: bool,
    part: Vec<Imported>,
    bytes: usize,
    /// Lines that are wrong, and why; the first of them.
    wrong: Vec<(u64, String)>,
    /// How many are wrong.
    wrong_in_all: u64,
    /// Lines that stand for what could not be read.
    lost: u64,
}

impl Reading {
    fn new(longest: usize, sender: mpsc::Sender<Import>) -> Self {
        let (part, wrong) = (Vec::new(), Vec::new());
        Self { longest, sender: Some(sender), refused: false, part, bytes: 0, wrong, wrong_in_all: 0, lost: 0 }
    }

    /// Reads all of it, also when something is wrong, so that everything that is can be said.
    fn all(mut self, mut input: impl BufRead) -> io::Result<Self> {
        let longest = self.longest.saturating_mul(6).saturating_add(BESIDE_THE_TEXT);
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let most = u64::try_from(longest).unwrap_or(u64::MAX);
            if input.by_ref().take(most).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if line.len() == longest && line.last() != Some(&b'\n') {
                self.is_wrong(
                    number,
                    format!("it is longer than {longest} bytes, which no message within limits.message_bytes is"),
                );
                pass_over_the_rest(&mut input)?;
                continue;
            }
            let text = line.trim_ascii();
            // Some programs write a mark of the order of bytes into a file.
            let text = if number == 1 { text.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(text) } else { text };
            if text.is_empty() {
                continue;
            }
            match read(number, text, self.longest) {
                Ok(Line::Message(message)) => self.add(*message),
                Ok(Line::Lost) => self.lost += 1,
                Err(why) => self.is_wrong(number, why),
            }
            if self.refused {
                return Ok(self);
            }
        }
        let rest = std::mem::take(&mut self.part);
        self.send(Import::Messages(rest));
        self.send(Import::End);
        self.sender = None;
        Ok(self)
    }

    fn add(&mut self, message: Imported) {
        self.bytes += message.content.text.len();
        self.part.push(message);
        if self.part.len() >= PART_MESSAGES || self.bytes >= PART_BYTES {
            self.bytes = 0;
            let part = std::mem::take(&mut self.part);
            self.send(Import::Messages(part));
        }
    }

    fn send(&mut self, what: Import) {
        if self.sender.as_ref().is_some_and(|sender| sender.blocking_send(what).is_err()) {
            self.refused = true;
        }
    }

    /// Nothing is imported then: what was sent has no end.
    fn is_wrong(&mut self, line: u64, why: String) {
        self.sender = None;
        self.wrong_in_all += 1;
        if self.wrong.len() < MOST_NAMED {
            self.wrong.push((line, why));
        }
    }

    /// What is wrong, a line each.
    fn mistakes(&self) -> Option<String> {
        let mut said = String::new();
        for (line, why) in &self.wrong {
            let _ = write!(said, "{}line {line}: {why}", if said.is_empty() { "" } else { "\n" });
        }
        let others = self.wrong_in_all - self.wrong.len() as u64;
        if others > 0 {
            let _ = write!(said, "\nand {} more", counted(others, "line"));
        }
        (!said.is_empty()).then_some(said)
    }
}

fn pass_over_the_rest(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let part = input.fill_buf()?;
        if part.is_empty() {
            return Ok(());
        }
        let end = part.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(part.len(), |end| end + 1);
        input.consume(length);
        if end.is_some() {
            return Ok(());
        }
    }
}
