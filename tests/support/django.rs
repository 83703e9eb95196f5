//! The Django Channels project in `tests/django`, with the chat of the Channels tutorial, under uvicorn.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value as Json, json};

use super::{process::Process, python, within};

/// A running project. It is killed when dropped.
pub struct Django {
    layer: Json,
    address: String,
    _process: Process,
}

impl Django {
    /// On these hosts, in the notation of `channels_redis`. The backend is the path of a Python class,
    /// `channels_redis.core.RedisChannelLayer` for instance.
    pub async fn start(backend: &str, hosts: impl IntoIterator<Item = impl Into<Json>>) -> Self {
        let hosts: Vec<Json> = hosts.into_iter().map(Into::into).collect();
        let layer = json!({"BACKEND": backend, "CONFIG": {"hosts": hosts}});
        let mut command = Command::new("sh");
        // It logs on standard error.
        command.args(["-c", "exec \"$0\" \"$@\" 2>&1"]).arg(python());
        command.args(["-m", "uvicorn", "mysite.asgi:application", "--host", "127.0.0.1", "--port", "0", "--lifespan", "off"]);
        let process = Process::start(in_project(&mut command, &layer), "a shell is missing");
        process.logs("Uvicorn running on").await;
        let log = process.log();
        let address = log.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("an address");
        Self { layer, address: address.to_owned(), _process: process }
    }

    /// Where the WebSocket of a room is; its group in the layer is `chat_{room}`.
    pub fn websocket(&self, room: &str) -> String {
        format!("ws://{}/ws/chat/{room}/", self.address)
    }

    /// Runs a program of the project that sends `{"type": "send_new_data", "text": ...}` into the group `coins`.
    pub async fn push(&self, text: &str) {
        let mut command = Command::new(python());
        in_project(&mut command, &self.layer).args(["push.py", text]).stdin(Stdio::null());
        let done = tokio::task::spawn_blocking(move || command.status());
        assert!(within("the end of push.py", done).await.expect("no panic").expect("push.py starts").success());
    }
}

fn in_project<'a>(command: &'a mut Command, layer: &Json) -> &'a mut Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/django");
    command.current_dir(folder).env("CHANNEL_LAYER", layer.to_string()).env("PYTHONDONTWRITEBYTECODE", "1")
}
