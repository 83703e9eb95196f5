//! The server's executable: see `confab::server::cli`.

fn main() -> std::process::ExitCode {
    confab::server::cli::main()
}
