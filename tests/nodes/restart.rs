//! One server with nothing beside it that is stopped, or killed, and started again while people talk. They come back, and nothing is
//! missing and nothing is there twice. It is a process of its own.

use tempfile::TempDir;

use crate::{app::Program, crowd::Crowd};

/// A server on a folder that outlives it.
struct Server {
    program: Program,
    data: TempDir,
}

impl Server {
    async fn start() -> Self {
        let data = tempfile::tempdir().expect("a folder");
        Self { program: Program::start(data.path()).await, data }
    }

    /// Ends it as `end` does, starts it again on the same folder and tells everybody where.
    async fn restart(self, end: impl AsyncFnOnce(Program), crowd: &mut Crowd) -> Self {
        let Self { program, data } = self;
        end(program).await;
        let program = Program::start(data.path()).await;
        for home in 0..2 {
            crowd.moves(home, program.address);
        }
        Self { program, data }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_stopped_and_started_under_load_loses_nothing() {
    let mut server = Server::start().await;
    let mut crowd = Crowd::start([server.program.address; 2]).await;
    for _ in 0..10 {
        let stop = async |program: Program| {
            program.terminate();
            assert_eq!(program.status().await.code(), Some(0));
        };
        server = server.restart(stop, &mut crowd).await;
        crowd.goes_on().await;
    }
    crowd.audit((&server.program, &server.program)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_fifty_times_while_fifty_clients_send_loses_nothing() {
    let mut server = Server::start().await;
    let mut crowd = Crowd::of(25, [server.program.address; 2]).await;
    for _ in 0..50 {
        server = server.restart(async |mut program| program.kill(), &mut crowd).await;
        crowd.goes_on().await;
    }
    crowd.audit((&server.program, &server.program)).await;
}
