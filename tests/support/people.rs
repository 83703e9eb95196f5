//! The people of the Django project in `tests/django`: a process that runs its `people.py`, and does with Django what it is told.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::{python, within};

/// Where a project keeps what it has, and what else its settings say.
pub struct Project {
    /// The folder with its database, if that is a file.
    folder: TempDir,
    database: Json,
    cache: Option<Json>,
    more: Json,
}

impl Project {
    /// With its database in a file.
    pub fn on_sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let database = json!({"ENGINE": "django.db.backends.sqlite3", "NAME": folder.path().join("db.sqlite3")});
        Self { folder, database, cache: None, more: json!({}) }
    }

    /// With its database at an address `postgres://postgres@127.0.0.1:PORT/NAME`.
    pub fn on_postgres(url: &str) -> Self {
        let (port, name) = url.rsplit_once(':').and_then(|(_, rest)| rest.split_once('/')).expect("a port and a database");
        let host = json!({"NAME": name, "USER": "postgres", "HOST": "127.0.0.1", "PORT": port});
        let mut project = Self::on_sqlite();
        project.database = host;
        project.database["ENGINE"] = "django.db.backends.postgresql".into();
        project
    }

    /// With its cache in a Redis.
    #[must_use]
    pub fn with_cache(mut self, url: &str, prefix: &str, version: u32) -> Self {
        let backend = "django.core.cache.backends.redis.RedisCache";
        self.cache = Some(json!({"BACKEND": backend, "LOCATION": url, "KEY_PREFIX": prefix, "VERSION": version}));
        self
    }

    /// With further settings, by their names.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.more[name] = value.into();
        self
    }

    /// The file of its database.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("db.sqlite3")
    }

    /// What a program of the project finds in its environment.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let cache = self.cache.iter().map(|cache| ("CACHE", json!(cache).to_string()));
        let more = [("DATABASE", self.database.to_string()), ("MORE_SETTINGS", self.more.to_string())];
        cache.chain(more).collect()
    }
}

/// Killed when dropped.
pub struct People {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl People {
    /// In the project, whose tables are there when this returns.
    pub async fn of(project: &Project) -> Self {
        let mut people = Self::start(project);
        people.tell(json!({"do": "migrate"})).await;
        people
    }

    /// Without a database.
    pub fn start(project: &Project) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/django");
        assert!(fs::exists(folder.join("people.py")).expect("a folder"), "the project is there");
        let mut command = Command::new(python());
        command.arg("people.py").current_dir(folder).env("PYTHONDONTWRITEBYTECODE", "1").envs(project.environment());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("Python starts");
        let (input, output) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        Self { _child: child, input, output: BufReader::new(output).lines() }
    }

    /// Has a command carried out.
    pub async fn tell(&mut self, command: Json) -> Json {
        self.try_tell(&command).await.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    async fn try_tell(&mut self, command: &Json) -> Result<Json, String> {
        within("a command", self.input.write_all(format!("{command}\n").as_bytes())).await.expect("Python reads");
        let line = within("an answer of Python", self.output.next_line()).await.expect("a line").expect("Python runs");
        let mut answer: Json = serde_json::from_str(&line).expect("JSON");
        match answer.get("error").and_then(Json::as_str) {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["ok"].take()),
        }
    }

    /// Adds somebody with the password `first`; their primary key as text.
    pub async fn add(&mut self, username: &str, fields: Json) -> String {
        let mut command = json!({"do": "add", "username": username});
        command.as_object_mut().expect("a map").extend(fields.as_object().expect("a map").clone());
        self.tell(command).await.as_str().expect("a key").to_owned()
    }

    /// Signs somebody in; the value of their cookie.
    pub async fn login(&mut self, username: &str, password: &str) -> String {
        let cookie = self.tell(json!({"do": "login", "username": username, "password": password})).await;
        cookie.as_str().unwrap_or_else(|| panic!("Django lets {username} in")).to_owned()
    }

    /// Signs out whoever has this cookie.
    pub async fn logout(&mut self, cookie: &str) {
        self.tell(json!({"do": "logout", "cookie": cookie})).await;
    }

    /// Gives somebody another password.
    pub async fn password(&mut self, username: &str, new: &str) {
        self.tell(json!({"do": "password", "username": username, "new": new})).await;
    }

    /// Writes into somebody's row.
    pub async fn change(&mut self, username: &str, fields: Json) {
        let mut command = json!({"do": "change", "username": username});
        command.as_object_mut().expect("a map").extend(fields.as_object().expect("a map").clone());
        self.tell(command).await;
    }
}
