//! The Django Channels project in `tests/django`, with the chat of the Channels tutorial, under uvicorn.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value as Json, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest as _, http::HeaderValue},
};

use super::{people::Project, process::Process, python, within};

/// A running project. It is killed when dropped.
pub struct Django {
    layer: Json,
    address: String,
    process: Process,
}

impl Django {
    /// On these hosts, in the notation of `channels_redis`. The backend is the path of a Python class,
    /// `channels_redis.core.RedisChannelLayer` for instance.
    pub async fn start(backend: &str, hosts: impl IntoIterator<Item = impl Into<Json>>) -> Self {
        let hosts: Vec<Json> = hosts.into_iter().map(Into::into).collect();
        Self::serve(json!({"BACKEND": backend, "CONFIG": {"hosts": hosts}}), &[]).await
    }

    /// With this database, this cache and these settings, and a layer in memory.
    pub async fn of(project: &Project) -> Self {
        Self::serve(json!({"BACKEND": "channels.layers.InMemoryChannelLayer"}), &project.environment()).await
    }

    async fn serve(layer: Json, environment: &[(&'static str, String)]) -> Self {
        let mut command = Command::new("sh");
        // It logs on standard error.
        command.args(["-c", "exec \"$0\" \"$@\" 2>&1"]).arg(python());
        command.args(["-m", "uvicorn", "mysite.asgi:application", "--host", "127.0.0.1", "--port", "0", "--lifespan", "off"]);
        in_project(&mut command, &layer).envs(environment.iter().map(|(name, value)| (name, value)));
        let process = Process::start(command, "a shell is missing");
        process.logs("Uvicorn running on").await;
        let log = process.log();
        let address = log.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("an address");
        Self { layer, address: address.to_owned(), process }
    }

    /// Where the WebSocket of a room is; its group in the layer is `chat_{room}`.
    pub fn websocket(&self, room: &str) -> String {
        format!("ws://{}/ws/chat/{room}/", self.address)
    }

    /// Its host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Everything logged so far, exceptions among it.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Waits for a line with `text` in the log.
    pub async fn logs(&self, text: &str) {
        self.process.logs(text).await;
    }

    /// Runs a program of the project that sends `{"type": "send_new_data", "text": ...}` into the group `coins`.
    pub async fn push(&self, text: &str) {
        let mut command = Command::new(python());
        in_project(&mut command, &self.layer).args(["push.py", text]).stdin(Stdio::null());
        let done = tokio::task::spawn_blocking(move || command.status());
        assert!(within("the end of push.py", done).await.expect("no panic").expect("push.py starts").success());
    }
}

/// Runs a command of a project, as `manage.py` does, and gives what it prints.
pub async fn manage(project: &Project, arguments: &'static [&'static str]) -> String {
    let mut command = Command::new(python());
    in_project(&mut command, &json!({"BACKEND": "channels.layers.InMemoryChannelLayer"}));
    command.args(["-m", "django"]).args(arguments).env("DJANGO_SETTINGS_MODULE", "mysite.settings").env("PYTHONPATH", ".");
    command.envs(project.environment()).stdin(Stdio::null()).stderr(Stdio::inherit());
    let done = tokio::task::spawn_blocking(move || command.output());
    let done = within("the end of the command", done).await.expect("no panic").expect("Python starts");
    assert!(done.status.success(), "{arguments:?}");
    String::from_utf8(done.stdout).expect("UTF-8")
}

/// A browser on the tutorial's page.
pub struct Browser(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Browser {
    /// In a room, at [`Django::websocket`]; it is a member of the group when this returns.
    pub async fn open(url: &str) -> Self {
        let mut request = url.into_client_request().expect("an address");
        request.headers_mut().insert("Origin", HeaderValue::from_static("http://127.0.0.1"));
        Self(within("the WebSocket", connect_async(request)).await.expect("a WebSocket").0)
    }

    /// Says something in the room.
    pub async fn say(&mut self, text: &str) {
        self.say_as_it_is(&json!({"message": text}).to_string()).await;
    }

    /// Sends what the page would not.
    pub async fn say_as_it_is(&mut self, message: &str) {
        self.0.send(Message::text(message)).await.expect("sent");
    }

    /// What is said next in the room.
    pub async fn hear(&mut self) -> String {
        let message = within("a message", self.0.next()).await.expect("it is open").expect("a message");
        let json: Json = serde_json::from_str(message.to_text().expect("text")).expect("JSON");
        json["message"].as_str().expect("a text").to_owned()
    }
}

fn in_project<'a>(command: &'a mut Command, layer: &Json) -> &'a mut Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/django");
    command.current_dir(folder).env("CHANNEL_LAYER", layer.to_string()).env("PYTHONDONTWRITEBYTECODE", "1")
}
