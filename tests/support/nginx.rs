//! An nginx before two servers, set up as `docs/django.md` says.

use std::{fs, net::SocketAddr, process::Command};

use tempfile::TempDir;
use tokio::net::TcpStream;

use super::{free_port, process::Process, within};

const HINT: &str = "this installs it: cargo xtask test rust";

/// Which paths go to which of two servers, as the documentation says.
pub fn locations(confab: SocketAddr, django: &str) -> String {
    let shown = include_str!("../../docs/django.md");
    let lines = shown.lines().filter(|line| line.starts_with("    location "));
    let lines: String = lines.flat_map(|line| [line, "\n"]).collect();
    assert!(lines.contains("127.0.0.1:3000") && lines.contains("127.0.0.1:8000"), "{lines}");
    lines.replace("127.0.0.1:3000", &confab.to_string()).replace("127.0.0.1:8000", django)
}

/// Killed when dropped.
pub struct Nginx {
    pub address: SocketAddr,
    _process: Process,
    _folder: TempDir,
}

impl Nginx {
    /// Sends Confab's paths to one server and all others to the other; gives both by one address.
    pub async fn before(confab: SocketAddr, django: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let address: SocketAddr = format!("127.0.0.1:{port}").parse().expect("an address");
        let locations = locations(confab, django);
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {};\n", folder.path().join(kind).display()))
            .concat();
        let settings = format!(
            "daemon off;\nmaster_process off;\npid {}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}\
             map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}\n\
             server {{\nlisten {address};\nproxy_http_version 1.1;\nproxy_set_header Host $http_host;\n\
             proxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection $connection_upgrade;\n\
             proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n{locations}}}\n}}\n",
            folder.path().display()
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, settings).expect("a file");
        let mut command = Command::new("nginx");
        // Debian has it where only root's programs are.
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env("PATH", format!("{path}:/usr/sbin"))
            .arg("-e")
            .arg("stderr")
            .arg("-c")
            .arg(&file)
            .arg("-p")
            .arg(folder.path());
        let process = Process::start(command, HINT);
        let answers = async {
            while TcpStream::connect(address).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        within("nginx", answers).await;
        Self { address, _process: process, _folder: folder }
    }
}
